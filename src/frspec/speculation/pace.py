"""How long rounds take against what their costs promise.

Knows: seconds, plans. Does not know: what guesses are worth, which plan is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from frspec.speculation.costs import Costs
from frspec.speculation.experience import Verdict
from frspec.speculation.plan import Plan


class Pace:
    """How many times longer rounds of one kind take than expected; old ones fade."""

    def __init__(self) -> None:
        self._ratios, self._rounds = 0.0, 0.0

    @property
    def known(self) -> bool:
        """Whether there were more rounds than the prior counts for."""
        return self._rounds > 3

    def note(self, seconds: float, expected: float) -> None:
        """One round; one that was held up by something else counts as three at most."""
        self._ratios = 0.95 * self._ratios + min(seconds / expected, 3 * self.factor())
        self._rounds = 0.95 * self._rounds + 1

    def factor(self, prior: float = 1.0) -> float:
        """The mean; ``prior`` counts as three rounds."""
        return (self._ratios + 3 * prior) / (self._rounds + 3)


class Paces:
    """Of rounds that about as many texts share: without drafts, with drafts, and of single guesses that are tried."""

    def __init__(self) -> None:
        self.plain, self.drafted, self.trials = Pace(), Pace(), Pace()

    def factor(self, drafted: bool) -> float:
        """Of rounds with or without drafts; while there were few of one kind, what holds for the other."""
        one, other = (self.drafted, self.plain) if drafted else (self.plain, self.drafted)
        return one.factor(other.factor())


def expected_seconds(costs: Costs, verdicts: Sequence[Verdict], plan: Plan | None, depth: int, noisy: bool) -> float:
    """What the costs say of a round; ``depth``: of chains that may have ended early, else 0."""
    batch = len(verdicts)
    seconds = costs.verify(sum(len(verdict.tree) for verdict in verdicts))
    seconds += sum(len(verdict.emitted) for verdict in verdicts) * costs.token(noisy)
    if plan is not None:
        depth, width = depth or plan.shape.depth, plan.shape.width
        seconds += costs.draft(batch, plan.rows, noisy) + (costs.tree * batch if width > 1 else 0.0)
        seconds += (depth - 1) * costs.draft(batch * width, plan.rows, noisy)
    return seconds
