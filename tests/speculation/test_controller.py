"""The controller in a made-up world whose clock is arithmetic: what it chooses against the best there is."""

from collections.abc import Callable, Sequence
from itertools import product
from random import Random
from typing import Any

import pytest

from frspec.speculation.controller import Controller
from frspec.speculation.costs import Costs
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.experience import Verdict
from frspec.speculation.growth import CLASSES, SURENESS
from frspec.speculation.plan import Plan, TreeShape
from frspec.types import TokenTree

VOCAB, SIZES = 100, (10, 100)
COMMON, RARE, WRONG = 0, 99, 50
COSTS = Costs(
    target=((1, 2.0), (2, 2.1), (5, 2.4), (9, 3.0), (17, 5.0)), pick=0.05, noisy_pick=0.3,
    layer=((1, 0.15),), heads={10: ((1, 0.05),), 100: ((1, 0.9),)}, noise={10: 0.05, 100: 0.3},
)  # fmt: skip
ROUNDS = 4000


class Chains:
    """The outside of a drafter with two sizes of head, of which the smaller lacks the rare tokens."""

    name, max_nodes, sizes, widest, sureness = "chains", 32, SIZES, 1, SURENESS

    def row_levels(self, vocab_size: int) -> Sequence[int]:
        return [0] * 10 + [1] * (vocab_size - 10)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a controller has no business with a drafter's {name}")


class World:
    """right(n): the chance that a guess in a text of n tokens is right; rare: how many tokens are; slow: how many times
    longer rounds with drafts take than the costs say; insight: how often the drafter knows whether it will be right."""

    def __init__(
        self, right: Callable[[int], float], rare: float = 0.1, slow: float = 1.0, insight: float = 0.0
    ) -> None:
        self.right, self.rare, self.slow, self.insight = right, rare, slow, insight
        self.random = Random(0)

    def round(self, state: DraftState, plan: Plan | None) -> tuple[Verdict, float]:
        """What one round brings, and its seconds."""
        seconds, text, guesses = 0.0, list[int](), list[tuple[int, int]]()
        reach = 1.0
        for depth in range(plan.shape.depth if plan else 0):
            seconds += COSTS.draft(1, plan.rows, noisy=False)
            text.append(self.token())
            known = text[-1] == COMMON or plan.rows == SIZES[1]
            right = known and self.random.random() < self.right(len(state.tokens))
            sure = right if self.random.random() < self.insight else self.random.random() < 0.5
            kind = CLASSES - 1 if sure else 0
            guesses.append((text[-1] if right else WRONG, kind))
            if plan.stop:
                reach *= plan.stop.chances[kind]
                if not plan.stop.goes_on([reach], depth + 1):
                    break
        verified = len(guesses)
        if plan and plan.stop:
            reach, verified = 1.0, 0
            for _, kind in guesses:
                reach *= plan.stop.chances[kind]
                verified += reach >= plan.stop.node_price
            state.guesses = guesses
        held = next((n for n in range(verified) if guesses[n][0] != text[n]), verified)
        text.append(self.token())
        emitted = text[: held + 1]
        seconds += COSTS.verify(1 + verified) + len(emitted) * COSTS.token(noisy=False)
        tree = TokenTree.chain([COMMON, *(token for token, _ in guesses[:verified])])
        state.tokens.extend(emitted)
        return Verdict(state, tree, range(held + 1), emitted), seconds * (self.slow if plan else 1.0)

    def token(self) -> int:
        """The text itself does not depend on drafts."""
        return RARE if self.random.random() < self.rare else COMMON

    def rate(self, choose: Callable[[DraftState], Plan | None], learn: Callable[..., None] | None = None) -> float:
        """Tokens per second of one long text."""
        state, seconds = DraftState([COMMON], 0, 0.0, room=1000), 0.0
        while len(state.tokens) < ROUNDS:
            plan = choose(state)
            verdict, taken = self.round(state, plan)
            seconds += taken
            if learn is not None:
                learn([verdict], plan, taken)
        return (len(state.tokens) - 1) / seconds


def controlled(world: World) -> float:
    controller = Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    return world.rate(lambda state: controller.plan([state]), controller.learn)


def fixed(world: World) -> dict[tuple[int, int], float]:
    """By depth and size; depth 0 is plain decoding."""
    plans = {(depth, size): Plan(TreeShape(depth, depth, 1), size) for depth, size in product(range(1, 9), SIZES)}
    return {(0, 0): world.rate(lambda _: None)} | {
        name: world.rate(lambda _, plan=plan: plan) for name, plan in plans.items()
    }


@pytest.mark.parametrize("rare", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("chance", [0.0, 0.3, 0.6, 0.9])
def test_as_good_as_the_best_fixed_setting(chance: float, rare: float) -> None:
    best = max(fixed(World(lambda _: chance, rare)).values())
    assert controlled(World(lambda _: chance, rare)) > 0.97 * best


@pytest.mark.parametrize("rare", [0.02, 0.5])
@pytest.mark.parametrize(("slow", "near"), [(1.0, 0.08), (1.5, 0.2)])
def test_what_a_size_would_bring_is_foreseen(rare: float, slow: float, near: float) -> None:
    """Also of the size that it does not use; ``fixed`` runs both. How long drafted rounds take leans on what plain ones
    do, so where only the former take longer than costs say, it is known less well."""

    def world() -> World:
        return World(lambda _: 0.8, rare, slow)

    controller = Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    world().rate(lambda state: controller.plan([state]), controller.learn)
    rates = fixed(world())
    for size in SIZES:
        best = max(rate for (_, rows), rate in rates.items() if rows == size)
        assert controller.foresee(size, noisy=False) == pytest.approx(best, rel=near)


def test_hopeless_drafts_cost_next_to_nothing() -> None:
    world = World(lambda _: 0.0)
    assert controlled(world) > 0.99 * world.rate(lambda _: None)


def test_hopeless_drafts_of_many_texts_at_once_cost_next_to_nothing() -> None:
    world, controller = World(lambda _: 0.0), Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    states = [DraftState([COMMON], 0, 0.0, room=1000) for _ in range(32)]
    plain, taken = COSTS.verify(32) + 32 * COSTS.pick, 0.0
    for _ in range(2000):
        plan = controller.plan(states)
        verdicts = [world.round(state, plan)[0] for state in states]
        seconds = COSTS.verify(sum(len(verdict.tree) for verdict in verdicts)) + 32 * COSTS.pick
        seconds += plan.shape.depth * COSTS.draft(32, plan.rows, noisy=False) if plan else 0.0
        controller.learn(verdicts, plan, seconds)
        taken += seconds
    assert taken < 1.02 * 2000 * plain


def test_rounds_beside_a_prompt_say_how_guesses_did_and_not_what_they_cost() -> None:
    world, controller = World(lambda _: 0.0), Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    state, drafted = DraftState([COMMON], 0, 0.0, room=1000), 0
    for _ in range(500):
        plan = controller.plan([state])
        drafted += plan is not None
        controller.learn([world.round(state, plan)[0]], plan, None)
    assert drafted < 40


def test_what_plain_rounds_cost_is_looked_at_however_much_drafts_promise() -> None:
    """Plain rounds become six times as quick, drafted ones, which brought three times as much, hardly at all."""
    world, since = World(lambda _: 0.9, rare=0.02), 600
    controller = Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    state, plain = DraftState([COMMON], 0, 0.0, room=1000), 0
    for number in range(6000):
        plan = controller.plan([state])
        verdict, seconds = world.round(state, plan)
        controller.learn([verdict], plan, seconds / (1 if number < since else 1.2 if plan else 6))
        plain += plan is None and number >= 4000
    assert plain > 1600


@pytest.mark.parametrize("row", [0.03, 0.05])
def test_what_a_drafter_reads_after_a_rest_is_not_what_drafts_cost(row: float) -> None:
    """A draft model reads all that was written meanwhile; a text that becomes predictable must be noticed all the same.

    The last half is predictable."""
    world, controller = World(lambda n: 0.9 if n > 2000 else 0.0, rare=0.02), Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    state, read, rounds, late = DraftState([COMMON], 0, 0.0, room=1000), 1, 0, 0
    while len(state.tokens) < ROUNDS:
        plan, unread = controller.plan([state]), max(0, len(state.tokens) - read - 5)
        verdict, seconds = world.round(state, plan)
        controller.learn([verdict], plan, seconds + (row * unread if plan else 0.0))
        read = len(state.tokens) if plan else read
        if len(state.tokens) > 3000:
            rounds, late = rounds + 1, late + (plan is not None)
    assert late > 0.95 * rounds


def test_every_text_is_counted_among_its_like() -> None:
    """Greedy texts that are easy beside warm ones that are not: a new greedy one is taken for an easy one."""
    easy, hard = World(lambda _: 0.9, rare=0.0), World(lambda _: 0.1, rare=0.0)
    controller = Controller(COSTS, Chains(), VOCAB)  # type: ignore[arg-type]
    greedy, warm = DraftState([COMMON], 0, 0.0, room=1000), DraftState([COMMON], 0, 1.0, room=1000)
    plan = Plan(TreeShape(2, 2, 1), SIZES[1])
    for _ in range(500):
        controller.learn([easy.round(greedy, plan)[0], hard.round(warm, plan)[0]], plan, None)
    firsts = [controller._habits(DraftState([COMMON], 0, warmth, room=9)).firsts()[1] for warmth in (0.0, 1.0)]
    assert firsts == pytest.approx([0.9, 0.1], abs=0.07)


def test_drafts_that_cost_more_than_was_measured_are_given_up() -> None:
    for slow in (1.0, 1.5, 3.0):
        world = World(lambda _: 0.5, slow=slow)
        assert controlled(world) > 0.97 * max(world.rate(lambda _: None), fixed(world)[2, 10])


def test_a_text_that_changes() -> None:
    """Predictable in the middle third alone: better than any one setting throughout, and than no drafts."""

    def right(length: int) -> float:
        return 0.9 if ROUNDS / 3 < length < 2 * ROUNDS / 3 else 0.0

    assert controlled(World(right)) > 1.02 * max(fixed(World(right)).values())


def test_a_drafter_that_knows_when_it_is_right() -> None:
    """Ending chains where the guess is poor beats every fixed length."""
    assert controlled(World(lambda _: 0.6, insight=0.9)) > 1.05 * max(fixed(World(lambda _: 0.6)).values())


def test_beside_a_prompt_a_row_costs_what_its_arithmetic_does() -> None:
    """Where drafts win because a pass costs the same with a few rows more, they don't in a pass that is full anyway."""
    for last_row, pays in ((0.01, True), (1.0, False)):
        costs = Costs(
            target=((1, 2.0), (33, 2.3), (34, 2.3 + last_row)), pick=0.01, noisy_pick=0.01,
            layer=((1, 0.05),), heads={10: ((1, 0.05),), 100: ((1, 0.9),)}, noise={10: 0.0, 100: 0.0},
        )  # fmt: skip
        world, controller = World(lambda _: 0.8), Controller(costs, Chains(), VOCAB)  # type: ignore[arg-type]
        state = DraftState([COMMON], 0, 0.0, room=1000)
        for _ in range(300):
            plan = controller.plan([state])
            controller.learn([world.round(state, plan)[0]], plan, None)
        assert sum(controller.plan([state]) is not None for _ in range(100)) > 90
        beside = sum(controller.plan([state], beside=64) is not None for _ in range(100))
        assert beside > 90 if pays else beside == 0


def test_what_a_grammar_does_to_guesses_says_nothing_of_other_texts() -> None:
    """A drafter that is mostly right is made as good use of after guided texts in which it never was."""

    def tokens(guided_texts: int) -> int:
        """Of a text in 40 rounds."""
        controller, world = Controller(COSTS, Chains(), VOCAB), World(lambda n: 0.9, insight=0.5)  # type: ignore[arg-type]
        forced, plan = TokenTree.chain([COMMON, RARE, RARE]), Plan(TreeShape(2, 2, 1), SIZES[1])
        for _ in range(guided_texts):
            guided = DraftState([COMMON], 0, 0.0, room=1000, guided=True)
            for _ in range(40):
                controller.plan([guided])
                guided.guesses = [(WRONG, CLASSES - 1), (WRONG, CLASSES - 1)]
                controller.learn([Verdict(guided, forced, range(3), [RARE, RARE, COMMON])], plan, None)
        state = DraftState([COMMON], 0, 0.0, room=1000)
        for _ in range(40):
            drawn = controller.plan([state])
            controller.learn([world.round(state, drawn)[0]], drawn, None)
        return len(state.tokens)

    assert tokens(guided_texts=10) > 0.75 * tokens(guided_texts=0)  # a third if they were learned from
