"""Windows of text side by side in arrays of one fixed size.

Knows: inputs, what follows them, filling. Does not know: models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from attention import GRAIN
from torch import Tensor


@dataclass(frozen=True)
class Packed:
    """Windows as inputs and what follows each: ``inputs``, ``targets`` and ``positions`` [T] int64, ``real`` [T] bool.

    Each window is filled up to a multiple of ``GRAIN``, which ``lengths`` says; the rest of T is filling too.
    """

    inputs: Tensor
    targets: Tensor
    positions: Tensor
    real: Tensor
    lengths: list[int]

    @staticmethod
    def of(windows: Sequence[Tensor], total: int) -> Packed:
        """``total``: T, at least the sum of the lengths."""
        inputs, targets, positions = torch.zeros((3, total), dtype=torch.int64)
        real = torch.zeros(total, dtype=torch.bool)
        lengths, start = [filled(len(window)) for window in windows], 0
        for window, length in zip(windows, lengths, strict=True):
            part = slice(start, start + len(window) - 1)
            inputs[part], targets[part] = window[:-1], window[1:]
            positions[start : start + length] = torch.arange(length)
            real[part] = True
            start += length
        return Packed(inputs, targets, positions, real, lengths)


def filled(tokens: int) -> int:
    """Rows that a window of so many tokens takes."""
    return -(-(tokens - 1) // GRAIN) * GRAIN
