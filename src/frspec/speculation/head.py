"""The draft LM head over a draft vocabulary: the matrix that FR-Spec makes small.

Knows: a head's rows, draft scores, the target's noise. Does not know: trees, models.

At temperature T the drafter adds T times the target's own noise to its logits. The target will pick
argmax(logits / T + G), so a token's chance of being that pick grows with exactly this sum, not with its
probability alone. At temperature 0 nothing is added and the scores are EAGLE-2's log-probabilities. This only
changes which drafts are tried, never what is accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from frspec.models.decoder import Decoder
from frspec.models.layers.prefixes import Product, prefixes
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.noise import position_key, rough_gumbel, token_bits
from frspec.speculation.search import argmax, log_shares, top
from frspec.speculation.vocabulary import DraftVocabulary

SMALLEST = 1024
"""Rows of the smallest part of a draft head: below it a product costs little more than its call."""


class DraftHead:
    """``products[n]`` scores the first n ids of ``vocabulary``, row ``i`` for ``ids[i]``; ``of`` slices a model's head.

    whole: scores every id of the target in its own order, under the size that the target's vocabulary has; None where
    ``vocabulary`` is all there is. kind: the type of features that products take. use_noise: whether drafts know the
    noise the target will sample with (see the module). held: what the products' rows are held in; None: as the model's.
    """

    def __init__(
        self,
        products: Mapping[int, Product],
        vocabulary: DraftVocabulary,
        device: torch.device,
        kind: torch.dtype = torch.float32,
        use_noise: bool = True,
        whole: Product | None = None,
        held: torch.dtype | None = None,
    ) -> None:
        self.size, self.use_noise = len(vocabulary), use_noise
        self.held = held
        self._products, self._kind = dict(products), kind
        ids = None if vocabulary.full else vocabulary.ids.to(device)
        every = torch.arange(vocabulary.vocab_size, dtype=torch.int32, device=device)
        self._ids: dict[int, Tensor | None] = dict.fromkeys(self._products, ids)
        self._noise_ids = dict.fromkeys(self._products, every if ids is None else ids.to(torch.int32))
        if whole is not None:
            size = vocabulary.vocab_size
            self._products[size], self._ids[size], self._noise_ids[size] = whole, None, every
        self.sizes = tuple(sorted(self._products))

    @staticmethod
    def of(
        decoder: Decoder,
        vocabulary: DraftVocabulary,
        use_noise: bool = True,
        choice: bool = False,
        quantize: str | None = None,
    ) -> DraftHead:
        """The head of ``decoder`` cut to ``vocabulary``, once; its own where nothing is cut off.

        choice: smaller parts of it may be asked for, by powers of two, and the model's whole head. quantize: "int8" for
        rows of 8-bit integers whatever the model's are.
        """
        device, size = decoder.device, len(vocabulary)
        precision = decoder.precision.quantised(quantize, device)
        rows = vocabulary.rows(decoder.head)
        if rows is decoder.head and precision == decoder.precision:
            return DraftHead({size: decoder.project}, vocabulary, device, precision.activations, use_noise)
        sizes = [SMALLEST << step for step in range(32) if SMALLEST << step < size] if choice else []
        whole = decoder.project if choice and size < vocabulary.vocab_size == len(decoder.head) else None
        products = prefixes(precision.hold(rows), [*sizes, size], precision.light)
        kind, held = precision.activations, precision.matrices
        return DraftHead(products, vocabulary, device, kind, use_noise, whole, held)

    def levels(self, vocab_size: int) -> bytes:
        """For every token id the place in ``sizes`` of the smallest size that contains it; ``len(sizes)`` for none."""
        found = torch.full((vocab_size,), len(self.sizes), dtype=torch.uint8)
        for level in reversed(range(len(self.sizes))):
            ids = self._ids[self.sizes[level]]
            found[slice(self.sizes[level]) if ids is None else ids[: self.sizes[level]].cpu()] = level
        return bytes(found.numpy())

    def best(
        self, features: Tensor, states: Sequence[DraftState], depth: int, width: int, rows: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """The ``width`` best children of nodes with features [B, k, H].

        depth: of the children below the root. rows: one of ``sizes``; None: the vocabulary. Returns scores
        [B, k, width] float32 (log-softmax over these rows, noise included) and target token ids [B, k, width].
        """
        batch, nodes = features.shape[:2]
        logits = self._logits(features.flatten(0, 1), states, depth, rows or self.size)
        values, places = top(logits, width)
        scores = log_shares(logits, values)
        return scores.view(batch, nodes, width), self._named(places, rows).view(batch, nodes, width)

    def likeliest(self, features: Tensor, states: Sequence[DraftState], depth: int, rows: int | None = None) -> Tensor:
        """The best child [B] of nodes with features [B, H]; ``depth`` and ``rows`` as in ``best``."""
        return self._named(_places(self._logits(features, states, depth, rows or self.size)), rows)

    def surest(
        self, features: Tensor, states: Sequence[DraftState], depth: int, rows: int | None = None
    ) -> tuple[Tensor, list[float]]:
        """``likeliest``, and the share of all rows' exponentials that each one's has: the drafter's own confidence."""
        logits = self._logits(features, states, depth, rows or self.size)
        places = _places(logits)
        shares = log_shares(logits, logits.gather(1, places[:, None])).exp_()
        return self._named(places, rows), shares[:, 0].tolist()

    def _named(self, places: Tensor, rows: int | None) -> Tensor:
        """Token ids of rows."""
        ids = self._ids[rows or self.size]
        return places if ids is None else ids[places]

    def _logits(self, features: Tensor, states: Sequence[DraftState], depth: int, rows: int) -> Tensor:
        """Scores [R, rows] float32, noise included, of features [R, H]: as many rows of R for each state."""
        logits = self._products[rows](features.to(self._kind)).float()
        nodes = len(features) // len(states)
        if self.use_noise:
            ids = self._noise_ids[rows][: logits.shape[1]]
            for row, state in enumerate(states):
                if state.temperature > 0:
                    bits = token_bits(position_key(state.seed, len(state.tokens) - 1 + depth), ids)
                    logits[row * nodes : (row + 1) * nodes].add_(rough_gumbel(bits), alpha=state.temperature)
        return logits


def _places(logits: Tensor) -> Tensor:
    """The place of each row's best; a GPU would have to be waited for at every row."""
    here = logits.device.type == "cpu"
    return torch.tensor([argmax(row) for row in logits]) if here else logits.argmax(-1)
