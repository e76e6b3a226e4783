"""Self-attention: projections, head norms, rotation. Knows: one layer. Does not know: caches, masks, sequences.

Who attends to whom is the caller's: ``attend`` gets the rotated queries and keys of the whole flat batch.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from frspec.models.layers.linear import Linear
from frspec.models.layers.norm import RMSNorm
from frspec.models.layers.rope import rotate


class Attend(Protocol):
    """Mixes values along each sequence of the flat batch."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``q`` [T, heads, D], ``k`` and ``v`` [T, kv_heads, D] of layer number ``layer`` → [T, heads · D]."""
        ...


class Attention:
    """Grouped-query attention with one matrix for queries, keys and values.

    ``head_norm`` (Qwen3) normalises each query and key head; its weight is [heads + kv_heads, D].
    """

    __slots__ = ("head_dim", "head_norm", "heads", "kv_heads", "layer", "output", "qkv")

    def __init__(
        self, layer: int, qkv: Linear, output: Linear, heads: int, kv_heads: int, head_norm: RMSNorm | None = None
    ) -> None:
        self.layer = layer
        self.qkv = qkv
        self.output = output
        self.heads = heads
        self.kv_heads = kv_heads
        self.head_dim = qkv.rows // (heads + 2 * kv_heads)
        self.head_norm = head_norm

    def __call__(self, x: Tensor, angles: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        qkv = self.qkv(x).view(x.shape[0], -1, self.head_dim)
        rotated, v = qkv.split_with_sizes((self.heads + self.kv_heads, self.kv_heads), 1)
        if self.head_norm is not None:
            rotated = self.head_norm(rotated)
        q, k = rotate(rotated, angles).to(x.dtype).split_with_sizes((self.heads, self.kv_heads), 1)
        return self.output(attend(self.layer, q, k, v.to(x.dtype)))
