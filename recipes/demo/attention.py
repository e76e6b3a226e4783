"""Causal attention over short sequences in bfloat16 by plain matrix products.

Knows: where each sequence's rows lie. Does not know: layers.
Forward and backward together, sequences of 256 to 384 rows take a third of the time of torch's fused kernel on a CPU
(1.0 against 2.9 ms for 6 heads of 32 and 256 rows, one core), at the price of holding the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

GRAIN = 32
"""Rows; up to half of this is wasted a sequence."""


class MatrixAttention:
    """Like ``frspec.models.WholeAttention``, but rows after the last sequence are filling and get zeros.

    Query heads that share a key head are stacked into one product. Every new length makes oneDNN prepare new kernels,
    so lengths should be multiples of ``GRAIN``.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = list(lengths)
        self.used = sum(lengths)

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # noqa: ARG002 - no layer differs
        parts = zip(*(x[: self.used].split_with_sizes(self.lengths) for x in (q, k, v)), strict=True)
        return torch.cat([*(_causal(*part) for part in parts), q.new_zeros(len(q) - self.used, q[0].numel())])


def _causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    rows, heads, width = q.shape
    keys, values = k.transpose(0, 1), v.transpose(0, 1)
    groups = heads // keys.shape[0]
    stacked = q.view(rows, -1, groups, width).permute(1, 2, 0, 3).reshape(-1, groups * rows, width)
    scores = torch.baddbmm(_bias(rows, groups, q.dtype), stacked, keys.transpose(1, 2), alpha=width**-0.5)
    mixed = torch.bmm(scores.softmax(-1), values)
    return mixed.view(-1, groups, rows, width).permute(2, 0, 1, 3).reshape(rows, -1)


@cache
def _bias(rows: int, groups: int, dtype: torch.dtype) -> Tensor:
    """[1, groups · rows, rows]: 0 where a row sees, -inf where it does not."""
    hidden = torch.ones((rows, rows), dtype=torch.bool).triu_(1)
    return torch.zeros((rows, rows), dtype=dtype).masked_fill_(hidden, float("-inf")).repeat(groups, 1)[None]
