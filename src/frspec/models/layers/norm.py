"""Root-mean-square normalisation (arXiv 1910.07467). Knows: one row at a time. Does not know: where it stands."""

from __future__ import annotations

import torch
from torch import Tensor


class RMSNorm:
    """``x / sqrt(mean(x²) + eps) * weight`` over the last dimension, in float32, rounded once to ``x``'s dtype.

    With |x| the Euclidean norm and n the width this is ``x / hypot(|x|, sqrt(n·eps)) * (weight·sqrt(n))``: four
    kernels instead of the six behind ``torch.rms_norm``, which is what a single row's time consists of.
    ``weight`` [..., n]: a row per head where several heads are normalised at once.
    """

    __slots__ = ("floor", "scale")

    def __init__(self, weight: Tensor, eps: float) -> None:
        width = weight.shape[-1]
        self.scale = weight.float() * width**0.5
        self.floor = torch.tensor((width * eps) ** 0.5, dtype=torch.float32, device=weight.device)

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.float()
        length = torch.hypot(torch.linalg.vector_norm(rows, dim=-1, keepdim=True), self.floor)
        normed: Tensor = rows / length * self.scale
        return normed.to(x.dtype)
