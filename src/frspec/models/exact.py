"""A decoder whose rows come out bit for bit the same however many share the pass.

Knows: what makes floating-point sums depend on company. Does not know: trees, requests.
Matrix products choose their order of summation by shape, so every product here has one shape: rows run in blocks of
``ROWS``, padded with rows that nobody reads, and each row attends by itself to a copy of just the keys it sees, laid
out in text order. It costs time, most of all on prompts; it makes speculation bitwise lossless in every dtype.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.models.decoder import Decoder
from frspec.models.segments import Segment

ROWS = 17
"""Rows of every matrix product: a tree of 15 drafts and its root, and a spare row that is always padding, where vector
loops may end with scalar code. On a 1.2-billion-parameter bfloat16 model a pass over 1, 5, 16 rows takes 89, 101, 135
ms with 17, 82, 93, 210 with 16, 106, 115, 152 with 24; the usual way 64, 64, 85."""


class ExactDecoder(Decoder):
    """``Decoder`` with bitwise reproducible rows; ``ExactDecoder.of(decoder)`` shares its weights."""

    @staticmethod
    def of(decoder: Decoder) -> ExactDecoder:
        """The same model, run exactly."""
        exact = ExactDecoder.__new__(ExactDecoder)
        vars(exact).update(vars(decoder))
        return exact

    def forward(self, tokens: Tensor, positions: Tensor, segments: Sequence[Segment]) -> Tensor:
        """As ``Decoder.forward``."""
        parts, start = [], 0
        for pieces in _blocks(segments):
            count = sum(piece.count for piece in pieces)
            rows = slice(start, start + count)
            attend = RowAttention(pieces)
            parts.append(self.run(_padded(tokens[rows]), _padded(positions[rows]), attend)[:count])
            attend.finish()
            start = rows.stop
        return torch.cat(parts)

    def logits(self, features: Tensor) -> Tensor:
        """As ``Decoder.logits``."""
        blocks = torch.split(features, ROWS - 1)
        parts = [super(ExactDecoder, self).logits(_padded(block))[: len(block)] for block in blocks]
        return torch.cat(parts)


class RowAttention:
    """Attention of one block, a row at a time."""

    def __init__(self, pieces: Sequence[Segment]) -> None:
        self.pieces = pieces
        self.seen = [_seen(piece) for piece in pieces]
        self.windows = [piece.cache.open(piece.count) for piece in pieces]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        mixed, start = q.new_zeros(q.shape), 0
        for piece, seen, window in zip(self.pieces, self.seen, self.windows, strict=True):
            rows = slice(start, start + piece.count)
            keys, values = window.write(layer, k[rows], v[rows])
            for row, visible in enumerate(seen, start):
                mixed[row] = _attend(q[row], keys[:, :, visible], values[:, visible])
            start = rows.stop
        return mixed.flatten(1)

    def finish(self) -> None:
        """Count the written rows as drafted; call it after the last layer."""
        for piece in self.pieces:
            piece.cache.drafted += piece.count


def _attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One row: q [heads, D] against keys [kv_heads, D, L] and values [kv_heads, L, D], contiguous -> [heads, D]."""
    grouped = q.reshape(keys.shape[0], -1, q.shape[-1])
    scores = torch.bmm(grouped, keys) * q.shape[-1] ** -0.5
    weights = torch.softmax(scores, -1, dtype=torch.float32).to(q.dtype)
    return torch.bmm(weights, values).view(q.shape)


def _seen(piece: Segment) -> list[Tensor]:
    """For each row of ``piece`` the cache rows it sees, in text order (parents stand before their children)."""
    cache = piece.cache
    used = cache.length + cache.drafted
    device = piece.mask.device if piece.mask is not None else None
    if piece.mask is None:
        return [torch.arange(used + row + 1) for row in range(piece.count)]
    committed = torch.arange(cache.length, device=device)
    return [torch.cat([committed, cache.length + row.nonzero().squeeze(1)]) for row in piece.mask]


def _blocks(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Pieces of the segments in order, at most ROWS - 1 rows at a time."""
    pieces, room = list[Segment](), ROWS - 1
    for segment in segments:
        first, start = segment.cache.drafted, 0
        while start < segment.count:
            count = min(room, segment.count - start)
            mask = segment.mask
            if mask is not None:
                mask = mask[start : start + count, : first + start + count]
            pieces.append(Segment(segment.cache, count, mask))
            start, room = start + count, room - count
            if room == 0:
                yield pieces
                pieces, room = [], ROWS - 1
    if pieces:
        yield pieces


def _padded(rows: Tensor) -> Tensor:
    """``rows`` [n, ...] with zeros below, [ROWS, ...]."""
    missing = ROWS - len(rows)
    return F.pad(rows, (*[0, 0] * (rows.dim() - 1), 0, missing))
