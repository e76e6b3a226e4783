"""Rankings: order, prefixes, shares, the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

COUNTS = st.lists(st.integers(0, 50) | st.integers(0, 10**15), min_size=1, max_size=40)
SOME = COUNTS.filter(any)


def letters() -> Tokenizer:
    """Ids 0 to 3 for a to d."""
    backend = Backend(models.BPE({letter: id for id, letter in enumerate("abcd")}, []))
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, "letters", {})


def ranking_of(counts: list[int]) -> Ranking:
    return Ranking.from_counts(counts, "f", {"documents": 1})


def test_known_answer() -> None:
    ranking = ranking_of([5, 0, 70, 20, 5])
    assert ranking.ids.tolist() == [2, 3, 0, 4, 1]
    assert ranking.counts is not None
    assert ranking.counts.tolist() == [70, 20, 5, 5, 0]
    assert ranking.prefix(2).tolist() == [2, 3]
    assert ranking.covering(0.7).tolist() == [2]
    assert ranking.covering(0.71).tolist() == [2, 3]
    assert ranking.covering(0.95).tolist() == [2, 3, 0]
    assert ranking.covering(1.0).tolist() == [2, 3, 0, 4], "an id that never occurred is not needed"
    assert ranking.coverage([2, 3, 2, 1]) == 0.9
    assert ranking.coverage([]) == 0.0


def test_a_share_is_the_decimal_it_is_written_as() -> None:
    assert len(ranking_of([1] * 100).covering(0.07)) == 7
    assert len(ranking_of([1] * 1000).covering(0.999)) == 999


@given(COUNTS)
def test_order(counts: list[int]) -> None:
    ranking = ranking_of(counts)
    assert ranking.ids.tolist() == sorted(range(len(counts)), key=lambda id: (-counts[id], id))
    assert ranking.counts is not None
    assert ranking.counts.tolist() == [counts[id] for id in ranking.ids]


@given(SOME, st.floats(0, 1, exclude_min=True))
def test_covering_is_the_shortest(counts: list[int], share: float) -> None:
    ranking = ranking_of(counts)
    n = len(ranking.covering(share))
    assert ranking.coverage(ranking.prefix(n)) >= share * (1 - 1e-12)
    assert n == 1 or ranking.coverage(ranking.prefix(n - 1)) < share * (1 + 1e-12)


@given(SOME)
def test_coverage_grows_to_one(counts: list[int]) -> None:
    ranking = ranking_of(counts)
    shares = [ranking.coverage(ranking.prefix(n)) for n in range(1, len(counts) + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@given(SOME)
def test_file_gives_it_back(tmp_path_factory: pytest.TempPathFactory, counts: list[int]) -> None:
    path = tmp_path_factory.mktemp("r") / "r"
    ranking = ranking_of(counts)
    ranking.save(path)
    again = Ranking.load(path)
    assert (again.ids == ranking.ids).all()
    assert again.counts is not None
    assert (again.counts == ranking.counts).all()
    assert (again.fingerprint, again.provenance) == (ranking.fingerprint, ranking.provenance)
    assert [file.name for file in path.parent.iterdir()] == ["r"], "no temporary file stays behind"


def test_coverage_and_hit_rate_of_text() -> None:
    tokenizer = letters()
    ranking = Ranking.from_counts([1, 2, 3, 4], tokenizer.fingerprint)
    assert ranking.coverage("abba", tokenizer) == 0.3
    assert ranking.hit_rate("abbd", 1, tokenizer) == 0.25
    assert ranking.hit_rate([3, 2, 0, 0], 2) == 0.5
    assert ranking.hit_rate("", 1, tokenizer) == 1.0
    with pytest.raises(UserError, match="does not say its tokenizer"):
        ranking.coverage("ab")
    with pytest.raises(UserError, match="another tokenizer"):
        ranking_of([1, 2, 3, 4]).coverage("ab", tokenizer)


def test_coverage_of_text_loads_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = letters()
    tokenizer.backend.save(str(tmp_path / "tokenizer.json"))
    about = {"tokenizer": str(tmp_path / "tokenizer.json")}
    assert Ranking.from_counts([1, 2, 3, 4], tokenizer.fingerprint, about).coverage("cd") == 0.7


@pytest.mark.parametrize("n", [0, -1, 5])
def test_impossible_size(n: int) -> None:
    with pytest.raises(UserError, match="ask for 1 to 4"):
        ranking_of([1, 2, 3, 4]).prefix(n)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_impossible_share(share: float) -> None:
    with pytest.raises(UserError, match="more than 0 and at most 1"):
        ranking_of([1, 2, 3, 4]).covering(share)


def test_nothing_counted_has_no_shares() -> None:
    assert ranking_of([0, 0]).prefix(1).tolist() == [0]
    for ask in (lambda r: r.covering(0.5), lambda r: r.coverage([0])):
        with pytest.raises(UserError, match="counted no tokens"):
            ask(ranking_of([0, 0]))


def test_ids_of_another_vocabulary() -> None:
    with pytest.raises(UserError, match="outside the ranking's 0 to 1"):
        ranking_of([1, 2]).coverage([2])
    ranking_of([1, 2]).check_fingerprint("f")
    with pytest.raises(UserError, match="of another tokenizer"):
        ranking_of([1, 2]).check_fingerprint("g")


def test_arrays_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ranking_of([1, 2]).prefix(1)[0] = 7


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    ranking_of([3, 2, 1]).save(tmp_path / "r")
    return tmp_path / "r"


DAMAGE = {
    "an id twice": ({"ids": [0, 0, 2]}, "the id 0 stands in it 2 times"),
    "an id outside": ({"ids": [0, 1, 3]}, "the id 3 is outside"),
    "a negative id": ({"ids": [0, 1, -2]}, "a negative id"),
    "a negative count": ({"counts": [3, 2, -1]}, "a negative count"),
    "counts not falling": ({"counts": [1, 2, 3]}, "not in rank order"),
    "ties not by id": ({"ids": [1, 0, 2], "counts": [2, 2, 1]}, "not in rank order"),
    "fewer counts": ({"counts": [3, 2]}, "3 ids but counts"),
    "nothing": ({"ids": [], "counts": []}, "ids are int64"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_wrong_file(saved: Path, name: str) -> None:
    change, message = DAMAGE[name]
    tensors = load_file(saved) | {key: np.array(values, dtype=np.int64) for key, values in change.items()}
    about = {"schema": 1, "fingerprint": "f", "provenance": {}}
    save_file(tensors, saved, {"frspec": json.dumps(about)})
    with pytest.raises(UserError, match=message) as error:
        Ranking.load(saved)
    assert str(saved) in str(error.value)


def test_other_schemas_and_cut_files(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for size in (20, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:size])
        with pytest.raises(UserError, match="is a damaged ranking"):
            Ranking.load(saved)
    tensors = {"ids": np.arange(3), "counts": np.zeros(3, np.int64)}
    save_file(tensors, saved, {"frspec": json.dumps({"schema": 3, "fingerprint": "f", "provenance": {}})})
    with pytest.raises(UserError, match=r"no ranking of schema 1 or 2 \(it has 3\)"):
        Ranking.load(saved)
    save_file({"weight": np.zeros(3)}, saved)
    with pytest.raises(UserError, match=r"it has None"):
        Ranking.load(saved)
    save_file({"ids": np.arange(3.0), "counts": np.zeros(3)}, saved, {"frspec": '{"schema": 1, "fingerprint": "f"}'})
    with pytest.raises(UserError, match="is a damaged ranking"):
        Ranking.load(saved)
    with pytest.raises(UserError, match="cannot read"):
        Ranking.load(tmp_path / "no")
