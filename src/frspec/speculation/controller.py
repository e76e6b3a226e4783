"""Which draft pays: chain or tree, how deep, how wide, from how much of the vocabulary, or none.

Knows: what parts of a round cost (``Costs``), how guesses did lately (``Acceptance``). Does not know: models, texts.
A plan is worth the tokens it is expected to bring over the seconds it is expected to take; the best one is used, if it
beats plain decoding. Expectations are held against what came of them, for plain and for drafted rounds. A text that is not
drafted for is tried again now and then, after ever longer rests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frspec.speculation.acceptance import Acceptance, Surety
from frspec.speculation.costs import Costs
from frspec.speculation.drafters.base import Adaptive, DraftState
from frspec.speculation.growth import CLASSES
from frspec.speculation.outlook import DEEPEST, Outlook, Promise
from frspec.speculation.plan import Plan, Stop, TreeShape
from frspec.types import TokenTree

WIDTHS, TREES = (2, 4, 8), 8
"""Widths of trees that are compared with chains, at every so manieth revision while a chain is in use."""
REVISE = 16
"""Rounds that one plan is kept for; fewer at first."""
CHECK, CLOSE = 64, 1.5
"""Drafted rounds after which one plain round is taken to see what it costs now, unless the plan promises so many times its
speed that it could not matter."""
SPARE = 4
"""Depths beyond the best one on average that a chain may grow to where it is sure of itself."""
LONGEST_REST = 256
TEXT_FADE, FADE, TEXT_WEIGHT, WEIGHT = 0.98, 0.998, 6.0, 8.0
"""How fast verdicts fade and for how many a prior counts, in one text and over all."""


@dataclass
class Verdict:
    """What the target made of one request's tree: the ``path`` it took and the tokens that it ``emitted``."""

    state: DraftState
    tree: TokenTree
    path: Sequence[int]
    emitted: Sequence[int]


@dataclass
class Habits:
    """One text's: how guesses do in it; how many more rounds it goes without them, and how long its last rest was."""

    acceptance: Acceptance
    rest: int = 0
    last_rest: int = 1


class Pace:
    """How many times longer a token takes than expected; old rounds fade, and at first a few count as expected."""

    def __init__(self) -> None:
        self._measured, self._expected = 0.0, 0.0
        self.factor = 1.0

    def note(self, seconds: float, tokens: float, promise: Promise) -> None:
        """One round, held against its promise; one that was held up by something else counts as three at most."""
        expected = promise.seconds * tokens / promise.tokens
        seconds = min(seconds, 3 * promise.seconds * self.factor)
        self._measured = 0.95 * self._measured + seconds
        self._expected = 0.95 * self._expected + expected
        self.factor = (self._measured + 3 * promise.seconds) / (self._expected + 3 * promise.seconds)


class Controller:
    """Plans for one engine and one drafter; see the module. stops: chains may end early, which on a GPU would mean to wait
    for it at every depth."""

    def __init__(self, costs: Costs, drafter: Adaptive, vocab_size: int, stops: bool = True) -> None:
        self.costs, self.stops = costs, stops
        self._sizes, self._widest, self._levels = drafter.sizes, drafter.widest, drafter.row_levels(vocab_size)
        middles = [(kind + 0.5) / CLASSES for kind in range(CLASSES)]
        self._all = {noisy: Acceptance(len(self._sizes), FADE, WEIGHT) for noisy in (False, True)}
        self._surety = {noisy: Surety(middles if self._sizes else [0.5] * CLASSES) for noisy in (False, True)}
        self._pace = {drafted: Pace() for drafted in (False, True)}
        self._promise, self._plain = Promise(None, 1, 1.0), Promise(None, 1, 1.0)
        self._trial: Plan | None = None
        self._planned_for: tuple[int, bool] | None = None
        self._rest = 1
        self._age = self._rounds = self._revisions = 0
        self._unchecked, self._news = CHECK - 2, True

    def plan(self, states: Sequence[DraftState]) -> Plan | None:
        """For the next round of ``states``, or None to decode plainly."""
        noisy = any(state.temperature > 0 for state in states)
        habits = [self._habits(state, noisy) for state in states]
        self._age += 1
        self._rounds += 1
        if (self._news and self._age >= min(REVISE, self._rounds // 2)) or self._planned_for != (len(states), noisy):
            self._age, self._news, self._planned_for = 0, False, (len(states), noisy)
            self._revise(habits, noisy)
        if self._promise.plan is None:
            rested = 2 * sum(one.rest <= 0 for one in habits) >= len(habits)
            return self._trial if rested else None
        self._unchecked += 1
        if self._unchecked > CHECK and self._promise.rate < CLOSE * self._plain.rate:
            self._unchecked = 0
            return None
        return self._promise.plan

    def learn(self, verdicts: Sequence[Verdict], plan: Plan | None, seconds: float) -> None:
        """What came of a round that took ``seconds``, drafted to ``plan``."""
        noisy = any(verdict.state.temperature > 0 for verdict in verdicts)
        self._news |= plan is not None
        drafted_from = self._level(plan.rows if plan is not None else None)
        trial = plan is not None and plan is not self._promise.plan
        for verdict in verdicts:
            habits = self._habits(verdict.state, noisy)
            self._judge(verdict, habits.acceptance, drafted_from, noisy)
            if trial:
                right = len(verdict.path) > 1
                habits.last_rest = 1 if right else min(2 * habits.last_rest, LONGEST_REST)
                habits.rest = 0 if right else habits.last_rest
                self._rest = habits.rest
            elif plan is None:
                habits.rest -= 1
        if trial and any(len(verdict.path) > 1 for verdict in verdicts):
            self._age = REVISE  # guesses that come right may change the plan
        if plan is None or not trial:
            promise = self._plain if plan is None else self._promise
            self._pace[plan is not None].note(seconds, sum(len(verdict.emitted) for verdict in verdicts), promise)

    def _habits(self, state: DraftState, noisy: bool) -> Habits:
        if not isinstance(state.habits, Habits):
            everything = self._all[noisy]
            own = Acceptance(len(self._sizes), TEXT_FADE, TEXT_WEIGHT, everything)
            state.habits = Habits(own, self._rest // 2, max(1, self._rest // 2))
        return state.habits

    def _level(self, rows: int | None) -> int:
        return self._sizes.index(rows) if rows is not None else max(0, len(self._sizes) - 1)

    def _judge(self, verdict: Verdict, own: Acceptance, drafted_from: int, noisy: bool) -> None:
        """Note of every token whether it was among the guesses."""
        guesses, surety = verdict.state.guesses, self._surety[noisy]
        below = {} if guesses else _children(verdict.tree)
        for place, token in enumerate(verdict.emitted):
            rank, children = None, 0
            if guesses:
                children = int(place < len(guesses))
                rank = 0 if children and guesses[place][0] == token else None
            elif found := below.get(verdict.path[place]):
                children = len(found)
                rank = found.index(verdict.path[place + 1]) if place + 1 < len(verdict.path) else None
            for acceptance in (own, self._all[noisy]):
                acceptance.note(place + 1, children, rank, self._levels[token], drafted_from)
            if guesses and children:
                surety.note(guesses[place][1], rank == 0)
        verdict.state.guesses = []

    def _revise(self, habits: Sequence[Habits], noisy: bool) -> None:
        """Find the plan with the highest rate."""
        outlook, batch = self._outlook(habits, noisy), len(habits)
        widths = [width for width in WIDTHS if width <= self._widest]
        seconds = self.costs.verify(batch) + batch * self.costs.token(noisy)
        self._plain = best = Promise(None, batch, seconds, self._pace[False].factor)
        chain = outlook.best_chain()
        assert chain.plan is not None
        self._trial = Plan(TreeShape(1, 1, 1), chain.plan.rows)
        best = max(best, chain, key=lambda promise: promise.rate)
        in_use = self._promise.plan is not None and self._promise.plan.shape.width > 1
        if widths and (in_use or self._revisions % TREES == 0):
            best = max(best, outlook.best_tree(chain.plan.rows, widths), key=lambda promise: promise.rate)
        self._revisions += 1
        free = not self._sizes and self.stops  # looking something up costs nothing, and says how sure it is
        if free or (best is chain and self.stops):
            best = self._with_stop(chain, outlook)
        self._promise = best

    def _outlook(self, habits: Sequence[Habits], noisy: bool) -> Outlook:
        def mean(values: Sequence[float]) -> float:
            return sum(values) / len(values)

        texts = [one.acceptance for one in habits]
        used = self._level(self._promise.plan.rows if self._promise.plan else None)
        scales: dict[int | None, float] = {} if self._sizes else {None: 1.0}
        for level, size in enumerate(self._sizes):
            scales[size] = mean([text.reach(level) / text.reach(used) for text in texts])
        chances = [mean([text.chance(depth) for text in texts]) for depth in range(1, DEEPEST + 1)]
        ranks = [mean(shares) for shares in zip(*(text.ranks() for text in texts), strict=True)]
        return Outlook(self.costs, len(texts), noisy, chances, scales, ranks, self._pace[True].factor)

    def _with_stop(self, chain: Promise, outlook: Outlook) -> Promise:
        """The chain free to end where the next token is worth less than its time, and to go on where it is worth more."""
        assert chain.plan is not None
        size, batch, costs = chain.plan.rows, outlook.batch, self.costs
        depth = chain.plan.shape.depth + (SPARE if size is not None else 8)
        rate = chain.rate * chain.factor
        row = (costs.verify(batch * (1 + chain.plan.shape.depth)) - costs.verify(batch)) / chain.plan.shape.depth
        node = rate * row / batch
        level = rate * (costs.draft(batch, size, outlook.noisy) + row)
        worth = 1.0 - rate / batch * batch * costs.token(outlook.noisy)
        hope = tuple(outlook.chance(depth, size) * worth for depth in range(1, depth + 1))
        stop = Stop(level, node, hope, self._surety[outlook.noisy].chances())
        return Promise(Plan(TreeShape(depth, depth, 1), size, stop), chain.tokens, chain.seconds, chain.factor)


def _children(tree: TokenTree) -> dict[int, list[int]]:
    """The children of each node, in the order they stand in: the best first."""
    found: dict[int, list[int]] = {}
    for node, parent in enumerate(tree.parents.tolist()[1:], 1):
        found.setdefault(parent, []).append(node)
    return found
