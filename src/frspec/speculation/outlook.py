"""What drafts of every shape can be expected to bring and to take.

Knows: chances, costs, arithmetic. Does not know: where either comes from, what is done about it.
It is asked every few rounds, some of which take two milliseconds: so candidates are plain numbers, and only the best
one of a kind becomes a ``Promise``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import log

import numpy as np

from frspec.speculation.costs import Costs
from frspec.speculation.plan import Plan, TreeShape

NODES = (3, 4, 6, 8, 12, 16, 24, 32, 48)
"""Sizes of trees that are compared."""
DEEPEST, DEEPEST_TREE = 12, 8


@dataclass(frozen=True)
class Promise:
    """A plan (None: plain decoding), and the tokens and seconds expected of one round of it, all requests together.

    factor: how many times longer rounds of its kind have turned out to take for a token than was expected.
    """

    plan: Plan | None
    tokens: float
    seconds: float
    factor: float = 1.0

    @property
    def rate(self) -> float:
        """Tokens per second."""
        return self.tokens / (self.seconds * self.factor)


@dataclass(frozen=True)
class Outlook:
    """The near future of ``batch`` requests that are drafted for together.

    firsts: by size of the draft vocabulary, how likely a first guess is right. later: [d] relative to it, how likely a
    guess at depth d + 1 is right whose parent was. ranks: how likely the pick is a node's best child, second best, ...,
    relative to the best.
    noisy: at a temperature. factor: see ``Promise``.
    """

    costs: Costs
    batch: int
    noisy: bool
    firsts: Mapping[int | None, float]
    later: Sequence[float]
    ranks: Sequence[float]
    factor: float = 1.0

    def chance(self, depth: int, size: int | None) -> float:
        """That the best guess at ``depth`` (from 1) is right."""
        return min(0.99, self.firsts[size] * self.later[min(depth, len(self.later)) - 1])

    def of_size(self, size: int) -> Outlook:
        """The same for drafts from ``size`` rows alone: chances lie on lines over the logarithm of the known sizes."""
        known = sorted((rows, first) for rows, first in self.firsts.items() if rows is not None)
        first = np.interp(log(size), [log(rows) for rows, _ in known], [first for _, first in known])
        return replace(self, costs=self.costs.of_size(size), firsts={size: float(first)})

    def best_chain(self) -> Promise:
        """The chain, of any depth from any size, that brings the most in its time."""
        rounds = [0.0, *(self._round(depth) for depth in range(1, DEEPEST + 1))]
        pick = self.costs.token(self.noisy)
        best: tuple[float, int, int | None, float, float] = (0.0, 0, None, 0.0, 1.0)
        for size, first in self.firsts.items():
            step = self.costs.draft(self.batch, size, self.noisy)
            reach = tokens = 1.0
            for depth, later in enumerate(self.later[:DEEPEST], 1):
                reach *= min(0.99, first * later)
                tokens += reach
                seconds = rounds[depth] + depth * step + self.batch * tokens * pick
                if tokens / seconds > best[0]:
                    best = (tokens / seconds, depth, size, tokens, seconds)
        _, depth, size, tokens, seconds = best
        return self._promise(TreeShape(depth, depth, 1), size, tokens, seconds)

    def best_tree(self, size: int | None, widths: Sequence[int]) -> Promise:
        """The dynamic tree (EAGLE-2) of one of ``widths``, at least one, that brings the most in its time.

        Chances of siblings are those of their ranks whatever the text: the real ones, which differ from node to node,
        are what makes a dynamic tree better than expected here.
        """
        first = self.costs.draft(self.batch, size, self.noisy) + self.batch * self.costs.tree
        rounds = {nodes: self._round(nodes) for nodes in NODES}
        pick = self.costs.token(self.noisy)
        best = (0.0, TreeShape(1, 1, 1), 0.0, 1.0)
        for width in widths:
            step = self.costs.draft(self.batch * width, size, self.noisy)
            found, frontier = list[float](), [1.0]
            for depth in range(1, DEEPEST_TREE + 1):
                chance = self.chance(depth, size)
                children = sorted(
                    (node * chance * rank for node in frontier for rank in self.ranks[:width]), reverse=True
                )
                found, frontier = sorted([*found, *children], reverse=True)[: NODES[-1]], children[:width]
                sums = list(accumulate(found))
                for nodes in NODES:
                    if depth <= nodes <= len(sums):
                        tokens = 1.0 + min(sums[nodes - 1], depth * 0.99)
                        seconds = rounds[nodes] + first + (depth - 1) * step + self.batch * tokens * pick
                        if tokens / seconds > best[0]:
                            best = (tokens / seconds, TreeShape(nodes, depth, width), tokens, seconds)
        return self._promise(best[1], size, best[2], best[3])

    def _promise(self, shape: TreeShape, size: int | None, tokens: float, seconds: float) -> Promise:
        return Promise(Plan(shape, size), self.batch * tokens, seconds, self.factor)

    def _round(self, nodes: int) -> float:
        """Seconds of verifying ``nodes`` drafts a request."""
        return self.costs.verify(self.batch * (1 + nodes))
