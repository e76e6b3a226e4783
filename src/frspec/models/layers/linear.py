"""A matrix and its optional bias. Knows: one product, and which kernel is quickest for it on this device.

Does not know: what it projects. On a CPU, oneDNN with a prepacked matrix beats the default BLAS from a few rows
on, by two to four times for the handful of rows that a drafted tree has; only small products are quicker without.
A float16 matrix takes and gives float32 rows: FBGEMM multiplies without rounding them, its calls cost 2 µs where
oneDNN's cost 11, and a row comes out the same to the last bit whatever rows stand beside it, as it does with a matrix
of 8-bit integers (``int8``).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.models.layers.int8 import Int8Product, Int8Rows

Matrix = Tensor | Int8Rows
SMALL = 1 << 19
"""Multiplications below which float32 BLAS wins by its lower call cost (3 µs against 12), measured on one core."""


class Linear:
    """``x @ weight.T + bias`` for ``x`` [T, in], ``weight`` [out, in] and ``bias`` [out] or None, in their dtype.

    With a float16 ``weight`` on a CPU, ``x``, ``bias`` and the product are float32 and there is no gradient; see
    ``multiplies_half``.
    With ``Int8Rows``, ``x`` is float32 or bfloat16 and the product float32: who needs fewer bits rounds.
    A CPU weight that wants no gradient is packed for oneDNN. The plain copy is kept only beside a matrix too
    small for that to matter, so large weights are held once.
    """

    __slots__ = ("_half", "_int8", "_packed", "_size", "_weight", "bias", "rows")

    def __init__(self, weight: Matrix, bias: Tensor | None = None) -> None:
        self.bias = bias
        self.rows = weight.shape[0]
        self._int8: Int8Product | None = None
        self._weight: Tensor | None = None
        self._packed: Tensor | None = None
        self._half: Tensor | None = None
        self._size = weight.shape.numel()
        if isinstance(weight, Int8Rows):
            self._int8 = Int8Product(weight)
            return
        self._weight = weight
        if weight.dtype == torch.float16 and weight.device.type == "cpu":
            self._weight, self._half = None, _pack_half(weight)
        elif _packable(weight):
            self._packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 16)
            if weight.dtype == torch.bfloat16 or self._size >= SMALL:
                self._weight = None

    @staticmethod
    def fused(weights: Sequence[Matrix], biases: Sequence[Tensor] = ()) -> Linear:
        """One matrix whose outputs are those of ``weights`` one after the other."""
        return Linear(_joined(weights), torch.cat(list(biases)) if biases else None)

    def __call__(self, x: Tensor) -> Tensor:
        if self._int8 is not None:
            wide = self._int8(x)
            return wide if self.bias is None else wide.add_(self.bias)
        if self._half is not None:
            exact: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(x, self._half, self.bias)
            return exact
        if self._packed is None or (self._weight is not None and x.shape[0] * self._size < SMALL):
            assert self._weight is not None
            if self._weight.requires_grad:
                trained: Tensor = _Trained.apply(x, self._weight, self.bias)  # type: ignore[no-untyped-call]
                return trained
            return F.linear(x, self._weight, self.bias)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, "none", [], "")
        return product


def _joined(weights: Sequence[Matrix]) -> Matrix:
    if len(weights) == 1:
        return weights[0]
    plain = [weight for weight in weights if isinstance(weight, Tensor)]
    return torch.cat(plain) if plain else Int8Rows.joined([w for w in weights if isinstance(w, Int8Rows)])


def multiplies_half(device: torch.device) -> bool:
    """Whether float16 matrices can be multiplied with float32 rows on ``device``: FBGEMM is there, on x86 alone.

    These functions of PyTorch are marked as going away, and older ones demand a bias; where they don't work, nothing
    uses float16.
    """
    if device.type != "cpu":
        return False
    try:
        _pack_half(torch.zeros(1, 1))
    except (AttributeError, TypeError, RuntimeError):
        return False
    return True


def knows_bfloat16(device: torch.device) -> bool:
    """Whether products in bfloat16 are quicker than in float32 on ``device``: not where they are only emulated."""
    if device.type != "cpu":
        return True
    return bool(torch._C._has_mkldnn and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _pack_half(weight: Tensor) -> Tensor:
    with warnings.catch_warnings():  # of their deprecation, given once for each of the two functions
        warnings.simplefilter("ignore")
        packed: Tensor = torch.fbgemm_pack_gemm_matrix_fp16(weight.float())
        torch.fbgemm_linear_fp16_weight_fp32_activation(torch.zeros(1, weight.shape[1]), packed, None)
    return packed


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` of plain 2-D tensors by the quickest kernel for many rows; no gradient."""
    if _quick(weight):
        quick: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        return quick
    return F.linear(x, weight, bias)


class _Trained(torch.autograd.Function):
    """``product`` with a gradient, itself made of products: twice as fast as automatic differentiation on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        (slope,), (x, weight) = slopes, ctx.saved_tensors
        before = product(slope, weight.t()) if ctx.needs_input_grad[0] else None
        return before, product(slope.t(), x.t()), slope.sum(0) if ctx.needs_input_grad[2] else None


def _packable(weight: Tensor) -> bool:
    return _quick(weight) and not (weight.requires_grad and torch.is_grad_enabled())


def _quick(weight: Tensor) -> bool:
    """Whether oneDNN is there, and knows this kind of weight better than the default does."""
    if weight.device.type != "cpu" or not torch._C._has_mkldnn or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    return weight.dtype == torch.float32 or (weight.dtype == torch.bfloat16 and knows_bfloat16(weight.device))
