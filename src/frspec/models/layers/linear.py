"""A matrix and its optional bias. Knows: one product. Does not know: what it projects."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class Linear:
    """``x @ weight.T + bias`` for ``weight`` [out, in] and ``bias`` [out] or None, in the weight's dtype."""

    __slots__ = ("bias", "weight")

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = bias

    @staticmethod
    def fused(weights: Sequence[Tensor], biases: Sequence[Tensor] | None = None) -> Linear:
        """One matrix whose outputs are those of ``weights`` one after the other."""
        return Linear(torch.cat(list(weights)), torch.cat(list(biases)) if biases else None)

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)
