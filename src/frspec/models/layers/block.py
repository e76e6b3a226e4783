"""One decoder layer. Knows: the order of its parts. Does not know: caches, or how many layers there are."""

from __future__ import annotations

from torch import Tensor

from frspec.models.layers.attention import Attend, Attention
from frspec.models.layers.mlp import MLP
from frspec.models.layers.norm import RMSNorm


class Block:
    """Pre-norm attention and feed-forward, each added to the stream.

    ``attention_norm`` is None in an EAGLE head, whose input goes to the attention as it is.
    """

    __slots__ = ("attention", "attention_norm", "mlp", "mlp_norm")

    def __init__(self, attention_norm: RMSNorm | None, attention: Attention, mlp_norm: RMSNorm, mlp: MLP) -> None:
        self.attention_norm = attention_norm
        self.attention = attention
        self.mlp_norm = mlp_norm
        self.mlp = mlp

    def __call__(self, x: Tensor, angles: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        normed = x if self.attention_norm is None else self.attention_norm(x)
        x = (x + self.attention(normed, angles, attend)).to(x.dtype)
        return (x + self.mlp(self.mlp_norm(x))).to(x.dtype)
