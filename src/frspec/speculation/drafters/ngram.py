"""Drafts by looking the last few tokens up in the text so far (prompt lookup; Saxena, 2023). No training, no model.

Knows: token ids. Does not know: probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from frspec.clock import Clock
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.plan import Plan, Stop
from frspec.types import TokenTree

LONGEST = 4
"""Sizes of matches that are told apart; longer ones count as such."""


@dataclass
class _Index:
    """For each n-gram, where its latest occurrence that something follows ends."""

    ends: dict[tuple[int, ...], int] = field(default_factory=dict)
    indexed: int = 0


class NgramDrafter:
    """Proposes the ``nodes`` tokens that followed the latest earlier occurrence of the longest matching n-gram.

    longest, shortest: n-gram sizes to try, in tokens.
    """

    name = "ngram"

    sizes: tuple[int, ...] = ()
    widest = 1
    sureness = (0.0, 0.15, 0.35, 0.5, 0.6, 0.5, 0.6, 0.7, 0.8)

    def __init__(self, nodes: int, longest: int = LONGEST, shortest: int = 1) -> None:
        self.max_nodes = nodes
        self._sizes = range(longest, shortest - 1, -1)

    def costs_depend_on(self) -> Sequence[Any]:
        """See ``Adaptive``: it costs nothing."""
        return []

    def row_levels(self, vocab_size: int) -> Sequence[int]:
        """See ``Adaptive``: there is no head, and so no size."""
        return bytes(vocab_size)

    def propose(self, states: Sequence[DraftState], clock: Clock, plan: Plan | None = None) -> list[TokenTree]:
        """One chain per state; only the root where nothing matches. How sure it is of a token: the match's size."""
        trees = []
        for state in states:
            size, found = self._continuation(state, plan.shape.nodes if plan else self.max_nodes)
            # By the match's size, the first token apart from those after it: where that was right, they mostly are.
            kind = min(size, LONGEST)
            state.guesses = [(token, kind if place == 0 else kind + LONGEST) for place, token in enumerate(found)]
            if plan is not None and plan.stop is not None:
                del found[_worth(plan.stop, state.guesses) :]
            trees.append(TokenTree.chain([state.tokens[-1], *found]))
        clock.lap("draft lookup")
        return trees

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        """Nothing to learn: this drafter reads the text itself."""

    row_bytes = 0

    def resume(self, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:  # noqa: ARG002 - the index is the other's
        """Begin with an empty index: it reads the text itself."""
        return None, rows

    def _continuation(self, state: DraftState, most: int) -> tuple[int, list[int]]:
        """The size of the longest n-gram found and what followed it there; 0 and nothing."""
        tokens = state.tokens
        index = state.memory = state.memory or _Index()
        for end in range(index.indexed + 1, len(tokens)):
            for size in self._sizes:
                if size <= end:
                    index.ends[tuple(tokens[end - size : end])] = end
        index.indexed = len(tokens) - 1
        for size in self._sizes:
            found = index.ends.get(tuple(tokens[-size:])) if size <= len(tokens) else None
            if found is not None:
                return size, tokens[found : found + min(most, state.room)]
        return 0, []


def _worth(stop: Stop, guesses: Sequence[tuple[int, int]]) -> int:
    """How many of ``guesses`` are worth verifying."""
    reach, count = 1.0, 0
    for _, kind in guesses:
        reach *= stop.chances[kind]
        if reach < stop.node_price:
            break
        count += 1
    return count
