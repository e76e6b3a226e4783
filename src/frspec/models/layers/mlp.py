"""The gated feed-forward block (SwiGLU, arXiv 2002.05202). Knows: one row at a time."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from frspec.models.layers.linear import Linear


class MLP:
    """``down(silu(gate(x)) * up(x))`` with ``gate_up`` [2 · intermediate, hidden], the gate's rows first."""

    __slots__ = ("down", "gate_up")

    def __init__(self, gate_up: Linear, down: Linear) -> None:
        self.gate_up = gate_up
        self.down = down

    def __call__(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)
