"""The draft LM head over a draft vocabulary: the matrix that FR-Spec makes small.

Knows: a head's rows, draft scores, the target's noise. Does not know: trees, models.

At temperature T the drafter adds T times the target's own noise to its logits. The target will pick
argmax(logits / T + G), so a token's chance of being that pick grows with exactly this sum, not with its
probability alone. At temperature 0 nothing is added and the scores are EAGLE-2's log-probabilities. This only
changes which drafts are tried, never what is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frspec.models.decoder import Decoder
from frspec.models.layers.linear import Linear
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.noise import gumbel
from frspec.speculation.vocabulary import DraftVocabulary


class DraftHead:
    """``project`` scores the ids of ``vocabulary``, row ``i`` for ``ids[i]``; ``DraftHead.of`` slices a model's.

    use_noise: whether drafts know the noise the target will sample with (see the module).
    """

    def __init__(
        self, project: Linear, vocabulary: DraftVocabulary, device: torch.device, use_noise: bool = True
    ) -> None:
        self.size, self.use_noise = len(vocabulary), use_noise
        self._project, self._mapped = project, not vocabulary.full
        self._ids = vocabulary.ids.to(device)

    @staticmethod
    def of(decoder: Decoder, vocabulary: DraftVocabulary, use_noise: bool = True) -> DraftHead:
        """The head of ``decoder`` cut to ``vocabulary``, once; its own where nothing is cut off."""
        rows = vocabulary.rows(decoder.head)
        project = decoder.project if rows is decoder.head else Linear(rows)
        return DraftHead(project, vocabulary, decoder.device, use_noise)

    def best(self, features: Tensor, states: Sequence[DraftState], depth: int, width: int) -> tuple[Tensor, Tensor]:
        """The ``width`` best children of nodes with features [B, k, H].

        depth: of the children below the root. Returns scores [B, k, width] float32 (log-softmax over the
        draft vocabulary) and target token ids [B, k, width].
        """
        logits = self._project(features.flatten(0, 1)).float().view(*features.shape[:2], -1)
        if self.use_noise:
            for row, state in enumerate(states):
                if state.temperature > 0:
                    noise = gumbel(state.seed, len(state.tokens) - 1 + depth, self._ids)
                    logits[row] += (state.temperature * noise).float()
        top = logits.topk(width)
        scores = top.values - logits.logsumexp(-1, keepdim=True)
        return scores, self._ids[top.indices] if self._mapped else top.indices
