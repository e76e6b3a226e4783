"""How well guesses did lately, and what larger or smaller drafts would have brought.

Knows: verdicts on drafted trees. Does not know: costs, drafters, what is drafted next.
Counts fade, so that the text of a while ago says less than that of now, and every share leans on a prior: the same
share over all texts, or at first a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

DEPTHS, RANKS = 16, 8
"""Depths and children of one node that are told apart; what lies beyond counts as the last of them."""
FIRST_CHANCE, LATER_CHANCE = 0.6, 0.9
"""Where nothing is known yet: the chance of a first guess, and of the next one relative to it."""
FIRST_TURNS = (FIRST_CHANCE, 0.35, 0.2, 0.15, 0.12, 0.1, 0.08, 0.07)
"""Where nothing is known yet: the chance of a node's best child, of the second best where that is wrong, and so on."""
RARER = 0.7
"""Where nothing is known yet: how often a guess is right on tokens of a larger size only, relative to the others."""


def _remembered(compute: Callable[[Acceptance], list[float]]) -> Callable[[Acceptance], list[float]]:
    """The same until something new is noted, for an ``Acceptance`` that many lean on."""
    name = compute.__name__

    def ask(self: Acceptance) -> list[float]:
        if self._prior is not None:
            return compute(self)  # it changes with the prior too
        if name not in self._known:
            self._known[name] = compute(self)
        return self._known[name]

    return ask


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
        self._known: dict[str, list[float]] = {}

    def note(self, depth: int, children: int, rank: int | None, level: int, drafted_from: int) -> None:
        """One node at which the target picked a token.

        depth: of its ``children``, from 1. rank: which of them, in order of score, the picked one was; None for none of
        them. level: the smallest size that contains the token. drafted_from: the size that was drafted from.
        """
        if self._unit > 1e9:
            self._rescale()
        self._unit *= self._grow
        unit = self._unit
        self._known.clear()
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

    def firsts(self) -> list[float]:
        """By level, how likely the best of the root's children is right, drafted from that size."""
        return list(accumulate(share * chance for share, chance in zip(self._shares(), self._by_level(), strict=True)))

    def laters(self) -> list[float]:
        """By depth, how likely children hold the target's pick, relative to those of the root."""
        chances = self._chances()
        return [chance / max(chances[0], 1e-9) for chance in chances]

    @_remembered
    def _chances(self) -> list[float]:
        """By depth, how likely children hold the pick."""
        if self._prior is not None:
            counts = zip(self._right, self._tried, self._prior._chances(), strict=True)
            return [self._lean(right, tried, prior) for right, tried, prior in counts]
        found, prior = list[float](), FIRST_CHANCE
        for place, (right, tried) in enumerate(zip(self._right, self._tried, strict=True)):
            found.append(self._lean(right, tried, prior))
            prior = found[-1] * (LATER_CHANCE if place == 0 else 1.0)
        return found

    def ranks(self) -> list[float]:
        """How likely the pick is a node's best child, the second best, ..., relative to the best."""
        shares, left = list[float](), 1.0
        for chance in self._turns():
            shares.append(left * chance)
            left -= shares[-1]
        return [share / max(shares[0], 1e-9) for share in shares]

    @_remembered
    def _turns(self) -> list[float]:
        """How likely a node's best child is the pick, then the second best where the best is not, and so on."""
        priors = FIRST_TURNS if self._prior is None else self._prior._turns()
        counts = zip(self._rank_right, self._rank_tried, priors, strict=True)
        return [self._lean(right, tried, prior) for right, tried, prior in counts]

    @_remembered
    def _shares(self) -> list[float]:
        """By level, how many of all tokens are of it."""
        total, levels = sum(self._seen), range(len(self._seen))
        priors = self._prior._shares() if self._prior else [0.5 ** (level + 1) for level in levels]
        return [self._lean(seen, total, prior) for seen, prior in zip(self._seen, priors, strict=True)]

    @_remembered
    def _by_level(self) -> list[float]:
        """By level, how often guesses were right where the token was of it: as over all texts, but for how much better
        or worse this one goes throughout, until more is known."""
        usual = self._usual()
        if self._prior is not None:
            factor = usual / max(self._prior._usual(), 1e-9)
            priors = [chance * factor for chance in self._prior._by_level()]
        else:
            priors = [usual * (RARER if level else 1.0) for level in range(len(self._seen))]
        counts = zip(self._level_right, self._level_tried, priors, strict=True)
        return [self._lean(right, tried, min(prior, 1.0)) for right, tried, prior in counts]

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
