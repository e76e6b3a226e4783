"""Which sizes ``frspec tune`` compares where it is not told."""

from itertools import pairwise

import numpy as np
import pytest

from frspec.bench.curve import sizes
from frspec.ranking.ranking import Ranking

VOCAB = 10_000


def counted(exponent: float) -> Ranking:
    """Zipf's law."""
    return Ranking.from_counts((10**9 / np.arange(1, VOCAB + 1) ** exponent).astype(np.int64), "0" * 32)


def test_sizes_follow_the_curve() -> None:
    ranking = counted(1.2)
    assert ranking.counts is not None
    shares = np.cumsum(ranking.counts) / ranking.counts.sum()
    crossings = {1 + int(np.argmax(shares >= share)) for share in (0.9, 0.95, 0.98, 0.99, 0.995)}
    found = sizes(ranking, VOCAB)
    assert 2500 in found, "FR-Spec's quarter always is"
    assert set(found) <= {*crossings, 2500, 1250, 625, 312}
    assert set(found) & crossings


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.0, 1.5, 3.0])
def test_sizes_are_few_and_apart(exponent: float) -> None:
    found = sizes(counted(exponent), VOCAB)
    assert 1 <= len(found) <= 9
    assert all(larger >= 1.75 * smaller for smaller, larger in pairwise(found))
    assert found[-1] <= VOCAB // 2


def test_the_demos_own() -> None:
    assert sizes(Ranking.load("demo"), 131072) == [1115, 2488, 5158, 10064, 32768]


def test_lists_are_compared_whole_and_cut() -> None:
    assert sizes(Ranking(np.arange(100), None, None), 2000) == [100], "a 16th is 125, a 32nd near it"
    assert sizes(Ranking(np.arange(300), None, None), 2000) == [62, 125, 300]
    assert sizes(Ranking(np.arange(100), None, None, ordered=False), 2000) == [100]
