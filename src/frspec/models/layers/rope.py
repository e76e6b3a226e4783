"""Rotary positions on queries and keys. Knows: angles. Does not know: how frequencies were chosen."""

from __future__ import annotations

import torch
from torch import Tensor


class Rope:
    """Angles for any position from ``frequencies`` [D/2] float32 (radians per position).

    The rotation of the pair (x[i], x[i + D/2]) by angle a is ``x·cos a + roll(x, D/2)·s`` with s = -sin a on
    the first half and sin a on the second, so the sign is kept in the frequencies: sin(-a) = -sin a.
    """

    __slots__ = ("factor", "frequencies")

    def __init__(self, frequencies: Tensor, factor: float = 1.0) -> None:
        self.frequencies = torch.cat((-frequencies, frequencies))
        self.factor = factor

    def __call__(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and signed sines [T, 1, D] float32 of ``positions`` [T], times the attention factor."""
        angles = torch.outer(positions.float(), self.frequencies).unsqueeze(1)
        cos, sin = angles.cos(), angles.sin()
        return (cos, sin) if self.factor == 1.0 else (cos * self.factor, sin * self.factor)


def rotate(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """``heads`` [T, n, D] rotated by ``Rope``'s angles in float32, in the dtype they came in."""
    cos, sin = angles
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin).to(heads.dtype)
