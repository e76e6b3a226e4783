"""Products of 8-bit integers (W8A8): a scale for each row of the matrix and one for each row it meets.

Knows: how numbers become integers, and the kernel that multiplies them. Does not know: what is projected.
Sums of integers are exact, so a row's product is the same to the last bit whatever rows stand beside it, on whatever
kernel, and some rows of a matrix give exactly what they give in the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

LIMIT = 127
"""Integers go from -127 to 127."""
TINY = 1e-30
"""Stands in for the largest of a row of zeros."""
BLOCK = 1 << 20
"""Weights made integers at once, so that no second matrix in float32 is ever held."""
EXACT_COLUMNS = (1 << 24) // LIMIT**2
"""Products of two integers that float32 adds up exactly, in any order."""


@dataclass(frozen=True)
class Int8Rows:
    """A matrix as ``values`` [out, in] int8 times ``scales`` [out] float32, each row's largest number being 127."""

    values: Tensor
    scales: Tensor

    @staticmethod
    def of(weight: Tensor) -> Int8Rows:
        """``weight`` [out, in] of any float type, each number at the nearest multiple of its row's largest over 127."""
        values = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(len(weight))
        step = max(1, BLOCK // weight.shape[1])
        for start in range(0, len(weight), step):
            rows = slice(start, start + step)
            block = weight[rows].float()
            scales[rows] = block.abs().amax(-1).clamp_min_(TINY).div_(LIMIT)
            values[rows] = (block / scales[rows, None]).round_()
        return Int8Rows(values, scales)

    @staticmethod
    def joined(parts: Sequence[Int8Rows]) -> Int8Rows:
        """The rows of ``parts`` one after the other."""
        return Int8Rows(torch.cat([part.values for part in parts]), torch.cat([part.scales for part in parts]))

    @property
    def shape(self) -> torch.Size:
        """[out, in]"""
        return self.values.shape

    def __getitem__(self, rows: slice) -> Int8Rows:
        return Int8Rows(self.values[rows], self.scales[rows])

    def contiguous(self) -> Int8Rows:
        """The same rows in memory of their own order, as ``Tensor.contiguous``."""
        return Int8Rows(self.values.contiguous(), self.scales.contiguous())


class Int8Product:
    """``x @ weight.T`` for ``x`` [T, in] float32 or bfloat16, rounded to integers row by row; gives [T, out] float32.

    With s = max|row| / 127 a number of the row is off by at most s / 2, so a product by at most s / 2 times the sum
    of the matrix row's sizes, and then by three roundings of float32.
    """

    __slots__ = ("_packed", "_plain", "_scales", "_zeros")

    def __init__(self, weight: Int8Rows) -> None:
        self._scales = weight.scales
        self._zeros = torch.zeros(len(weight.scales), dtype=torch.int32)
        self._plain: Tensor | None = None
        self._packed: Tensor | None = None
        if has_kernel():
            self._packed = torch.ops.onednn.qlinear_prepack(weight.values.contiguous(), None)
        else:
            self._plain = weight.values

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.float()
        scale = rows.abs().amax(-1, keepdim=True).clamp_min_(TINY).mul_(1 / LIMIT)
        return self._multiplied((rows / scale).round_().to(torch.int8)).mul_(scale)

    def _multiplied(self, integers: Tensor) -> Tensor:
        """``integers`` [T, in] int8 times the matrix and its scales, [T, out] float32."""
        if self._plain is not None:
            return _sums(integers, self._plain).float().mul_(self._scales)
        return _onednn(integers, self._packed, self._scales, self._zeros)


@cache
def has_kernel() -> bool:
    """Whether oneDNN's product of integers is there, private to PyTorch as it is, and right.

    Processors without VNNI add two products in 16 bits, which can be too few; the largest numbers show it.
    """
    if not (hasattr(torch.ops.onednn, "qlinear_prepack") and torch._C._has_mkldnn):
        return False
    largest = torch.full((16, 64), LIMIT, dtype=torch.int8)
    try:
        packed = torch.ops.onednn.qlinear_prepack(largest, None)
        found = _onednn(largest[:3], packed, torch.ones(16), torch.zeros(16, dtype=torch.int32))
    except (RuntimeError, TypeError):
        return False
    return torch.equal(found, torch.full((3, 16), 64.0 * LIMIT**2))


def _onednn(integers: Tensor, packed: Tensor | None, scales: Tensor, zeros: Tensor) -> Tensor:
    """oneDNN has a quick kernel for unsigned rows alone: 128 is added to each number, its share taken off the sums."""
    unsigned = integers.view(torch.uint8).bitwise_xor(128)
    product: Tensor = torch.ops.onednn.qlinear_pointwise(
        unsigned, 1.0, 128, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], "none"
    )
    return product


def _sums(integers: Tensor, weight: Tensor) -> Tensor:
    """``integers`` [T, in] int8 times ``weight`` [out, in] int8, [T, out] int32, by float32 products that are exact."""
    sums = torch.zeros(len(integers), len(weight), dtype=torch.int32)
    for start in range(0, weight.shape[1], EXACT_COLUMNS):
        columns = slice(start, start + EXACT_COLUMNS)
        sums += (integers[:, columns].float() @ weight[:, columns].float().t()).to(torch.int32)
    return sums
