"""What a drafter is asked for in one round: how large a tree, from how much of the vocabulary, and when to give up.

Knows: numbers. Does not know: who asks, how a drafter obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frspec.errors import UserError

LARGEST = 512
"""No tree is wider, deeper or has more nodes: its mask grows with the square, its use ends long before."""


@dataclass(frozen=True)
class TreeShape:
    """How large a draft may be: ``nodes`` drafted tokens, at most ``depth`` deep, ``width`` wide (1 is a chain)."""

    nodes: int = 15
    depth: int = 5
    width: int = 4

    def __post_init__(self) -> None:
        for name in ("nodes", "depth", "width"):
            if not 1 <= getattr(self, name) <= LARGEST:
                raise UserError(f"the tree's {name} is {getattr(self, name)}; it must be from 1 to {LARGEST}")

    def __str__(self) -> str:
        chain = self.width == 1 and self.depth >= self.nodes
        return f"chain:{self.nodes}" if chain else f"tree:{self.nodes}/{self.depth}/{self.width}"


def tree_shape(nodes: int | None, depth: int | None, width: int | None) -> TreeShape | None:
    """The shape that was asked for, with the usual values for what was left out; None where all was."""
    if nodes is depth is width is None:
        return None
    usual = TreeShape()
    return TreeShape(
        usual.nodes if nodes is None else nodes,
        usual.depth if depth is None else depth,
        usual.width if width is None else width,
    )


@dataclass(frozen=True)
class Stop:
    """When a chain is long enough, judged while it grows, by what the next token would bring and cost.

    Prices are in tokens: what the time would bring elsewhere. ``level_price``: of one more draft step and of verifying
    what it finds; ``node_price``: of verifying one token that is there already. ``hope[d]``: how likely the target
    follows a draft from depth d to d + 1 (the last one repeats). ``chances[c]``: how often tokens proved right of which
    the drafter was as sure as class ``c``.
    """

    level_price: float
    node_price: float
    hope: tuple[float, ...]
    chances: tuple[float, ...]

    def goes_on(self, reach: Sequence[float], depth: int) -> bool:
        """Whether chains that hold up to ``depth`` with the chances ``reach``, one a request, are worth a step more."""
        return sum(reach) * self.hope[min(depth, len(self.hope) - 1)] > self.level_price


@dataclass(frozen=True)
class Plan:
    """A ``shape``, from the first ``rows`` of the draft head (None: all), until ``stop``, if any, says enough."""

    shape: TreeShape
    rows: int | None = None
    stop: Stop | None = None
