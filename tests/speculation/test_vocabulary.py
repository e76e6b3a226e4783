"""What a drafter may propose: sizes, always-in ids, and everything that does not fit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.speculation.vocabulary import DraftVocabulary, Spec, take_part

COUNTS = np.array([5, 0, 40, 3, 2, 30, 0, 20])  # rank order: 2 5 7 0 3 4 1 6
RANKING = Ranking.from_counts(COUNTS, "f" * 32)
LANGUAGES = Ranking.from_parts({"de": [0, 9, 0, 0, 8, 0, 0, 0], "en": COUNTS}, "f" * 32)


def build(spec: Spec, ranking: Ranking | None = RANKING, always: tuple[int, ...] = (6,), size: int = 8) -> list[int]:
    return DraftVocabulary.build(spec, ranking, always, size, "f" * 32).ids.tolist()


def test_a_size_a_share_or_everything() -> None:
    assert build(3) == [6, 2, 5, 7]
    assert build("3") == [6, 2, 5, 7]
    assert build(0.7) == [6, 2, 5]
    assert build("0.7") == [6, 2, 5]
    assert build("full") == list(range(8))
    assert build(None) == [6, 2, 5]  # a quarter of 8 and what is always in
    assert build(None, None) == list(range(8))
    assert build(RANKING, None) == [6, 2, 5]


def test_a_part_of_a_ranking() -> None:
    assert build("3@de", LANGUAGES) == [6, 1, 4, 0], "behind what German has, the earliest id and English in turns"
    assert build("4@de", LANGUAGES) == [6, 1, 4, 0, 2]
    assert build("0.5@de", LANGUAGES) == [6, 1]
    assert build("@de", LANGUAGES) == [6, 1, 4]  # a quarter, as without a size
    assert build("3@en", LANGUAGES) == build(3) == [6, 2, 5, 7]
    assert build(3, LANGUAGES) == [6, 2, 5, 7]
    assert take_part("3@de", LANGUAGES)[0] == 3
    assert take_part("3", LANGUAGES) == ("3", LANGUAGES)


@given(st.integers(1, 8), st.integers(1, 8), st.sampled_from(["de", "en"]))
def test_a_smaller_vocabulary_of_a_part_is_a_prefix_too(one: int, other: int, part: str) -> None:
    small, large = sorted((one, other))
    assert build(f"{large}@{part}", LANGUAGES)[: len(build(f"{small}@{part}", LANGUAGES))] == build(
        f"{small}@{part}", LANGUAGES
    )


def test_a_list_of_ids() -> None:
    assert build([3, 1], None) == [6, 3, 1]
    for ids, message in (([3, 3], "not a ranking"), ([], "not a ranking"), (["3"], "not of whole numbers")):
        with pytest.raises(UserError, match=message):
            build(ids, None)
    with pytest.raises(UserError, match="one ranking and a size"):
        build([3, 1], RANKING)


def test_ids_that_are_always_in_come_first_and_once() -> None:
    assert build(2, always=(5, 1)) == [1, 5, 2]


@given(st.integers(1, 8), st.integers(1, 8), st.sets(st.integers(0, 7), max_size=3))
def test_a_smaller_vocabulary_is_a_prefix_of_a_larger_one(one: int, other: int, always: set[int]) -> None:
    small, large = sorted((one, other))
    assert build(large, always=tuple(always))[: len(build(small, always=tuple(always)))] == build(
        small, always=tuple(always)
    )


def test_ids_that_the_target_cannot_emit_are_left_out() -> None:
    assert build("full", size=6) == list(range(6))
    assert build(4, size=6, always=(7,)) == [2, 5, 0]


def test_ids_that_never_occurred_may_lie_beyond_the_head() -> None:
    unseen = Ranking(np.arange(9), np.array([9, 8, 7, 6, 5, 4, 3, 2, 0]), None)
    assert build(2, unseen) == [6, 0, 1]


def test_rows_follow_the_ids() -> None:
    weight = torch.randn(8, 3)
    vocabulary = DraftVocabulary(torch.tensor([6, 2, 5]), 8)
    assert torch.equal(vocabulary.rows(weight), weight[[6, 2, 5]])
    assert DraftVocabulary.whole(8).rows(weight) is weight
    assert torch.equal(DraftVocabulary.whole(6).rows(weight), weight[:6])


def counts(size: int) -> Ranking:
    """Another program's, which say no tokenizer; the last id occurred once."""
    ranking = Ranking.from_counts([*range(10, 10 + size - 1), 1], "")
    return Ranking(ranking.ids, ranking.counts, None)


@pytest.mark.parametrize(
    ("spec", "ranking", "message"),
    [
        (100, None, "needs a ranking"),
        ("100@de", None, "needs a ranking that has parts"),
        ("2@de", RANKING, "no part 'de'; it has no parts"),
        ("2@fr", LANGUAGES, "its parts are de, en"),
        ("9@de", LANGUAGES, "9 ids"),
        ("full@de", LANGUAGES, "full is every id"),
        (0.5, None, "needs a ranking"),
        (9, RANKING, "9 ids"),
        (0, RANKING, "0 ids"),
        (1.5, RANKING, "1.5"),
        (2, Ranking.from_counts(COUNTS, "0" * 32), "another tokenizer"),
        (RANKING, RANKING, "one ranking"),
        ("no/such/file", None, "no/such/file"),
        (0.5, Ranking(np.array([1, 2]), None, None), "no counts"),
        (None, Ranking(np.array([1, 8]), None, None), "token 8"),
        (1, Ranking(np.array([1, 8]), None, None), "token 8"),  # of another tokenizer, whatever part is taken
        (2, counts(9), "token 8"),
    ],
)
def test_what_does_not_fit_is_refused(spec: Spec, ranking: Ranking | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(spec, ranking)


@pytest.mark.parametrize(("ids", "message"), [([], "at least one"), ([1, 1], "twice"), ([-1], "-1"), ([8], "token 8")])
def test_impossible_vocabularies(ids: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DraftVocabulary(torch.tensor(ids, dtype=torch.int64), 8)


def test_an_id_list_is_taken_whole(tmp_path: Path) -> None:
    torch.save([3, 1, 2], tmp_path / "freq_3.pt")
    assert build(str(tmp_path / "freq_3.pt"), None) == [6, 3, 1, 2]
    assert build(2, Ranking.load(tmp_path / "freq_3.pt")) == [6, 3, 1]
