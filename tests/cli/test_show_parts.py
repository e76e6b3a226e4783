"""What ``show`` and ``convert`` say of rankings with parts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from frspec.cli.main import frspec
from frspec.ranking.mixture import balanced
from frspec.ranking.ranking import Ranking

SIZE = 40_000


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(frspec, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def file(tmp_path: Path) -> str:
    """English counted the lower ids, Klingon little, and only the uppermost; of Esperanto there was nothing."""
    english, klingon = np.zeros(SIZE, int), np.zeros(SIZE, int)
    english[:30_000], klingon[-100:] = np.arange(30_000, 0, -1), 10
    parts = {"english": english, "klingon": klingon, "esperanto": np.zeros(SIZE, int)}
    facts = {"sources": ["a"], "parts": {"english": {"documents": 1234}, "klingon": {}},
             "merged": [{"name": "e.ranking", "tokens": 5000, "weight": 0.7}, {"name": "k", "tokens": 3}]}  # fmt: skip
    Ranking.from_parts(parts, "f" * 32, facts).save(tmp_path / "all.ranking")
    return str(tmp_path / "all.ranking")


def test_parts_in_numbers(file: str) -> None:
    english = 30_000 * 30_001 // 2
    shown = json.loads(run("show", file, "--json").stdout)
    assert shown["weights"] is None
    of = {row["part"]: row for row in shown["parts"]}
    assert list(of) == ["english", "esperanto", "klingon"]
    assert of["english"] == {
        "part": "english",
        "tokens": english,
        "documents": 1234,
        "weight": english / (english + 1000),
        "size": 1 + int(np.searchsorted(np.cumsum(np.arange(30_000, 0, -1)), 0.99 * english)),
        "covered": [
            {"size": 8192, "share": sum(range(30_000 - 8192 + 1, 30_001)) / english},
            {"size": 32768, "share": 1.0},
        ],
    }
    assert [entry["share"] for entry in of["klingon"]["covered"]] == [0.0, 1.0]
    assert (of["klingon"]["documents"], of["klingon"]["size"]) == (None, 99)
    assert of["esperanto"] == {"part": "esperanto", "tokens": 0, "documents": None, "weight": 0.0, "size": None,
                               "covered": None}  # fmt: skip
    assert shown["coverage"][-1] == {"size": SIZE, "share": 1.0}


def test_balance_is_seen_in_what_prefixes_cover(file: str, tmp_path: Path) -> None:
    whole = Ranking.load(file)
    parts = {name: whole.parts[name] for name in ("english", "klingon")}
    Ranking.from_parts(parts, "f" * 32, {}, balanced(parts)).save(tmp_path / "even.ranking")
    shown = json.loads(run("show", tmp_path / "even.ranking", "--json").stdout)
    assert shown["weights"] == {"english": 0.5, "klingon": 0.5}
    assert shown["parts"][1]["covered"][0] == {"size": 8192, "share": 1.0}
    assert "weight" in run("show", tmp_path / "even.ranking").stdout


def test_parts_in_words(file: str) -> None:
    lines = run("show", file).stdout.splitlines()
    header = next(line for line in lines if line.split()[:2] == ["part", "tokens"])
    assert "8,192" in header
    row = next(line.split() for line in lines if line.split()[:1] == ["english"])
    assert row[:3] == ["english", "450,015,000", "1,234"]
    assert row[-2:] == ["100.00", "%"]
    assert next(line.split()[1:] for line in lines if line.split()[:1] == ["esperanto"]) == [
        "0", "-", "0.00", "%", "-", "-", "-"
    ]  # fmt: skip
    words = " ".join(" ".join(lines).split())
    assert "e.ranking (5,000 tokens, weight 0.7), k (3 tokens)" in words
    assert "…" not in words, "no number is cut"


def test_one_part_is_a_ranking(file: str, tmp_path: Path) -> None:
    shown = json.loads(run("show", f"{file}@klingon", "--json").stdout)
    assert (shown["ids"], shown["provenance"]["part"]) == (SIZE, "klingon")
    assert "parts" not in shown
    assert shown["covering"][0] == {"share": 0.9, "size": 90}
    said = run("convert", f"{file}@klingon", "-o", tmp_path / "k.json", "--size", "101").stderr
    assert "parts" not in said
    assert json.loads((tmp_path / "k.json").read_text()) == [*range(SIZE - 100, SIZE), 0]
    run("convert", file, "-o", tmp_path / "same.json", "--size", "101@klingon")
    assert (tmp_path / "same.json").read_text() == (tmp_path / "k.json").read_text()
    run("convert", f"{file}@klingon", "-o", tmp_path / "k.ranking")
    alone = Ranking.load(tmp_path / "k.ranking")
    assert alone.ids.tolist() == Ranking.load(file).part("klingon").ids.tolist(), "the order behind its own ids too"


@pytest.mark.parametrize("name", ["freq_9.pt", "a.json", "a.txt", "token_freq.pt", "d2t.npy", "t2d.npy"])
def test_other_formats_lose_the_parts(file: str, tmp_path: Path, name: str) -> None:
    said = run("convert", file, "-o", tmp_path / name, "--size", "9", "--vocab-size", SIZE).stderr
    assert ", parts, the 39,991 ids behind these" in said
    assert "parts" not in run("convert", file, "-o", tmp_path / "copy.ranking").stderr
    assert list(Ranking.load(tmp_path / "copy.ranking").parts) == ["english", "esperanto", "klingon"]
    if name == "freq_9.pt":
        assert torch.load(tmp_path / name, weights_only=True) == list(range(9))


def test_a_ranking_of_before_is_read_as_it_is() -> None:
    """The shipped one is of schema 1."""
    demo = Ranking.load("demo")
    assert (demo.parts, demo.weights, demo.backoff) == ({}, None, None)
    assert "parts" not in json.loads(run("show", "demo", "--json").stdout)
