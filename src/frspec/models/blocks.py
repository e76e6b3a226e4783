"""One sequence's attention as matrix products of bounded size.

Knows: which rows and heads fit into one product, and which keys it may leave out. Does not know: layers, batches.

One way serves every shape: queries by keys, a softmax, by values, in blocks of at most ``MOST`` scores. Measured
against PyTorch's fused attention on two Zen 5 cores, 32 heads over 8 of 64, bfloat16: one row over 4,096 keys takes
0.5 ms (fused with query heads stacked 0.8, as libraries call it 6.1), 16 rows 1.6 (3.8), 512 rows over 16,384 keys 175
(401). In float32 few rows take the same, 512 over 4,096 keys 146 (124). That holds as long as products need not copy
keys (``KVCache``) and scores lie in memory that was touched before. docs/experiments.md has the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.models.cache import KVCache

ROWS = 64
"""Rows in one product: enough for matrix products at full speed, and few enough to skip most keys that causal rows
may not see."""
MOST = 1 << 22
"""Scores held at a time: 8 MB in bfloat16. Up to 32 times that is no faster."""


@dataclass(frozen=True, slots=True)
class Span:
    """The share of one product: ``rows`` of a sequence by ``heads`` key heads, over the first ``keys`` cached rows.

    ``bias`` [rows, 1, n] is to be added to the scores of the last n keys, -inf where a row may not look. None: every
    row sees every key.
    """

    rows: slice
    heads: slice
    keys: int
    bias: Tensor | None

    def size(self, groups: int) -> int:
        """Scores of the product, ``groups`` query heads to a key head."""
        heads: int = self.heads.stop - self.heads.start
        rows: int = self.rows.stop - self.rows.start
        return heads * rows * groups * self.keys


def spans(
    cache: KVCache, count: int, mask: Tensor | None, kv_heads: int, groups: int, dtype: torch.dtype
) -> Iterator[Span]:
    """``count`` rows that are about to be written to ``cache``; ``mask`` as a ``Segment`` has it."""
    end = cache.length + cache.drafted + count
    rows = min(count, ROWS, max(1, MOST // (groups * cache.shown(end))))
    heads = min(kv_heads, max(1, MOST // (rows * groups * cache.shown(end))))
    for first in range(0, count, rows):
        part = slice(first, min(first + rows, count))
        keys = cache.shown(end if mask is not None else end - count + part.stop)
        bias = _causal(cache, part, keys, dtype) if mask is None else _masked(cache, part, keys, mask, dtype)
        for head in range(0, kv_heads, heads):
            yield Span(part, slice(head, min(head + heads, kv_heads)), keys, bias)


def _causal(cache: KVCache, rows: slice, keys: int, dtype: torch.dtype) -> Tensor | None:
    """Each row sees those up to itself: the first one's are all but the last n."""
    hidden = keys - (cache.length + cache.drafted + rows.start + 1)
    if hidden == 0:
        return None
    bias = torch.full((rows.stop - rows.start, hidden), -torch.inf, dtype=dtype, device=cache.device)
    return bias.triu_().unsqueeze(1)


def _masked(cache: KVCache, rows: slice, keys: int, mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Each row sees what is committed, and of the rest what its mask says."""
    part = mask[rows]
    bias = torch.full((len(part), keys - cache.length), -torch.inf, dtype=dtype, device=cache.device)
    bias[:, : part.shape[1]].masked_fill_(part, 0.0)
    return bias.unsqueeze(1)


class Product:
    """One span's attention, layer after layer, in the room ``scores`` [at least ``span.size(groups)``]."""

    __slots__ = ("_bias", "_columns", "_masked", "_nothing", "_scores", "span")

    def __init__(self, span: Span, groups: int, scores: Tensor) -> None:
        rows, heads = span.rows.stop - span.rows.start, span.heads.stop - span.heads.start
        self.span = span
        self._scores = scores[: span.size(groups)].view(heads, rows * groups, span.keys)
        self._nothing = scores.new_empty(1, 1, 1)
        self._bias = span.bias
        if span.bias is not None:
            self._masked = self._scores.view(heads, rows, groups, span.keys)[..., -span.bias.shape[-1] :]

    def __call__(self, q: Tensor, keys: Tensor, values: Tensor, out: Tensor) -> None:
        """``q`` [rows, heads · groups, D] against ``keys`` [heads, D, n] and ``values`` [heads, n, D] into ``out``,
        like ``q`` but contiguous."""
        shape, scores = q.shape, self._scores
        width, (heads, stacked, _) = shape[2], scores.shape
        lone = shape[0] == 1  # every view costs a microsecond, and a small model's layer has sixty
        grouped = q if lone else q.view(shape[0], heads, -1, width).transpose(0, 1)
        torch.baddbmm(
            self._nothing, grouped.reshape(heads, stacked, width), keys, beta=0, alpha=width**-0.5, out=scores
        )
        if self._bias is not None:
            self._masked.add_(self._bias)
        torch.softmax(scores, -1, out=scores)
        if lone:
            torch.bmm(scores, values, out=out.view(heads, stacked, width))
        else:
            mixed = torch.bmm(scores, values).view(heads, shape[0], -1, width)
            out.view(shape[0], heads, -1, width).copy_(mixed.transpose(0, 1))
