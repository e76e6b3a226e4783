"""What the target made of guesses, noted by text and over all texts.

Knows: trees, the paths the target took. Does not know: costs, plans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frspec.speculation.acceptance import Acceptance, Surety
from frspec.speculation.drafters.base import DraftState
from frspec.types import TokenTree

TEXT_FADE, FADE, TEXT_WEIGHT, WEIGHT = 0.98, 0.998, 6.0, 8.0
"""How fast verdicts fade and for how many a prior counts, in one text and over all."""


@dataclass
class Verdict:
    """What the target made of one request's tree: the ``path`` it took and the tokens that it ``emitted``."""

    state: DraftState
    tree: TokenTree
    path: Sequence[int]
    emitted: Sequence[int]


class Experience:
    """With a drafter of so many ``sizes`` of head.

    levels: [V] by token the smallest size that has it. sureness: what chances a drafter's classes of sureness begin
    with. ``overall``, ``surety``: of greedy (False) and of sampled (True) texts.
    """

    def __init__(self, sizes: int, levels: Sequence[int], sureness: Sequence[float]) -> None:
        self.overall = {noisy: Acceptance(sizes, FADE, WEIGHT) for noisy in (False, True)}
        self.surety = {noisy: Surety(sureness) for noisy in (False, True)}
        self._sizes, self._levels = sizes, levels

    def habits(self, state: DraftState) -> Acceptance:
        """How guesses do in this text."""
        if not isinstance(state.habits, Acceptance):
            prior = self.overall[state.temperature > 0]
            state.habits = Acceptance(self._sizes, TEXT_FADE, TEXT_WEIGHT, prior)
        return state.habits

    def judge(self, verdict: Verdict, drafted_from: int) -> None:
        """Note of every token whether it was among the guesses, which came from the size ``drafted_from``; for other
        texts too, unless a grammar had its say."""
        noisy, own = verdict.state.temperature > 0, self.habits(verdict.state)
        told = [own] if verdict.state.guided else [own, self.overall[noisy]]
        guesses, surety = verdict.state.guesses, self.surety[noisy]
        below = {} if guesses else _children(verdict.tree)
        for place, token in enumerate(verdict.emitted):
            rank, children = None, 0
            if guesses:
                children = int(place < len(guesses))
                rank = 0 if children and guesses[place][0] == token else None
            elif found := below.get(verdict.path[place]):
                children = len(found)
                rank = found.index(verdict.path[place + 1]) if place + 1 < len(verdict.path) else None
            for acceptance in told:
                acceptance.note(place + 1, children, rank, self._levels[token], drafted_from)
            if guesses and children and not verdict.state.guided:
                surety.note(guesses[place][1], rank == 0)
            if guesses and rank is None:
                del guesses[place + 1 :]  # guesses behind a wrong one say nothing of what a grammar forced there
        verdict.state.guesses = []


def _children(tree: TokenTree) -> dict[int, list[int]]:
    """The children of each node, in the order they stand in: the best first."""
    found: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents.tolist()[1:], 1):
        found.setdefault(parent, []).append(node)
    return found
