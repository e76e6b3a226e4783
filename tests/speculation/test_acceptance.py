"""Faded counts against frequencies that are known."""

from random import Random

import pytest

from frspec.speculation.acceptance import Acceptance, Surety

CHANCES, RANKS = (0.8, 0.5, 0.7), (0.5, 0.2, 0.1)


def feed(acceptance: Acceptance, rounds: int, seed: int = 0) -> None:
    """Trees three deep and three wide, whose picks are right with ``CHANCES`` by depth and shared out by ``RANKS``."""
    random = Random(seed)
    for _ in range(rounds):
        for depth, chance in enumerate(CHANCES, 1):
            level = random.choices((0, 1, 2), (0.6, 0.3, 0.1))[0]
            right = level < 2 and random.random() < chance
            rank = random.choices((0, 1, 2), RANKS)[0] if right else None
            acceptance.note(depth, 3, rank, level, drafted_from=1)
            if not right:
                break


def test_it_finds_the_frequencies() -> None:
    acceptance = Acceptance(2, fade=0.9999, weight=1)
    feed(acceptance, 20_000)
    known = 0.9  # of the tokens are of a level that was drafted from
    assert acceptance.laters()[1] == pytest.approx(0.5 / 0.8, rel=0.05)
    assert acceptance.laters()[2] == pytest.approx(0.7 / 0.8, rel=0.05)
    assert acceptance.ranks()[:3] == pytest.approx([1.0, 0.4, 0.2], rel=0.1)
    best = 0.8 * 0.5 / sum(RANKS)
    assert acceptance.firsts()[1] == pytest.approx(known * best, rel=0.05)
    assert acceptance.firsts()[0] == pytest.approx(0.6 * best, rel=0.05)


def test_new_verdicts_outweigh_old_ones() -> None:
    acceptance = Acceptance(0, fade=0.95, weight=2)
    for right in [True] * 200 + [False] * 100:
        acceptance.note(1, 1, 0 if right else None, 0, 0)
    assert acceptance.firsts()[0] < 0.05
    for _ in range(5000):  # long enough for its unit to be reset
        acceptance.note(1, 1, 0, 0, 0)
    assert acceptance.firsts()[0] > 0.95


def test_a_long_text_without_drafts() -> None:
    """Units grow with every token; they must not grow out of what a float holds."""
    acceptance = Acceptance(1, fade=0.98, weight=2)
    for _ in range(40_000):  # 0.98 to this power is nothing to a float
        acceptance.note(1, 0, None, 0, 0)
    for _ in range(200):
        acceptance.note(1, 1, 0, 0, 0)
    assert acceptance.firsts()[0] > 0.9


def test_a_new_text_is_taken_for_one_like_the_others() -> None:
    everything = Acceptance(2, fade=0.999, weight=8)
    feed(everything, 3000)
    text = Acceptance(2, fade=0.98, weight=6, prior=everything)
    assert text.firsts()[1] == pytest.approx(everything.firsts()[1], rel=0.01)
    assert [text.laters()[depth - 1] for depth in (2, 3)] == pytest.approx(
        [everything.laters()[d - 1] for d in (2, 3)], rel=0.01
    )
    assert text.ranks() == pytest.approx(everything.ranks(), rel=0.01)
    for _ in range(100):
        text.note(1, 1, None, 0, 1)
    assert text.firsts()[1] < 0.3 * everything.firsts()[1]


def test_how_often_the_sure_are_right() -> None:
    surety = Surety([0.1, 0.9])
    assert surety.chances() == (0.1, 0.9)
    for number in range(3000):
        surety.note(0, number % 2 == 0)
        surety.note(1, False)
    assert surety.chances() == pytest.approx((0.5, 0.0), abs=0.02)
