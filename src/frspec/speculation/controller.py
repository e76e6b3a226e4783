"""Which draft pays: chain or tree, how deep, how wide, from how much of the vocabulary, or none.

Knows: what parts of a round cost (``Costs``), how guesses did lately (``Acceptance``). Does not know: models, texts.
A plan is worth the tokens it is expected to bring over the seconds it is expected to take; the best one is used, if it
beats plain decoding. Expectations are held against what came of them, for plain and for drafted rounds. Where
nothing is drafted a single guess is tried now and then, as often as its cost stays small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import ceil

from frspec.speculation.acceptance import Acceptance
from frspec.speculation.costs import Costs
from frspec.speculation.drafters.base import Adaptive, DraftState
from frspec.speculation.experience import Experience, Verdict
from frspec.speculation.outlook import DEEPEST, NODES, Outlook, Promise
from frspec.speculation.pace import Paces, expected_seconds
from frspec.speculation.plan import Plan, Stop, TreeShape

WIDTHS, TREES = (2, 4, 8), 8
"""Widths of trees that are compared with chains; at every so manieth revision while a chain is in use, for it takes a
millisecond."""
REVISE = 16
"""Rounds that one plan is kept for; fewer at first."""
CHECK, FIRST_CHECKS, CLOSE, SELDOM = 64, 4, 1.5, 256
"""Drafted rounds, fewer for the first few times, after which plain rounds are taken to see what they cost now; where
the plan promises so many times their speed that it could hardly matter, after many more: plain rounds may have become
quicker by more than drafted ones."""
IN_A_ROW, WEIGHT_OF_CHECK = 3, 4
"""Plain rounds of a check, of which the last one counts, for several: the first ones still find in the processor's
caches what drafts left there, and took 7 to 10 % longer."""
SPARE = 4
"""Depths beyond the best one on average that a chain may grow to where it is sure of itself."""
TRIAL_SHARE, LONGEST_REST = 0.01, 256
"""The time that trials may cost texts that are not drafted for; how many tokens each goes without one at most."""
FREE_DEPTH = 10
"""Tokens that a drafter may propose to which it costs nothing."""


class Controller:
    """Plans for one engine and one drafter; see the module.

    stops: chains may end early, which on a GPU would mean to wait for it at every depth. ``max_nodes``: of any plan.
    """

    max_nodes = NODES[-1]

    def __init__(self, costs: Costs, drafter: Adaptive, vocab_size: int, stops: bool = True) -> None:
        self.costs, self.stops = costs, stops
        self._sizes, self._widest, self._levels = drafter.sizes, drafter.widest, drafter.row_levels(vocab_size)
        self._sureness = drafter.sureness
        self.forget()

    def forget(self) -> None:
        """Know nothing but the costs, as at first."""
        self._seen = Experience(len(self._sizes), self._levels, self._sureness)
        self._habits = self._seen.habits
        self._paces = defaultdict[int, Paces](Paces)
        self._batch = 1
        self._promise, self._plain = Promise(None, 1, 1.0), Promise(None, 1, 1.0)
        self._trial: Plan | None = None
        self._planned_for = (0, False)
        self._rest = self._pause = 0
        self._age = self._rounds = self._revisions = self._trials = 0
        self._unchecked, self._checking = 0, 0
        self._news, self._drafted_from = True, self._level(None)

    def plan(self, states: Sequence[DraftState], beside: int = 0) -> Plan | None:
        """For the next round of ``states``, or None to decode plainly. beside: rows of prompts that share the pass."""
        noisy = any(state.temperature > 0 for state in states)
        texts = [self._habits(state) for state in states]
        self._age += 1
        self._rounds += 1
        self._batch = len(states)
        if (self._news and self._age >= min(REVISE, self._rounds // 2)) or self._is_for_others(noisy):
            self._age, self._news, self._planned_for = 0, False, (self._batch, noisy)
            self._revise(texts, noisy)
        if self._promise.plan is None:
            self._rest -= len(states)
            return self._trial if self._rest < 0 and beside == 0 else None
        if self._checking > 0:
            self._checking -= 1
            return None
        self._unchecked += 1
        close = self._promise.rate < CLOSE * self._plain.rate
        if self._unchecked > (SELDOM if not close else CHECK if self._pace.plain.known else FIRST_CHECKS):
            self._unchecked, self._checking = 0, IN_A_ROW - 1
            return None
        return self._promise.plan if beside == 0 or self._pays_beside(beside, noisy) else None

    def _pays_beside(self, rows: int, noisy: bool) -> bool:
        """Whether the plan is worth its time in a pass that is long anyway, where a row costs what its arithmetic does:
        against what the same tokens would take in rounds of their own."""
        promise, batch = self._promise, self._batch
        assert promise.plan is not None
        shape, size = promise.plan.shape, promise.plan.rows
        nodes = min(shape.nodes, ceil(2 * promise.tokens / batch))  # chains end early
        seconds = self.costs.verify(rows + batch * (1 + nodes)) - self.costs.verify(rows + batch)
        seconds += min(shape.depth, nodes) * self.costs.draft(batch * shape.width, size, noisy)
        return (promise.tokens - batch) / promise.rate > seconds * promise.factor

    def foresee(self, size: int, noisy: bool) -> float:
        """Tokens per second of drafts from ``size`` head rows, the prompt aside, for a text like those seen.

        By the costs, and by how guesses did and how long rounds took so far; the drafter need not have that size.
        """
        outlook = self._outlook([self._seen.overall[noisy]], noisy).of_size(size)
        plans = [outlook.best_chain(), *([outlook.best_tree(size, self._widths)] if self._widths else [])]
        return max(plan.rate for plan in plans)

    @property
    def _widths(self) -> list[int]:
        return [width for width in WIDTHS if width <= self._widest]

    @property
    def drafts(self) -> bool:
        """Whether the next rounds will, as things stand, be drafted."""
        return self._promise.plan is not None

    def _is_for_others(self, noisy: bool) -> bool:
        """Whether the plan was made for other temperatures, or for a batch of quite another size."""
        batch, warm = self._planned_for
        return warm != noisy or 4 * abs(self._batch - batch) > self._batch

    @property
    def _pace(self) -> Paces:
        """Of rounds that about as many texts share: costs are those of one text's rows, and together they take more."""
        return self._paces[self._batch.bit_length()]

    def learn(self, verdicts: Sequence[Verdict], plan: Plan | None, seconds: float | None) -> None:
        """What came of a round that took ``seconds``, drafted to ``plan``; None where something else took time too."""
        noisy = any(verdict.state.temperature > 0 for verdict in verdicts)
        if plan is not None:
            self._news, self._drafted_from = True, self._level(plan.rows)
        depth = 0
        for verdict in verdicts:
            depth = max(depth, len(verdict.state.guesses))
            self._seen.judge(verdict, self._drafted_from)
        if seconds is not None:
            self._time(seconds, expected_seconds(self.costs, verdicts, plan, depth, noisy), plan)
        if plan is not None and plan is self._trial:
            self._rest = self._pause
            if any(len(verdict.path) > 1 for verdict in verdicts):
                self._age = REVISE  # a guess that came right may change the plan
            self._trials += 1

    def _time(self, seconds: float, expected: float, plan: Plan | None) -> None:
        """Note what a round took. After a rest a drafter may have much to read, which other drafts have not: how long
        a trial took says what trials cost, and of drafts only that they take no longer."""
        if plan is not None and plan is self._trial:
            self._pace.trials.note(seconds, expected)
            if seconds > expected * self._pace.factor(drafted=True):
                return
        check = plan is None and self._promise.plan is not None
        if check and self._checking > 0:
            return
        for _ in range(WEIGHT_OF_CHECK if check else 1):  # it stands for many rounds that were not plain
            (self._pace.plain if plan is None else self._pace.drafted).note(seconds, expected)

    def _level(self, rows: int | None) -> int:
        return self._sizes.index(rows) if rows is not None else max(0, len(self._sizes) - 1)

    def _revise(self, texts: Sequence[Acceptance], noisy: bool) -> None:
        """Find the plan with the highest rate."""
        outlook, batch = self._outlook(texts, noisy), len(texts)
        widths = self._widths
        self._plain = best = self._undrafted(batch, noisy)
        chain = outlook.best_chain()
        assert chain.plan is not None
        self._set_trial(chain.plan.rows, batch, noisy)
        best = max(best, chain, key=lambda promise: promise.rate)
        used = self._promise.plan
        every = 2 if used is None else TREES if used.shape.width == 1 else 1
        if widths and self._revisions % every == 0:
            best = max(best, outlook.best_tree(chain.plan.rows, widths), key=lambda promise: promise.rate)
        self._revisions += 1
        free = not self._sizes and self.stops  # looking something up costs nothing, and says how sure it is
        if free or (best is chain and self.stops):
            best = self._with_stop(chain, outlook)
        self._promise = best

    def _undrafted(self, batch: int, noisy: bool) -> Promise:
        seconds = self.costs.verify(batch) + batch * self.costs.token(noisy)
        return Promise(None, batch, seconds, self._pace.factor(drafted=False))

    def _set_trial(self, rows: int | None, batch: int, noisy: bool) -> None:
        """One guess, mostly from as many ``rows`` as promise most; and how long to wait for the next."""
        if self._sizes and self._trials % 4 == 3:
            rows = self._sizes[-1]
        self._trial = Plan(TreeShape(1, 1, 1), rows)
        plain = self._plain.seconds
        slow = max(1.0, self._pace.trials.factor(self._pace.factor(drafted=True)) / self._plain.factor)
        taken = self.costs.verify(2 * batch) + self.costs.draft(batch, rows, noisy) + batch * self.costs.token(noisy)
        extra = taken * slow - plain
        self._pause = max(1, min(ceil(batch * extra / (TRIAL_SHARE * plain)), batch * LONGEST_REST))

    def _outlook(self, texts: Sequence[Acceptance], noisy: bool) -> Outlook:
        def means(shares: Sequence[Sequence[float]]) -> list[float]:
            return [sum(share) / len(texts) for share in zip(*shares, strict=True)]

        firsts = means([text.firsts() for text in texts])
        by_size = dict(zip(self._sizes or (None,), firsts, strict=False))  # the last level is of no size
        later = means([text.laters()[:DEEPEST] for text in texts])
        ranks = means([text.ranks() for text in texts])
        return Outlook(self.costs, len(texts), noisy, by_size, later, ranks, self._pace.factor(drafted=True))

    def _with_stop(self, chain: Promise, outlook: Outlook) -> Promise:
        """The chain, free to end where a token is worth less than its time, and to go on where it is worth more."""
        assert chain.plan is not None
        size, batch, costs = chain.plan.rows, outlook.batch, self.costs
        depth = chain.plan.shape.depth + SPARE if self._sizes else FREE_DEPTH
        few = chain.plan.shape.depth if self._sizes else FREE_DEPTH // 2
        rate = max(chain.rate, self._plain.rate) * chain.factor
        row = (costs.verify(batch * (1 + few)) - costs.verify(batch)) / few
        node = rate * row / batch
        level = rate * (costs.draft(batch, size, outlook.noisy) + row)
        worth = 1.0 - rate * costs.token(outlook.noisy)
        hope = tuple(outlook.chance(depth, size) * worth for depth in range(1, depth + 1))
        stop = Stop(level, node, hope, self._seen.surety[outlook.noisy].chances())
        return Promise(Plan(TreeShape(depth, depth, 1), size, stop), chain.tokens, chain.seconds, chain.factor)
