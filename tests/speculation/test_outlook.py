"""Promises against enumeration: every path the target can take through a draft, with its probability."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frspec.speculation.costs import Costs
from frspec.speculation.outlook import DEEPEST, Outlook
from frspec.speculation.plan import Plan

COSTS = Costs(
    target=((1, 10.0), (2, 10.5), (5, 11.0), (17, 14.0), (49, 30.0)), pick=0.1, noisy_pick=0.4,
    layer=((1, 0.5), (8, 0.8)), heads={10: ((1, 0.2), (8, 0.3)), 100: ((1, 2.0), (8, 3.0))}, noise={10: 0.1, 100: 1.0},
    tree=0.2,
)  # fmt: skip
RANKS = (1.0, 0.3, 0.1, 0.05, 0.0, 0.0, 0.0, 0.0)


def tokens_of_chain(chances: Sequence[float]) -> float:
    """By the outcome of every guess."""
    total = 0.0
    for outcome in product((True, False), repeat=len(chances)):
        probability = 1.0
        for right, chance in zip(outcome, chances, strict=True):
            probability *= chance if right else 1 - chance
        total += probability * (1 + (outcome.index(False) if False in outcome else len(outcome)))
    return total


def seconds_of(plan: Plan, tokens: float, noisy: bool, batch: int) -> float:
    """What such a round is made of, step by step."""
    assert plan.rows is not None
    seconds = COSTS.verify(batch * (1 + plan.shape.nodes)) + batch * tokens * (0.4 if noisy else 0.1)
    for level in range(plan.shape.depth):
        rows = batch * (1 if level == 0 else plan.shape.width)
        seconds += COSTS.draft(rows, plan.rows, noisy)
    return seconds + (0.2 * batch if plan.shape.width > 1 else 0.0)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.05, 0.95), st.floats(0.3, 1.0), st.booleans(), st.integers(1, 3), st.floats(0.3, 1.0))
def test_the_best_chain_of_all(first: float, later: float, noisy: bool, batch: int, small: float) -> None:
    firsts = {10: first * small, 100: first}
    outlook = Outlook(COSTS, batch, noisy, firsts, [1.0, *[later] * (DEEPEST - 1)], RANKS)
    best = outlook.best_chain()
    assert best.plan is not None
    rates = {}
    for depth, size in product(range(1, 9), firsts):
        tokens = tokens_of_chain([firsts[size] * (later if level else 1.0) for level in range(depth)])
        plan = Plan(type(best.plan.shape)(depth, depth, 1), size)
        rates[plan] = batch * tokens / seconds_of(plan, tokens, noisy, batch)
        if plan == best.plan:
            assert best.tokens == pytest.approx(batch * tokens)
            assert best.rate == pytest.approx(rates[plan])
    assert best.rate >= max(rates.values()) - 1e-9


def test_one_size_alone() -> None:
    outlook = Outlook(COSTS, 1, False, {10: 0.4, 1000: 0.8}, [1.0] * DEEPEST, RANKS)
    assert outlook.of_size(100).chance(1, 100) == pytest.approx(0.6), "halfway in powers of ten"
    assert (outlook.of_size(5).chance(1, 5), outlook.of_size(2000).chance(1, 2000)) == (0.4, 0.8)
    known = Outlook(COSTS, 1, False, {10: 0.4, 100: 0.8}, [1.0] * DEEPEST, RANKS)
    for size in (10, 100):
        alone = Outlook(COSTS, 1, False, {size: known.firsts[size]}, [1.0] * DEEPEST, RANKS)
        assert known.of_size(size).best_chain() == alone.best_chain()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 0.7), st.sampled_from([2, 4, 8]), st.booleans(), st.integers(1, 2))
def test_a_trees_promise(first: float, width: int, noisy: bool, batch: int) -> None:
    """Its tokens are the probabilities of its nodes added up, here found by growing the likeliest tree node by node."""
    outlook = Outlook(COSTS, batch, noisy, {10: first}, [1.0] * DEEPEST, RANKS)
    best = outlook.best_tree(10, [width])
    assert best.plan is not None
    nodes, depth = best.plan.shape.nodes, best.plan.shape.depth
    tokens = 1.0 + sum(sorted(_grown(first, width, depth), reverse=True)[:nodes])
    assert best.tokens == pytest.approx(batch * min(tokens, 1 + depth * 0.99))
    assert best.seconds == pytest.approx(seconds_of(best.plan, best.tokens / batch, noisy, batch))


def _grown(first: float, width: int, depth: int) -> list[float]:
    frontier, found = [1.0], list[float]()
    for _ in range(depth):
        level = [node * first * rank for node in frontier for rank in RANKS[:width]]
        found += level
        frontier = sorted(level)[-width:]
    return found
