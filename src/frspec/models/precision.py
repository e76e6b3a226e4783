"""In which type a model's matrices are held and in which it computes.

Knows: what each type costs on which device. Does not know: files, layers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frspec.errors import UserError
from frspec.models.layers.int8 import Int8Rows
from frspec.models.layers.linear import Matrix, knows_bfloat16, multiplies_half

LIGHT = 256
"""Largest hidden size at which a CPU step costs more calls than arithmetic.

Measured on one Zen 5 core, a layer of hidden size 192 over 1, 4, 16 rows: 176, 207, 263 µs in bfloat16 and
63, 86, 162 in float32 on float16 matrices (docs/experiments.md). Its largest matrix alone takes
16 rows as fast in either type, so at wider ones the arithmetic is bfloat16's to win; where exactly was not measured."""
LARGEST_HALF = 65504.0

log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Precision:
    """``matrices``: the type of everything two-dimensional but the embedding; ``activations``: of all that flows
    between them, of caches, of biases and norms. int8 ``matrices`` are ``Int8Rows``."""

    matrices: torch.dtype
    activations: torch.dtype

    def hold(self, matrix: Tensor) -> Matrix:
        """``matrix`` as a part of a model of this precision; one that wants a gradient stays as it is."""
        if matrix.requires_grad:
            return matrix
        return Int8Rows.of(matrix) if self.matrices == torch.int8 else matrix.to(self.matrices)

    def vector(self, tensor: Tensor) -> Tensor:
        """The same for a bias or a norm."""
        return tensor if tensor.requires_grad else tensor.to(self.activations)

    def quantised(self, quantize: str | None, device: torch.device) -> Precision:
        """This precision with the matrices that ``quantize`` names: "int8", or None for its own.

        Raises:
            UserError: for any other name, and on other devices than a CPU.
        """
        if quantize is None:
            return self
        if quantize != "int8":
            raise UserError(f"quantize {quantize!r} is not supported; use int8 or leave it out")
        if device.type != "cpu":
            raise UserError(f"int8 matrices are for CPUs; on {device.type} leave quantize out")
        return replace(self, matrices=torch.int8)

    @property
    def light(self) -> bool:
        """Whether float16 matrices meet float32 rows."""
        return self.matrices == torch.float16


def pick_precision(dtype: torch.dtype, device: torch.device, hidden: int, matrices: Iterable[Tensor]) -> Precision:
    """How to run a checkpoint of ``dtype``: as it is, or a small bfloat16 one on a CPU in float32 on 16-bit matrices.

    Float16 holds every bfloat16 of a size from 2^-17 to 65504 exactly and the smaller ones to 2^-25, less than
    what float32 rounds off a product of theirs; with larger ones a model runs as it is. Where a CPU knows no
    bfloat16, it runs in float32.
    """
    light = dtype == torch.bfloat16 and hidden <= LIGHT and multiplies_half(device)
    if light and all(matrix.abs().max() < LARGEST_HALF for matrix in matrices):
        return Precision(torch.float16, torch.float32)
    if dtype == torch.bfloat16 and not knows_bfloat16(device):
        log.warning(
            "no bfloat16 on this processor: runs in float32 at twice the memory; --quantize int8 takes a quarter"
        )
        return Precision(torch.float32, torch.float32)
    return Precision(dtype, dtype)
