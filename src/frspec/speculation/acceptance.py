"""How well guesses did lately, and what larger or smaller drafts would have brought.

Knows: verdicts on drafted trees. Does not know: costs, drafters, what is drafted next.
Counts fade, so that the text of a while ago says less than that of now, and every share leans on a prior: the same
share over all texts, or at first a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

DEPTHS, RANKS = 16, 8
"""Depths and children of one node that are told apart; what lies beyond counts as the last of them."""
FIRST_CHANCE, LATER_CHANCE = 0.6, 0.9
"""Where nothing is known yet: the chance of a first guess, and of the next one relative to it."""
FIRST_TURNS = (FIRST_CHANCE, 0.35, 0.2, 0.15, 0.12, 0.1, 0.08, 0.07)
"""Where nothing is known yet: the chance of a node's best child, of the second best where that is wrong, and so on."""
RARER = 0.7
"""Where nothing is known yet: how often a guess is right on tokens of a larger size only, relative to the others."""


class Acceptance:
    """Faded counts of one text, or of many.

    levels: how many sizes of draft vocabulary are told apart. fade: what a count is worth one verdict later. prior:
    where little is known, what holds for other texts. weight: how many verdicts the prior counts for.
    """

    def __init__(self, levels: int, fade: float, weight: float, prior: Acceptance | None = None) -> None:
        self._prior, self._grow, self._weight, self._unit = prior, 1 / fade, weight, 1.0
        self._tried, self._right = [0.0] * DEPTHS, [0.0] * DEPTHS
        self._rank_tried, self._rank_right = [0.0] * RANKS, [0.0] * RANKS
        self._seen = [0.0] * (levels + 1)
        self._level_tried, self._level_right = [0.0] * (levels + 1), [0.0] * (levels + 1)

    def note(self, depth: int, children: int, rank: int | None, level: int, drafted_from: int) -> None:
        """One node at which the target picked a token.

        depth: of its ``children``, from 1. rank: which of them, in order of score, the picked one was; None for none of
        them. level: the smallest size that contains the token. drafted_from: the size that was drafted from.
        """
        if self._unit > 1e9:
            self._rescale()
        self._unit *= self._grow
        unit = self._unit
        self._seen[level] += unit
        if children == 0:
            return
        place = min(depth, DEPTHS) - 1
        self._tried[place] += unit
        for other in range(min(children, RANKS) if rank is None else min(rank + 1, RANKS)):
            self._rank_tried[other] += unit
        if rank is not None:
            self._right[place] += unit
            self._rank_right[min(rank, RANKS - 1)] += unit
        if depth == 1 and level <= drafted_from:
            self._level_tried[level] += unit
            self._level_right[level] += unit * (rank == 0)

    def first(self, level: int) -> float:
        """How likely the best of the root's children is right, drafted from size ``level``."""
        return sum(self._share(other) * self._level_chance(other) for other in range(level + 1))

    def later(self, depth: int) -> float:
        """How likely children at ``depth`` (from 1) hold the target's pick, relative to those of the root."""
        return self._chance(depth) / max(self._chance(1), 1e-9)

    def _chance(self, depth: int) -> float:
        place = min(depth, DEPTHS) - 1
        if self._prior is not None:
            prior = self._prior._chance(depth)
        elif depth == 1:
            prior = FIRST_CHANCE
        else:
            prior = self._chance(depth - 1) * (LATER_CHANCE if depth == 2 else 1.0)
        return self._lean(self._right[place], self._tried[place], prior)

    def ranks(self) -> list[float]:
        """How likely the pick is a node's best child, the second best, ..., relative to the best."""
        shares, left = list[float](), 1.0
        for chance in self._turns():
            shares.append(left * chance)
            left -= shares[-1]
        return [share / max(shares[0], 1e-9) for share in shares]

    def _turns(self) -> list[float]:
        """How likely a node's best child is the pick, then the second best where the best is not, and so on."""
        priors = FIRST_TURNS if self._prior is None else self._prior._turns()
        counts = zip(self._rank_right, self._rank_tried, priors, strict=True)
        return [self._lean(right, tried, prior) for right, tried, prior in counts]

    def _share(self, level: int) -> float:
        """How many of all tokens are of ``level``."""
        prior = self._prior._share(level) if self._prior else 0.5 ** (level + 1)
        return self._lean(self._seen[level], sum(self._seen), prior)

    def _level_chance(self, level: int) -> float:
        """How often guesses were right where the token was of ``level``: as over all texts, but for how much better or
        worse this one goes throughout, until more is known."""
        if self._prior is not None:
            prior = self._prior._level_chance(level) * self._usual() / max(self._prior._usual(), 1e-9)
        else:
            prior = self._usual() * (RARER if level else 1.0)
        return self._lean(self._level_right[level], self._level_tried[level], min(prior, 1.0))

    def _usual(self) -> float:
        """How often first guesses were right where they could be; learned faster than anything that is told apart."""
        prior = FIRST_CHANCE if self._prior is None else self._prior._usual()
        return self._lean(sum(self._level_right), sum(self._level_tried), prior, 0.5)

    def _lean(self, right: float, tried: float, prior: float, trust: float = 1.0) -> float:
        weight = trust * self._weight * self._unit
        return (right + weight * prior) / (tried + weight)

    def _rescale(self) -> None:
        for counts in (
            self._tried, self._right, self._rank_tried, self._rank_right, self._seen, self._level_tried,
            self._level_right,
        ):  # fmt: skip
            counts[:] = [count / self._unit for count in counts]
        self._unit = 1.0


class Surety:
    """How often tokens of each class of a drafter's sureness proved right, over all texts.

    priors: by class, where nothing is known yet.
    """

    def __init__(self, priors: Sequence[float], weight: float = 4.0) -> None:
        self._right = [weight * prior for prior in priors]
        self._tried = [weight] * len(priors)

    def note(self, kind: int, right: bool) -> None:
        """A token of class ``kind`` whose parent was on the path."""
        if self._tried[kind] > 500:  # so that the last few hundred count
            self._tried[kind] *= 0.5
            self._right[kind] *= 0.5
        self._tried[kind] += 1
        self._right[kind] += right

    def chances(self) -> tuple[float, ...]:
        """By class."""
        return tuple(right / tried for right, tried in zip(self._right, self._tried, strict=True))
