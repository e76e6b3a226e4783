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
from frspec.models.layers.split import Split, split
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.noise import position_key, rough_gumbel, token_bits
from frspec.speculation.search import argmax, log_shares, top
from frspec.speculation.vocabulary import DraftVocabulary


class DraftHead:
    """``project`` scores the ids of ``vocabulary``, row ``i`` for ``ids[i]``; ``DraftHead.of`` slices a model's.

    kind: the type of features that ``project`` takes. use_noise: whether drafts know the noise the target will
    sample with (see the module).
    """

    def __init__(
        self,
        project: Linear | Split,
        vocabulary: DraftVocabulary,
        device: torch.device,
        kind: torch.dtype = torch.float32,
        use_noise: bool = True,
    ) -> None:
        self.size, self.use_noise = len(vocabulary), use_noise
        self._project, self._kind, self._mapped = project, kind, not vocabulary.full
        self._ids = vocabulary.ids.to(device)
        self._ids32 = self._ids.to(torch.int32)

    @staticmethod
    def of(decoder: Decoder, vocabulary: DraftVocabulary, use_noise: bool = True) -> DraftHead:
        """The head of ``decoder`` cut to ``vocabulary``, once; its own where nothing is cut off."""
        rows = vocabulary.rows(decoder.head)
        if rows is decoder.head:
            return DraftHead(decoder.project, vocabulary, decoder.device, decoder.precision.activations, use_noise)
        project = split(rows) if decoder.precision.light else Linear(rows)
        return DraftHead(project, vocabulary, decoder.device, rows.dtype, use_noise)

    def best(self, features: Tensor, states: Sequence[DraftState], depth: int, width: int) -> tuple[Tensor, Tensor]:
        """The ``width`` best children of nodes with features [B, k, H].

        depth: of the children below the root. Returns scores [B, k, width] float32 (log-softmax over the
        draft vocabulary, noise included) and target token ids [B, k, width].
        """
        batch, nodes = features.shape[:2]
        logits = self._logits(features.flatten(0, 1), states, depth)
        values, places = top(logits, width)
        scores = log_shares(logits, values)
        tokens = self._ids[places] if self._mapped else places
        return scores.view(batch, nodes, width), tokens.view(batch, nodes, width)

    def likeliest(self, features: Tensor, states: Sequence[DraftState], depth: int) -> Tensor:
        """The best child [B] of nodes with features [B, H]; ``depth`` as in ``best``."""
        logits = self._logits(features, states, depth)
        here = logits.device.type == "cpu"  # a GPU would have to be waited for at every row
        places = torch.tensor([argmax(row) for row in logits]) if here else logits.argmax(-1)
        return self._ids[places] if self._mapped else places

    def _logits(self, features: Tensor, states: Sequence[DraftState], depth: int) -> Tensor:
        """Scores [R, V'] float32, noise included, of features [R, H]: as many rows for each state."""
        logits = self._project(features.to(self._kind)).float()
        nodes = len(features) // len(states)
        if self.use_noise:
            for row, state in enumerate(states):
                if state.temperature > 0:
                    bits = token_bits(position_key(state.seed, len(state.tokens) - 1 + depth), self._ids32)
                    logits[row * nodes : (row + 1) * nodes].add_(rough_gumbel(bits), alpha=state.temperature)
        return logits
