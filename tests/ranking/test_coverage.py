"""Coverage and runs against plain loops over the tokens themselves."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frspec.ranking.coverage import Order, needed, spread
from frspec.ranking.ranking import Ranking
from frspec.ranking.runs import expected_length, passes
from frspec.speculation.vocabulary import DraftVocabulary

V = 12
texts = st.lists(st.integers(0, V - 1), min_size=1, max_size=60)


@given(texts, st.permutations(range(V)), st.sets(st.integers(0, V - 1), max_size=3))
def test_coverage_is_what_the_draft_vocabulary_holds(text: list[int], ids: list[int], always: set[int]) -> None:
    by_id = np.bincount(text, minlength=V)
    order = Order(np.array(ids), np.array(sorted(always), dtype=np.int64), V)
    covered, best = order.covered(by_id), order.best(by_id)
    ranking = Ranking(np.array(ids), None, None)
    others = Counter(token for token in text if token not in always)
    for size in range(1, V + 1):
        vocabulary = DraftVocabulary.build(size, ranking, always, V, None).ids.tolist()
        assert covered[size - 1] == sum(token in vocabulary for token in text)
        assert np.flatnonzero(order.inside(size)).tolist() == sorted(vocabulary)
        always_inside = sum(token in always for token in text)
        assert best[size - 1] == always_inside + sum(count for _, count in others.most_common(size))
    assert (best >= covered).all()
    assert all(order.positions()[id] == ids.index(id) + 1 for id in range(V))


@given(texts, st.permutations(range(V)), st.integers(1, V), st.sampled_from([0.07, 0.5, 0.9, 0.99, 1.0]))
def test_the_size_that_a_share_needs(text: list[int], ids: list[int], held: int, share: float) -> None:
    by_id = np.bincount(text, minlength=V)
    covered = Order(np.array(ids[:held]), np.array([], dtype=np.int64), V).covered(by_id)
    enough = [n for n in range(1, held + 1) if sum(t in ids[:n] for t in text) / len(text) >= share - 1e-12]
    assert needed(covered, len(text), share) == (enough[0] if enough else None)


def fewest(covered: list[bool], depth: int) -> int:
    """Passes of the best of all drafters, by trying all lengths they may draft at every place."""
    best = [0] * (len(covered) + 1)
    for start in reversed(range(len(covered))):
        ends, drafted = [start + 1], 0
        while drafted < depth and start + drafted < len(covered) and covered[start + drafted]:
            drafted += 1
            ends.append(min(start + drafted + 1, len(covered)))
        best[start] = 1 + min(best[end] for end in ends)
    return best[0]


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=30), min_size=1, max_size=4), st.integers(1, 7))
def test_no_drafter_needs_fewer_passes(pieces: list[list[bool]], depth: int) -> None:
    covered = np.array([each for piece in pieces for each in piece])
    ends = np.cumsum([len(piece) for piece in pieces])
    assert passes(covered, ends, depth) == sum(fewest(piece, depth) for piece in pieces)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 1.0])
def test_misses_strewn_by_chance(share: float) -> None:
    covered = np.random.default_rng(0).random(400_000) < share
    length = len(covered) / passes(covered, np.array([len(covered)]), 5)
    assert expected_length(share, 5) == pytest.approx(length, rel=0.005)  # four standard deviations of the sample


@pytest.mark.parametrize("n", [1, 2, 10, 151_748])
def test_sizes_that_are_drawn(n: int) -> None:
    sizes = spread(n).tolist()
    assert sizes == sorted(set(sizes))
    assert (sizes[0], sizes[-1]) == (1, n)
