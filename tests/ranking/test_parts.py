"""Rankings that keep the counts of several languages: sums, mixtures against exact fractions, parts, the file."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from frspec.errors import UserError
from frspec.ranking.mixture import UNIT, balanced
from frspec.ranking.naming import Size, split_part
from frspec.ranking.ranking import Ranking

WIDTH = 12
COUNTS = st.lists(st.integers(0, 9) | st.integers(0, 10**12), min_size=WIDTH, max_size=WIDTH)
PARTS = st.dictionaries(st.sampled_from(["de", "en", "ja", "xx"]), COUNTS.filter(any), min_size=1)
WEIGHTS = st.lists(st.floats(0.001, 1000), min_size=4, max_size=4)
DE, EN = [5, 0, 70, 0, 0, 25], [0, 0, 100, 300, 600, 0]


def languages(weights: dict[str, float] | None = None) -> Ranking:
    return Ranking.from_parts({"en": EN, "de": DE}, "f", {"tokens": 1100, "sources": ["a"]}, weights)


def shares(parts: dict[str, list[int]], weights: dict[str, float]) -> list[Fraction]:
    """What each id makes up, exactly."""
    whole = sum(map(Fraction, weights.values()))
    return [
        sum(Fraction(weights[p]) / whole * Fraction(parts[p][i], sum(parts[p])) for p in parts) for i in range(WIDTH)
    ]


def turns(name: str, parts: dict[str, list[int]]) -> list[int]:
    """The better of an id's places by number and among what similar parts have, in exact numbers of the same grain."""

    def share(counts: list[int]) -> list[int]:
        return [max(round(Fraction(count * 10**9, sum(counts))), int(count > 0)) for count in counts]

    own, found = share(parts[name]), [0] * WIDTH
    for other in set(parts) - {name}:
        theirs = share(parts[other])
        weight = sum(map(min, own, theirs)) ** 3 // 10**21
        found = [had + weight * more for had, more in zip(found, theirs, strict=True)]
    order = sorted(range(WIDTH), key=lambda id: (-found[id], id))
    return [min(id, order.index(id)) for id in range(WIDTH)]


def test_a_part_learns_most_from_what_is_like_it() -> None:
    """Dutch has German's frequent ids; Japanese, of which there is far more, has none of them."""
    v = 1000
    german, dutch, japanese = np.zeros((3, v), np.int64)
    german[900:910] = dutch[900:905] = 10
    dutch[800:810], japanese[500:510] = 1, 1_000_000
    ids = Ranking.from_parts({"de": german, "nl": dutch, "ja": japanese}, "f").part("de").ids.tolist()
    assert ids[:10] == list(range(900, 910))
    assert set(range(800, 810)) < set(ids[:45]), "every other id behind its own is one that Dutch has"
    assert not set(range(500, 510)) & set(ids[:45])


def test_counts_add_up_without_weights() -> None:
    ranking = languages()
    assert ranking.by_id.tolist() == [5, 0, 170, 300, 600, 25]
    assert ranking.ids.tolist() == [4, 3, 2, 5, 0, 1]
    assert list(ranking.parts) == ["de", "en"]
    assert ranking.covering(0.99).tolist() == [4, 3, 2, 5]


def test_balance_lets_a_small_language_be_heard() -> None:
    ranking = languages(balanced(["de", "en"]))
    assert ranking.weights == {"de": 0.5, "en": 0.5}
    assert (ranking.by_id * 1000 // UNIT).tolist() == [25, 0, 400, 150, 300, 125]
    assert ranking.prefix(4).tolist() == [2, 4, 3, 5]
    assert ranking.covering(0.825).tolist() == [2, 4, 3]
    assert ranking.coverage([2, 4]) == pytest.approx(0.7)
    assert languages({"de": 3, "en": 1}).weights == {"de": 0.75, "en": 0.25}


def test_a_part_falls_back_on_ids_and_on_other_parts_in_turns() -> None:
    german = languages().part("de")
    assert german.ids.tolist() == [2, 5, 0, 4, 1, 3], "of what German never has, English has 4 and 3; 1 is an early id"
    assert german.counts is not None
    assert german.counts.tolist() == [70, 25, 5, 0, 0, 0]
    assert german.covering(0.95).tolist() == [2, 5]
    assert german.coverage([4, 3, 1]) == 0.0
    assert german.hit_rate([2, 4, 1, 1], 4) == 0.5
    alone = Ranking.from_parts({"de": DE}, "f").part("de")
    assert alone.ids.tolist() == [2, 5, 0, 1, 3, 4], "where nothing else is known, the earlier id"
    assert german.provenance == {"sources": ["a"], "part": "de", "tokens": 100}
    assert german.parts == {}


@given(PARTS, WEIGHTS)
def test_a_mixture_is_the_exact_one_down_to_its_resolution(parts: dict[str, list[int]], numbers: list[float]) -> None:
    weights = dict(zip(parts, numbers, strict=False))
    ranking = Ranking.from_parts(parts, "f", {}, weights)
    exact = shares(parts, weights)
    assert all(abs(count - share * UNIT) < 1 for count, share in zip(ranking.by_id.tolist(), exact, strict=True))
    assert all((count > 0) == (share > 0) for count, share in zip(ranking.by_id.tolist(), exact, strict=True))
    order = ranking.ids.tolist()
    for i, first in enumerate(order):
        for second in order[i + 1 :]:
            assert exact[first] > exact[second] - Fraction(2, UNIT), "no id stands before one that is clearly above it"


@given(PARTS, WEIGHTS, st.integers(1, 1000))
def test_covering_is_exact_down_to_its_resolution(
    parts: dict[str, list[int]], numbers: list[float], thousandths: int
) -> None:
    weights = dict(zip(parts, numbers, strict=False))
    ranking = Ranking.from_parts(parts, "f", {}, weights)
    exact, blur = shares(parts, weights), Fraction(2 * WIDTH, UNIT)
    wanted = Fraction(thousandths, 1000)
    n = len(ranking.covering(thousandths / 1000))
    best = sorted(exact, reverse=True)
    assert sum(best[:n]) >= wanted - blur
    assert sum(best[: n - 1]) < wanted + blur
    assert ranking.coverage(ranking.prefix(n)) == pytest.approx(float(sum(best[:n])), abs=float(2 * blur))


@given(PARTS)
def test_sums_and_parts_are_exact(parts: dict[str, list[int]]) -> None:
    ranking = Ranking.from_parts(parts, "f")
    total = [sum(column) for column in zip(*parts.values(), strict=True)]
    assert ranking.ids.tolist() == sorted(range(WIDTH), key=lambda id: (-total[id], id))
    assert ranking.by_id.tolist() == total
    for name, counts in parts.items():
        part = ranking.part(name)
        second = turns(name, parts)
        assert part.ids.tolist() == sorted(range(WIDTH), key=lambda id: (-counts[id], second[id], id))
        for n in range(1, WIDTH):
            assert part.prefix(n + 1)[:n].tolist() == part.prefix(n).tolist()
        n = len(part.covering(0.9))
        assert sum(sorted(counts)[-n:]) >= Fraction(9, 10) * sum(counts) > sum(sorted(counts)[WIDTH - n + 1 :])


@given(PARTS, st.permutations(["de", "en", "ja", "xx"]))
def test_the_order_of_parts_makes_no_difference(parts: dict[str, list[int]], order: list[str]) -> None:
    other = {name: parts[name] for name in order if name in parts}
    for weights in (None, {name: 0.1 + i for i, name in enumerate(sorted(parts))}):
        one, two = (Ranking.from_parts(given, "f", {}, weights) for given in (parts, other))
        assert one.ids.tolist() == two.ids.tolist()
        assert one.by_id.tolist() == two.by_id.tolist()
        assert list(one.parts) == list(two.parts)


def test_one_count_without_a_name_is_a_ranking_as_ever(tmp_path: Path) -> None:
    plain = Ranking.from_parts({"": DE}, "f", {"tokens": 100})
    assert plain.parts == {}
    plain.save(tmp_path / "one")
    Ranking.from_counts(DE, "f", {"tokens": 100}).save(tmp_path / "other")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    with safe_open(tmp_path / "one", framework="np") as file:
        assert json.loads(file.metadata()["frspec"])["schema"] == 1, "programs of before can read it"


def same(one: Ranking, other: Ranking) -> bool:
    assert one.counts is not None
    assert other.counts is not None
    return (
        one.ids.tolist() == other.ids.tolist()
        and one.counts.tolist() == other.counts.tolist()
        and {k: v.tolist() for k, v in one.parts.items()} == {k: v.tolist() for k, v in other.parts.items()}
        and (one.weights, one.fingerprint, one.provenance) == (other.weights, other.fingerprint, other.provenance)
        and (None if one.backoff is None else one.backoff.tolist())
        == (None if other.backoff is None else other.backoff.tolist())
    )


@given(PARTS, WEIGHTS | st.none())
def test_file_gives_it_back(
    tmp_path_factory: pytest.TempPathFactory, parts: dict[str, list[int]], numbers: list[float] | None
) -> None:
    path = tmp_path_factory.mktemp("r") / "r"
    weights = None if numbers is None else dict(zip(parts, numbers, strict=False))
    ranking = Ranking.from_parts(parts, "f", {"tokens": 1}, weights)
    for kept in (ranking, ranking.part(next(iter(parts)))):
        kept.save(path)
        assert same(Ranking.load(path), kept)


def test_a_part_is_named_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    languages().save("all.ranking")
    assert same(Ranking.load("all.ranking@de"), languages().part("de"))
    assert same(Ranking.load(f"{tmp_path}/all.ranking@de"), languages().part("de"))
    with pytest.raises(UserError, match=r"all\.ranking: .* no part 'fr'; its parts are de, en"):
        Ranking.load("all.ranking@fr")
    with pytest.raises(UserError, match=r"demo: .* it has no parts"):
        Ranking.load("demo@de")
    with pytest.raises(UserError, match="cannot read no@de"):
        Ranking.load("no@de")
    with pytest.raises(UserError, match=r"cannot read all\.ranking@de"):
        Ranking.load(Path("all.ranking@de"))
    Ranking.from_counts(DE, "f").save("all.ranking@de")
    assert same(Ranking.load("all.ranking@de"), Ranking.from_counts(DE, "f"))
    assert split_part("demo@x@y") == ("demo", "x@y")
    assert split_part("all.ranking@") == ("all.ranking@", None)


@pytest.mark.parametrize(
    ("text", "size"),
    [("64", Size(64)), ("0.5", Size(0.5)), ("64@de", Size(64, "de")), ("0.5@a@b", Size(0.5, "a@b")),
     ("@ja", Size(None, "ja")), ("full", None), ("64@", None), ("@", None), ("", None), ("auto", None),
     ("a.ranking@de", None), ("1/2.5", None)],
)  # fmt: skip
def test_sizes_as_people_write_them(text: str, size: Size | None) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize(
    ("parts", "weights", "message"),
    [
        ({}, None, "there are no parts"),
        ({"a": [1, 2], "b": [1]}, None, r"int64\[2\] is expected"),
        ({"a": []}, None, "is expected"),
        ({"a": [1], "": [1]}, None, "a part without a name"),
        ({"a": [-1, 1]}, None, "a negative count in the part a"),
        ({"a": [2**62, 1], "b": [2**62, 2**62]}, None, "64 bits"),
        ({"a": [1], "b": [1]}, {"a": 1.0}, "weights of a for the parts a, b"),
        ({"a": [1], "b": [1]}, {"a": 1.0, "b": 0.0}, "a weight of 0.0 for b"),
        ({"a": [1]}, {"a": float("nan")}, "weights are above 0"),
        ({"a": [1], "b": [0]}, {"a": 1, "b": 1}, "the part b has counted no tokens"),
    ],
)
def test_parts_that_make_no_ranking(
    parts: dict[str, list[int]], weights: dict[str, float] | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        Ranking.from_parts(parts, "f", {}, weights)


DAMAGE = {
    "another sum": ({"parts/de/counts": [5, 71, 25]}, {}, "counts are not what its parts come to"),
    "ids outside": ({"parts/de/ids": [0, 2, 6]}, {}, "is a damaged ranking"),
    "negative ids": ({"parts/de/ids": [-4, 2, 5]}, {}, "is a damaged ranking"),
    "ids twice": ({"parts/de/ids": [0, 2, 2]}, {}, "ids do not rise"),
    "fewer counts": ({"parts/de/counts": [5]}, {}, "is a damaged ranking"),
    "floats": ({"parts/de/counts": [5.0, 70.0, 25.0]}, {}, "is a damaged ranking"),
    "a negative count": ({"parts/de/counts": [5, -70, 25]}, {}, "a negative count in the part de"),
    "no such tensors": ({}, {"parts": ["de", "fr"]}, "is a damaged ranking"),
    "a part less": ({}, {"parts": ["de"]}, "counts are not what its parts come to"),
    "weights": ({}, {"weights": {"de": 0.5, "en": 0.5}}, "counts are not what its parts come to"),
    "weights of others": ({}, {"weights": {"de": 1.0}}, "weights of de for the parts de, en"),
    "no weights": ({}, {"weights": [1]}, "is a damaged ranking"),
    "another order": ({"ids": [4, 3, 2, 5, 1, 0], "counts": [600, 300, 170, 25, 0, 5]}, {}, "not in rank order"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_wrong_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r"
    languages().save(path)
    change, more, message = DAMAGE[name]
    tensors = load_file(path) | {key: np.array(values) for key, values in change.items()}
    with safe_open(path, framework="np") as file:
        about = json.loads(file.metadata()["frspec"])
    save_file(tensors, path, {"frspec": json.dumps(about | more)})
    with pytest.raises(UserError, match=message) as error:
        Ranking.load(path)
    assert str(path) in str(error.value)


def test_an_order_that_a_part_may_have_and_a_ranking_may_not() -> None:
    ids, counts = np.array([2, 1, 0]), np.array([5, 0, 0])
    Ranking(ids, counts, "f", backoff=np.array([1, 7, 9]))
    for backoff in (None, np.array([9, 7, 1]), np.array([1, 1, 9])):
        with pytest.raises(UserError, match="not in rank order"):
            Ranking(ids, counts, "f", backoff=backoff)
    for backoff in (np.array([1, 7]), np.array([1.0, 7.0, 9.0])):
        with pytest.raises(UserError, match="backoff is"):
            Ranking(ids, counts, "f", backoff=backoff)


def test_arrays_cannot_be_changed() -> None:
    given = np.array(DE)
    ranking = Ranking.from_parts({"de": given}, "f")
    given[0] = 6  # the caller's own
    with pytest.raises(ValueError, match="read-only"):
        ranking.parts["de"][0] = 7
