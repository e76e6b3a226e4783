"""Windows and batches: everything is used once per epoch, in an order that depends on the seed alone."""

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frspec.errors import UserError
from frspec.train.corpus import Corpus, batches, epoch

documents = st.lists(st.lists(st.tuples(st.integers(0, 99), st.booleans()), max_size=40), min_size=1, max_size=12)


def make(content: list[list[tuple[int, bool]]]) -> Corpus:
    return Corpus.of(([i for i, _ in one], [m for _, m in one]) for one in content)


@given(documents, st.integers(2, 20))
def test_windows_hold_every_counted_token_that_a_pair_drafts(content, length: int) -> None:
    corpus = make(content)
    pieces = [one[i : i + length] for one in content for i in range(0, len(one), length)]
    wanted = [piece for piece in pieces if any(mark for _, mark in piece[2:])]
    if not wanted:
        with pytest.raises(UserError):
            corpus.windows(length)
        return
    found = [
        list(zip(corpus.tokens[w].tolist(), corpus.counted[w].tolist(), strict=True)) for w in corpus.windows(length)
    ]
    assert found == wanted


@given(st.lists(st.integers(3, 50), min_size=1, max_size=60), st.integers(50, 200), st.integers(0, 5))
def test_an_epoch_uses_each_window_once(lengths: list[int], size: int, seed: int) -> None:
    packed = list(epoch(lengths, size, seed, 0))
    assert sorted(window for batch in packed for window in batch) == list(range(len(lengths)))
    assert all(0 < sum(lengths[window] for window in batch) <= size for batch in packed)
    following = pairwise(packed)
    assert all(sum(lengths[w] for w in batch) + lengths[after[0]] > size for batch, after in following)


def test_order_is_a_function_of_seed_and_step() -> None:
    lengths = [3 + i % 7 for i in range(100)]
    first = list(islice(batches(lengths, 40, 1), 60))
    assert first == list(islice(batches(lengths, 40, 1), 60))
    assert first != list(islice(batches(lengths, 40, 2), 60))
    assert first[:14] != first[14:28]
    assert list(islice(batches(lengths, 40, 1), 30, 60)) == first[30:]


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.001, 1), (0.25, 5), (0.9, 18)])
def test_the_last_documents_are_held_out(share: float, expected: int) -> None:
    corpus = make([[(number, True)] * (number + 1) for number in range(20)])
    kept, out = corpus.split(share)
    assert len(out) == expected
    assert len(kept) == 20 - expected
    assert kept.document(len(kept) - 1) == [len(kept) - 1] * len(kept)
    if expected:
        assert out.document(0) == [20 - expected] * (21 - expected)
        assert out.document(expected - 1) == [19] * 20


def test_nothing_left_is_refused() -> None:
    with pytest.raises(UserError, match="no documents"):
        Corpus.of([])
    with pytest.raises(UserError, match="held out"):
        make([[(1, True)] * 5]).split(0.5)
    with pytest.raises(UserError, match="no document of the corpus can be trained on"):
        make([[(1, True)]]).windows(8)
    with pytest.raises(UserError, match="no document of the corpus can be trained on"):
        make([[(1, True), (2, True), (3, False), (4, False)]]).windows(8)


def test_digest_sees_tokens_marks_and_borders() -> None:
    base = [[(1, True), (2, True)], [(3, True)]]
    others = [
        [[(1, True), (9, True)], [(3, True)]],
        [[(1, True), (2, False)], [(3, True)]],
        [[(1, True)], [(2, True), (3, True)]],
    ]
    assert make(base).digest() == make(base).digest()
    assert len({make(one).digest() for one in [base, *others]}) == 4
