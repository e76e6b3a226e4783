"""``frspec rank merge`` as a user meets it, against sums by numpy and exact fractions."""

import itertools
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from frspec.cli.rank_merge import merge, parse_weight
from frspec.errors import UserError
from frspec.ranking.merging import Input
from frspec.ranking.merging import merge as merged
from frspec.ranking.mixture import UNIT
from frspec.ranking.ranking import Ids, Ranking

SIZE = 40


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(merge, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def counts(seed: int) -> Ids:
    numbers = np.random.default_rng(seed)
    return numbers.integers(0, 10 ** numbers.integers(1, 9, SIZE)) * numbers.integers(0, 2, SIZE)


def facts(documents: int, by_id: Ids, **more: object) -> dict[str, object]:
    return {"tokenizer": "t", "sources": [f"s{documents}"], "files": 1, "skipped": 1, "documents": documents,
            "characters": 5, "tokens": int(by_id.sum()), "only": ["assistant"], **more}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """de and ja, and both with en in all.ranking."""
    monkeypatch.chdir(tmp_path)
    parts = {name: counts(seed) for seed, name in enumerate(("de", "ja", "en"))}
    for seed, name in enumerate(("de", "ja")):
        Ranking.from_counts(parts[name], "f", facts(seed, parts[name])).save(f"{name}.ranking")
    known = {name: {"documents": 2, "characters": 9} for name in parts}
    Ranking.from_parts(parts, "f", facts(7, sum(parts.values(), np.zeros(SIZE, int)), parts=known)).save("all.ranking")
    return tmp_path


def test_counts_add_up_and_files_become_parts(folder: Path) -> None:
    said = run("de.ranking", "ja.ranking", "-o", "both.ranking").stderr
    both = Ranking.load("both.ranking")
    assert both.by_id.tolist() == (counts(0) + counts(1)).tolist()
    assert {name: part.tolist() for name, part in both.parts.items()} == {
        "de": counts(0).tolist(),
        "ja": counts(1).tolist(),
    }
    assert both.weights is None
    total = int((counts(0) + counts(1)).sum())
    assert said.startswith(f"both.ranking: {total:,} tokens in the parts de, ja; 99 % of them are ")
    about = both.provenance
    assert (about["documents"], about["characters"], about["files"], about["skipped"]) == (1, 10, 2, 2)
    assert (about["tokenizer"], about["sources"], about["only"]) == ("t", ["s0", "s1"], ["assistant"])
    assert about["tokens"] == total
    assert about["merged"] == [
        {"name": "de.ranking", "tokens": int(counts(0).sum())},
        {"name": "ja.ranking", "tokens": int(counts(1).sum())},
    ]
    assert about["parts"]["ja"] == {"documents": 1, "characters": 5, "tokens": int(counts(1).sum())}
    run("both.ranking", "all.ranking", "-o", "more.ranking")
    more = Ranking.load("more.ranking")
    assert list(more.parts) == ["de", "en", "ja"]
    assert more.parts["de"].tolist() == (2 * counts(0)).tolist(), "parts of the same name add up"
    assert more.provenance["parts"]["de"]["documents"] == 2


def test_weights_say_what_each_file_makes_up(folder: Path) -> None:
    run("de.ranking=3", "ja.ranking=1", "-o", "mix.ranking")
    mix = Ranking.load("mix.ranking")
    assert mix.weights == {"de": 0.75, "ja": 0.25}
    assert [entry["weight"] for entry in mix.provenance["merged"]] == [3.0, 1.0]
    exact = [Fraction(3, 4) * Fraction(int(a), int(counts(0).sum())) + Fraction(int(b), 4 * int(counts(1).sum()))
             for a, b in zip(counts(0), counts(1), strict=True)]  # fmt: skip
    assert all(abs(got - share * UNIT) < 1 for got, share in zip(mix.by_id.tolist(), exact, strict=True))
    with pytest.raises(UserError, match=r"mix\.ranking is a mixture by weights"):
        run("mix.ranking", "all.ranking@en", "-o", "x.ranking")
    run("mix.ranking=0.8", "all.ranking@en=0.2", "-o", "three.ranking")
    three = Ranking.load("three.ranking")
    assert three.weights == pytest.approx({"de": 0.6, "ja": 0.2, "en": 0.2})
    assert all(
        abs(got - (share * 8 / 10 + Fraction(int(c), 5 * int(counts(2).sum()))) * UNIT) < 1
        for got, share, c in zip(three.by_id.tolist(), exact, counts(2), strict=True)
    )


def test_parts_of_an_unweighted_file_share_its_weight_by_their_tokens(folder: Path) -> None:
    Ranking.from_counts(np.arange(SIZE), "f", {}).save("x.ranking")
    run("all.ranking=0.5", "x.ranking=0.5", "-o", "mix.ranking")
    mix = Ranking.load("mix.ranking")
    whole = counts(0) + counts(1) + counts(2)
    exact = [Fraction(int(a), 2 * int(whole.sum())) + Fraction(i, 2 * sum(range(SIZE))) for i, a in enumerate(whole)]
    assert all(abs(got - share * UNIT) < 1 for got, share in zip(mix.by_id.tolist(), exact, strict=True))
    assert list(mix.parts) == ["de", "en", "ja", "x"]
    assert "documents" not in mix.provenance, "one of them does not say"


def test_balance_gives_every_part_the_same(folder: Path) -> None:
    run("all.ranking", "-o", "even.ranking", "--balance")
    even = Ranking.load("even.ranking")
    assert even.weights == pytest.approx(dict.fromkeys(("de", "en", "ja"), 1 / 3))
    mass = [even.coverage(np.flatnonzero(even.parts[name])) for name in even.parts]
    assert min(mass) >= 1 / 3
    run("even.ranking", "-o", "again.ranking", "--balance")
    assert Ranking.load("again.ranking").by_id.tolist() == even.by_id.tolist(), "counts are kept, so weights can change"
    with pytest.raises(UserError, match="exclude each other"):
        run("de.ranking=1", "ja.ranking=1", "-o", "x.ranking", "--balance")


def shards(n: int, parted: bool) -> list[Ranking]:
    found = []
    for i in range(n):
        job = {"shard": f"{i + 1}/{n}", "job": "ab12", "files": 4, "date": f"{i}"}
        if parted:
            by_part = {"de": counts(i), "ja": counts(100 + i) * (i % 3 > 0)}  # some have seen nothing of it
            known = {name: {"documents": i, "characters": 2, "tokens": int(c.sum())} for name, c in by_part.items()}
            found.append(Ranking.from_parts(by_part, "f", facts(i, counts(i), parts=known, sources=["s"], **job)))
        else:
            found.append(Ranking.from_counts(counts(i), "f", facts(i, counts(i), sources=["s"], **job)))
    return found


@pytest.mark.parametrize("parted", [False, True])
def test_sixteen_shards_are_one_count(folder: Path, parted: bool) -> None:
    for i, ranking in enumerate(shards(16, parted)):
        ranking.save(f"shard-{i}.ranking")
    names = [f"shard-{i}.ranking" for i in range(16)]
    random.Random(1).shuffle(names)
    run(*names, "-o", "whole.ranking")
    whole = Ranking.load("whole.ranking")
    de = np.sum([counts(i) for i in range(16)], axis=0)
    ja = np.sum([counts(100 + i) * (i % 3 > 0) for i in range(16)], axis=0)
    total = de + ja if parted else de
    assert whole.by_id.tolist() == total.tolist()
    assert whole.ids.tolist() == sorted(range(SIZE), key=lambda id: (-total[id], id))
    assert {name: part.tolist() for name, part in whole.parts.items()} == (
        {"de": de.tolist(), "ja": ja.tolist()} if parted else {}
    )
    about = whole.provenance
    assert not {"shard", "job", "missing"} & set(about)
    assert (about["documents"], about["characters"], about["skipped"], about["files"]) == (120, 80, 16, 4)
    assert (about["tokens"], about["sources"]) == (int(total.sum()), ["s"])
    if parted:
        assert about["parts"]["ja"] == {"documents": 120, "characters": 32, "tokens": int(ja.sum())}


def test_a_shard_without_a_word_has_no_parts_and_is_counted_all_the_same(folder: Path) -> None:
    job = {"shard": "2/2", "job": "ab12"}
    empty = Ranking.from_counts(np.zeros(SIZE, int), "f", {"tokens": 0, "documents": 0, **job})
    full = Ranking.from_parts({"de": counts(0)}, "f", {"documents": 3, "shard": "1/2", "job": "ab12"})
    whole = merged([Input("e", empty), Input("f", full)])
    assert list(whole.parts) == ["de"]
    assert whole.provenance["documents"] == 3


@settings(max_examples=30)
@given(st.permutations(range(5)), st.booleans())
def test_the_order_of_files_makes_no_difference(order: list[int], weighed: bool) -> None:
    inputs = [Input(f"r{i}", Ranking.from_counts(counts(i), "f"), 0.1 * (i + 1) if weighed else None) for i in range(5)]
    one, other = merged(inputs), merged([inputs[i] for i in order])
    assert one.ids.tolist() == other.ids.tolist()
    assert np.abs(one.by_id - other.by_id).max() == 0
    assert list(one.parts) == list(other.parts)


def test_shards_that_are_not_all_there(folder: Path) -> None:
    for i, ranking in enumerate(shards(16, False)):
        ranking.save(f"{i + 1}.ranking")
    three = ["1.ranking", "2.ranking", "5.ranking"]
    with pytest.raises(UserError, match=r"missing shards: 3, 4, 6, 7, 8, .* and 1 more of 16; .* --partial"):
        run(*three, "-o", "x.ranking")
    assert "shards 3, 4, 6" in run(*three, "-o", "x.ranking", "--partial").stderr
    run(*three[1:], "-o", "late.ranking", "--partial")
    part = Ranking.load("x.ranking")
    assert part.by_id.tolist() == (counts(0) + counts(1) + counts(4)).tolist()
    assert part.provenance["missing"].startswith("shards 3, 4, 6, 7")
    run("x.ranking", "de.ranking", "-o", "y.ranking")
    assert Ranking.load("y.ranking").provenance["merged"][0]["missing"].startswith("shards 3"), "it is not forgotten"
    (folder / "copy.ranking").write_bytes((folder / "2.ranking").read_bytes())
    other = Ranking.from_counts(counts(0), "f", {"shard": "3/16", "job": "cd34"})
    other.save("other.ranking")
    Ranking.from_counts(counts(0), "f", {"shard": "3/17", "job": "ab12"}).save("seventeen.ranking")
    Ranking.from_counts(counts(0), "f", {"shard": "0/2", "job": "ab12"}).save("odd.ranking")
    Ranking.from_counts(counts(0), "f", {"shard": f"3/{10**12}", "job": "ab12"}).save("many.ranking")
    for words, message in (
        ([*three, "copy.ranking"], r"2\.ranking and copy\.ranking are the same shard, 2/16"),
        ([*three, "other.ranking"], r"other\.ranking and 1\.ranking are not shards of one job"),
        ([*three, "de.ranking"], r"de\.ranking and 1\.ranking are not shards of one job"),
        (["de.ranking", *three], r"de\.ranking and 1\.ranking are not shards of one job"),
        ([*three, "seventeen.ranking"], "of 16 and of 17"),
        (["odd.ranking"], "says that it is shard 0/2"),
        (["1.ranking=1", "2.ranking=1", "--partial"], "has no weight of its own"),
        (["de.ranking", "--partial"], "--partial is for shards"),
        ([*three, "--partial", "--balance"], "--balance weighs parts, and the job of these shards has none"),
        (["x.ranking", "7.ranking"], r"x\.ranking is a partial merge; name the rankings of its shards instead"),
        (["x.ranking", "late.ranking"], r"x\.ranking and late\.ranking are partial merges, which may hold the same"),
        (["many.ranking"], r"missing shards: 1, 2, 4, .* and 999,999,999,987 more of 1000000000000;"),
    ):
        with pytest.raises(UserError, match=message):
            run(*words, "-o", "z.ranking")
    assert not (folder / "z.ranking").exists()


def test_very_many_parts_are_not_all_named(folder: Path) -> None:
    for number in (40, 41):
        Ranking.from_parts({f"p{i}": counts(0) for i in range(number)}, "f", {}).save("many.ranking")
        said = run("many.ranking", "-o", "x.ranking").stderr
        assert ("in the parts p0, p1, " in said, "in 41 parts; " in said) == (number == 40, number == 41)


def test_refuses(folder: Path) -> None:
    Ranking.from_counts(counts(0), "g", {"tokenizer": "another"}).save("foreign.ranking")
    Ranking.from_counts(np.zeros(SIZE, int), "f").save("empty.ranking")
    (folder / "ids.txt").write_text("5\n3\n")
    torch.save({1: 2}, folder / "token_freq.pt")
    (folder / "link.ranking").symlink_to(folder / "de.ranking")
    for words, message in (
        (["de.ranking", "foreign.ranking"], r"foreign\.ranking is of another tokenizer \(another\) than de\.r.* \(t\)"),
        (["de.ranking", "ids.txt"], r"ids\.txt is an id list without counts"),
        (["de.ranking", "token_freq.pt"], r"frspec convert token_freq\.pt --tokenizer"),
        (["de.ranking", "./de.ranking"], r"\./de\.ranking would count twice"),
        (["de.ranking", "link.ranking"], r"link\.ranking would count twice"),
        (["all.ranking", "all.ranking@de"], r"all\.ranking@de would count twice"),
        (["all.ranking@de", "all.ranking@de"], "would count twice"),
        (["de.ranking=1", "ja.ranking"], r"ja\.ranking has no weight"),
        (["de.ranking=0", "ja.ranking=1"], "'0' is no weight"),
        (["de.ranking=-1"], "is no weight"),
        (["de.ranking=inf"], "is no weight"),
        (["de.ranking=much"], "'much' is no weight"),
        (["de.ranking=1", "all.ranking=1"], "two rankings have a part de"),
        (["empty.ranking"], "have counted no tokens"),
        (["de.ranking=1", "empty.ranking=1"], "the part empty has counted no tokens"),
        (["all.ranking@fr"], "no part 'fr'"),
        (["no.ranking"], r"cannot read no\.ranking"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message) as refusal:
            run(*words, "-o", "x.ranking")
        assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="is the name of an id list"):
        run("de.ranking", "-o", "freq_1.pt")
    assert not (folder / "x.ranking").exists()


def test_a_file_that_is_called_like_a_weight(folder: Path) -> None:
    (folder / "de.ranking").rename(folder / "a=0.5")
    assert parse_weight("a=0.5") == ("a=0.5", None)
    assert parse_weight("a=0.5=2") == ("a=0.5", 2.0)
    assert parse_weight("all.ranking@de=0.5") == ("all.ranking@de", 0.5)
    assert parse_weight("a=0.5@de") == ("a=0.5@de", None)
    run("a=0.5", "ja.ranking", "-o", "both.ranking")
    assert Ranking.load("both.ranking").weights is None
    assert list(Ranking.load("both.ranking").parts) == ["a=0", "ja"]


def test_a_merged_part_can_be_taken_out_and_merged_again(folder: Path) -> None:
    parts = [Ranking.load(f"all.ranking@{name}") for name in ("de", "en", "ja")]
    for name, ranking in zip(("x", "y", "z"), parts, strict=True):
        ranking.save(f"{name}.ranking")
    run("x.ranking", "y.ranking", "z.ranking", "-o", "again.ranking")
    again, first = Ranking.load("again.ranking"), Ranking.load("all.ranking")
    assert list(again.parts) == ["de", "en", "ja"], "a part that lies in a file of its own keeps its name"
    assert again.ids.tolist() == first.ids.tolist()
    for one, other in itertools.product(again.parts, repeat=2):
        assert (again.parts[one].tolist() == first.parts[other].tolist()) == (one == other)


def test_smoothing_mixes_in_the_ids_by_number(folder: Path) -> None:
    run("all.ranking@de=3", "ja.ranking=1", "--smooth", "0.25", "-o", "smooth.ranking")
    smooth = Ranking.load("smooth.ranking")
    assert smooth.weights == {"by-id": 0.25, "de": pytest.approx(0.5625), "ja": pytest.approx(0.1875)}
    zipf = [1_000_000 // (id + 1) + 1 for id in range(SIZE)]
    parts = {"de": (counts(0).tolist(), Fraction(9, 16)), "ja": (counts(1).tolist(), Fraction(3, 16))}
    exact = [
        Fraction(1, 4) * Fraction(zipf[id], sum(zipf))
        + sum(weight * Fraction(part[id], sum(part)) for part, weight in parts.values())
        for id in range(SIZE)
    ]
    assert all(abs(count - UNIT * share) < 2 for count, share in zip(smooth.by_id.tolist(), exact, strict=True))
    assert smooth.part("by-id").ids.tolist() == list(range(SIZE))
    assert smooth.provenance["smooth"] == 0.25
    assert smooth.provenance["tokens"] == counts(0).sum() + counts(1).sum(), "made-up counts are no tokens"


def test_smoothing_one_ranking_keeps_its_own_order_beside(folder: Path) -> None:
    run("de.ranking", "--smooth", "0.1", "-o", "one.ranking")
    one = Ranking.load("one.ranking")
    assert one.weights == {"by-id": pytest.approx(0.1), "de": pytest.approx(0.9)}
    assert (one.parts["de"] == counts(0)).all()
    with pytest.raises(UserError, match="smoothed already"):
        run("one.ranking=1", "ja.ranking=1", "--smooth", "0.1", "-o", "two.ranking")
    wrong = CliRunner().invoke(merge, ["de.ranking", "--smooth", "1", "-o", "two.ranking"])
    assert wrong.exit_code == 2
    assert "0<x<1" in wrong.output
