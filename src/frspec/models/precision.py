"""In which type a model's matrices are held and in which it computes.

Knows: what each type costs on which device. Does not know: files, layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.models.layers.linear import multiplies_half

LIGHT = 256
"""Largest hidden size at which a CPU step costs more calls than arithmetic.

Measured on one Zen 5 core, a layer of hidden size 192 over 1, 4, 16 rows: 176, 207, 263 µs in bfloat16 and
63, 86, 162 in float32 on float16 matrices (docs/experiments.md). Its largest matrix alone takes
16 rows as fast in either type, so at wider ones the arithmetic is bfloat16's to win; where exactly was not measured."""
LARGEST_HALF = 65504.0


@dataclass(frozen=True)
class Precision:
    """``matrices``: the type of everything two-dimensional but the embedding; ``activations``: of all that flows
    between them, of caches, of biases and norms."""

    matrices: torch.dtype
    activations: torch.dtype

    def hold(self, tensor: Tensor) -> Tensor:
        """``tensor`` as a part of a model of this precision; one that wants a gradient stays as it is."""
        if tensor.requires_grad:
            return tensor
        return tensor.to(self.matrices if tensor.ndim > 1 else self.activations)

    @property
    def light(self) -> bool:
        """Whether float16 matrices meet float32 rows."""
        return self.matrices != self.activations


def pick_precision(dtype: torch.dtype, device: torch.device, hidden: int, matrices: Iterable[Tensor]) -> Precision:
    """How to run a checkpoint of ``dtype``: as it is, or a small bfloat16 one on a CPU in float32 on 16-bit matrices.

    Float16 holds every bfloat16 of a size from 2^-17 to 65504 exactly and the smaller ones to 2^-25, less than
    what float32 rounds off a product of theirs; with larger ones a model runs as it is.
    """
    light = dtype == torch.bfloat16 and hidden <= LIGHT and multiplies_half(device)
    if light and all(matrix.abs().max() < LARGEST_HALF for matrix in matrices):
        return Precision(torch.float16, torch.float32)
    return Precision(dtype, dtype)
