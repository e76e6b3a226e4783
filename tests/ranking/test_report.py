"""The figures of a report against Counter and the tokenizers library on their own."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from frspec.errors import UserError
from frspec.ranking import report, runs
from frspec.ranking.counts import Counts, Part
from frspec.ranking.figures import Report
from frspec.ranking.job import Plan, count_sources
from frspec.ranking.ranking import Ranking
from frspec.ranking.report import Reporter, ask, check_ids
from frspec.ranking.runs import read_samples
from frspec.text.reading import Reading, find_sources
from frspec.text.tokenizer import Tokenizer
from frspec.text.views import Rendered

ONE = ["The cat sat on the mat, and the cat was happy.", "Zebras? Quixotic zebras! 東京"]
TWO = ["def f(x):\n    return x + 1\n", "print(f(2))", ""]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load("demo")


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return Ranking.load("demo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, texts in (("one", ONE), ("two", TWO)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return tmp_path


def measure(ranking: Ranking, tokenizer: Tokenizer, *asked: str, sizes: tuple[int, ...] = (), **more: int) -> Report:
    sources = find_sources(asked, Reading())
    counts = count_sources(tokenizer, sources, Plan(workers=1))
    samples = read_samples(tokenizer, sources, {name: part.tokens for name, part in counts.parts.items()})
    question = ask(ranking, tokenizer.vocab_size, sizes, more.get("size"), more.get("depth", 5))
    return Reporter(ranking, tokenizer, {3}, question).report(counts, samples, {})


def library(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    return [tokenizer.backend.encode(text, add_special_tokens=False).ids for text in texts]


def flat(pieces: list[list[int]]) -> list[int]:
    return [token for piece in pieces for token in piece]


def check(found: Report, ranking: Ranking, tokenizer: Tokenizer, texts: dict[str, list[str]]) -> None:
    """Every figure of every text again, by loops."""
    ids, always = ranking.ids.tolist(), {3, *tokenizer.control_ids()}
    for row in found.rows:
        pieces = library(tokenizer, texts[row.name])
        times = Counter(token for piece in pieces for token in piece)
        total = times.total()
        assert (row.tokens, row.distinct) == (total, len(times))
        assert row.documents == len(texts[row.name])
        assert row.characters == sum(map(len, texts[row.name]))
        for at, reach in zip(row.coverage, row.ceiling, strict=True):
            inside = {*ids[: at.size], *always}
            assert at.share == pytest.approx(sum(times[id] for id in inside) / total, abs=1e-12)
            rest = Counter({id: count for id, count in times.items() if id not in always})
            best = sum(times[id] for id in always) + sum(count for _, count in rest.most_common(at.size))
            assert at.best == pytest.approx(best / total, abs=1e-12)
            assert reach.share == pytest.approx(at.share, abs=1e-9)  # so small a text is its own sample
            needed = sum(walk([token in inside for token in piece], found.question.depth) for piece in pieces)
            assert reach.length == pytest.approx(total / needed)
        close = {*ids[: found.question.size], *always}
        outside = {id: n for id, n in times.items() if id not in close}
        assert (row.missed_tokens, row.missed_ids) == (sum(outside.values()), len(outside))
        for token, (id, count) in zip(row.missed, sorted(outside.items(), key=lambda x: (-x[1], x[0])), strict=False):
            assert (token.id, token.count, token.position) == (id, count, ids.index(id) + 1)
            assert token.share == pytest.approx(count / total)
        assert len(row.missed) == min(30, len(outside))
        for at in row.coverage:
            assert row.curve.shares[row.curve.sizes.index(at.size)] == at.share
        frequent = [n / total for _, n in times.most_common()]
        assert row.frequencies.shares == pytest.approx([frequent[rank - 1] for rank in row.frequencies.ranks])


def walk(covered: list[bool], depth: int) -> int:
    """Passes of a drafter that is right whenever it can be, one after the other."""
    place = passes = 0
    while place < len(covered):
        drafted = 0
        while drafted < depth and place + drafted < len(covered) and covered[place + drafted]:
            drafted += 1
        place, passes = place + drafted + 1, passes + 1
    return passes


def test_one_text(folder: Path, ranking: Ranking, tokenizer: Tokenizer) -> None:
    found = measure(ranking, tokenizer, str(folder / "one.jsonl"), sizes=(10, 100, 1000), size=100, depth=3)
    assert found.question.sizes == (10, 100, 1000, 32768)
    assert (found.whole.name, found.texts, found.matrix) == ("the text", (), None)
    check(found, ranking, tokenizer, {"the text": ONE})


def test_several_texts_and_all_together(folder: Path, ranking: Ranking, tokenizer: Tokenizer) -> None:
    found = measure(ranking, tokenizer, f"a={folder}/one.jsonl", f"b={folder}/two.jsonl", sizes=(5, 500), size=500)
    assert [row.name for row in found.rows] == ["all texts", "a", "b"]
    check(found, ranking, tokenizer, {"all texts": ONE + TWO, "a": ONE, "b": TWO})


def test_real_text(data: Path) -> None:
    """Qwen2 on real questions: the same loops, many sizes, missing tokens of many scripts."""
    tokenizer = Tokenizer.load(data / "tokenizers" / "qwen2")
    file = data / "bench" / "spec_bench" / "question.jsonl"
    texts = [text for line in file.read_text().splitlines() for text in json.loads(line)["turns"]]
    made = Ranking.from_counts(
        np.bincount(flat(library(tokenizer, texts[::2])), minlength=tokenizer.vocab_size), tokenizer.fingerprint
    )
    own = measure_texts(made, tokenizer, texts[1::2])
    check(own, made, tokenizer, {"the text": texts[1::2]})
    assert own.whole.coverage[-1].size == 65536
    assert 0.5 < own.whole.coverage[0].share < own.whole.coverage[0].best


def measure_texts(ranking: Ranking, tokenizer: Tokenizer, texts: list[str]) -> Report:
    counts, pieces = Counts(tokenizer.vocab_size), library(tokenizer, texts)
    by_id = np.bincount(flat(pieces), minlength=tokenizer.vocab_size)
    counts.parts[""] = Part(by_id, len(texts), sum(map(len, texts)))
    sample = runs.Sample(np.array(flat(pieces)), np.cumsum([len(piece) for piece in pieces]))
    question = ask(ranking, tokenizer.vocab_size, (), None, 5)
    return Reporter(ranking, tokenizer, {3}, question).report(counts, {"": sample}, {})


def test_a_ranking_has_nothing_to_regret_on_its_own_corpus(folder: Path, tokenizer: Tokenizer) -> None:
    counts = count_sources(tokenizer, find_sources([folder], Reading()), Plan(workers=1))
    found = measure(Ranking.from_counts(counts.by_id, tokenizer.fingerprint), tokenizer, str(folder), sizes=(4, 20))
    assert all(at.share == at.best for at in found.whole.coverage)
    assert all(needed.size == needed.best for needed in found.whole.needed)
    assert found.frequencies == found.whole.frequencies


def test_parts_of_a_ranking(folder: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {
        name: np.bincount(flat(library(tokenizer, texts)), minlength=tokenizer.vocab_size)
        for name, texts in (("x", ONE), ("y", TWO))
    }
    made = Ranking.from_parts(parts, tokenizer.fingerprint, {})
    found = measure(made, tokenizer, f"a={folder}/one.jsonl", f"b={folder}/two.jsonl", size=6, sizes=(6,))
    assert found.matrix is not None
    assert (found.matrix.columns, found.matrix.names) == (("whole ranking", "x", "y"), ("all texts", "a", "b"))
    always = {3, *tokenizer.control_ids()}
    for texts, row in zip((ONE + TWO, ONE, TWO), found.matrix.rows, strict=True):
        tokens = flat(library(tokenizer, texts))
        for order, share in zip((made.ids, made.part("x").ids, made.part("y").ids), row, strict=True):
            inside = {*order[:6].tolist(), *always}
            assert share == pytest.approx(sum(token in inside for token in tokens) / len(tokens))
    assert found.matrix.rows[1][1] > found.matrix.rows[1][2]
    large = max(parts, key=lambda name: parts[name].sum())
    monkeypatch.setattr(report, "COLUMNS", 1)
    found = measure(made, tokenizer, f"{folder}/one.jsonl")
    assert found.matrix is not None
    assert found.matrix.columns == ("whole ranking", large), "each costs as much as there are parts"


def test_stop_and_control_tokens(folder: Path, ranking: Ranking, tokenizer: Tokenizer) -> None:
    found = measure(ranking, tokenizer, str(folder))
    assert {control.id for control in found.controls} == {3, *tokenizer.control_ids()}
    counts = dict(zip(ranking.ids.tolist(), ranking.counts.tolist(), strict=True))  # type: ignore[union-attr]
    for control in found.controls:
        assert control.share == pytest.approx(counts[control.id] / sum(counts.values()))
        assert control.position is not None
        assert ranking.ids[control.position - 1] == control.id


def test_an_id_list(folder: Path, ranking: Ranking, tokenizer: Tokenizer) -> None:
    found = measure(Ranking(ranking.ids[:1000].copy(), None, None), tokenizer, str(folder), sizes=(10, 1000))
    assert found.question.sizes == (10, 1000)
    assert found.quarter == 32768  # it has fewer; the last of what it has is looked at
    assert found.question.size == 1000
    assert found.frequencies is None
    assert found.whole.needed[-1].size is None
    assert all(control.share is None for control in found.controls)
    whole = measure(ranking, tokenizer, str(folder), sizes=(10, 1000))
    assert found.whole.coverage == whole.whole.coverage[:2]


def test_what_is_refused(folder: Path, ranking: Ranking, tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="stand by number"):
        ask(Ranking(np.array([3, 5]), None, None, ordered=False), 100, (), None, 5)
    with pytest.raises(UserError, match="cannot report on 200,000 ids of a ranking of 131,072"):
        ask(ranking, tokenizer.vocab_size, (5, 200_000), None, 5)
    with pytest.raises(UserError, match="another tokenizer"):
        check_ids(Ranking.from_counts([1, 2], "0" * 32), tokenizer)
    with pytest.raises(UserError, match="names token 999999, but demo has 131072"):
        check_ids(Ranking(np.array([999_999]), None, None), tokenizer)
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    with pytest.raises(UserError, match="no token"):
        measure(ranking, tokenizer, str(tmp_path / "empty.jsonl"))


def test_a_sample_is_spread_over_all_parts(folder: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    with (folder / "two.jsonl").open("a") as file:
        file.writelines(json.dumps({"text": f"number {k} of many"}) + "\n" for k in range(400))
    sources = find_sources([f"a={folder}/one.jsonl", f"b={folder}/two.jsonl"], Reading())
    tokens = {name: part.tokens for name, part in count_sources(tokenizer, sources, Plan(workers=1)).parts.items()}
    monkeypatch.setattr(runs, "TOKENS", 400)
    samples = read_samples(tokenizer, sources, tokens)
    assert samples["a"].ids.tolist() == flat(library(tokenizer, ONE))
    assert 100 <= len(samples["b"].ids) <= 400
    numbers = [token for token in samples["b"].ids.tolist() if (tokenizer.token(token) or "").isdigit()]
    last = library(tokenizer, ["number 399 of many"])[0]
    assert len(set(numbers)) > 3
    assert set(samples["b"].ids.tolist()) & set(last)
    assert samples["b"].ends[-1] == len(samples["b"].ids)


def test_a_sample_of_answers_holds_what_is_counted_of_them(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Each answer with its end, and nothing else: the same tokens as are counted, turn by turn."""
    talk = [
        {"role": role, "content": content}
        for role, content in (("user", "Hi"), ("assistant", "Hello there."), ("user", "Bye"), ("assistant", "See you!"))
    ]
    (tmp_path / "talk.jsonl").write_text(json.dumps({"messages": talk}) + "\n")
    sources = find_sources([tmp_path / "talk.jsonl"], Reading(view=Rendered(tokenizer, answers=True)))
    counts = count_sources(tokenizer, sources, Plan(workers=1))
    (sample,) = read_samples(tokenizer, sources, {"": counts.tokens}).values()
    assert np.array_equal(np.bincount(sample.ids, minlength=tokenizer.vocab_size), counts.by_id)
    assert len(sample.ends) == 2
    turns = np.split(sample.ids, sample.ends[:-1])
    assert [tokenizer.decode(turn.tolist()).strip() for turn in turns] == ["Hello there.", "See you!"]
    assert all(turn[-1] == tokenizer.eos_id for turn in turns)


def test_the_whole_report_is_json(folder: Path, ranking: Ranking, tokenizer: Tokenizer) -> None:
    found = measure(ranking, tokenizer, str(folder))
    again = json.loads(json.dumps(found.as_json()))
    assert again.pop("kind") == "frspec rank report"
    assert again.pop("schema") == 1
    assert again == json.loads(json.dumps(asdict(found)))
