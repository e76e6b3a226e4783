"""Outputs that cannot be written, for lack of room or a place: one line, and nothing half-written."""

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer
from tests.cli.outside import Outside

ROOM = 20_000
CONVERTED = {
    "a.ranking": [],
    "a.json": [],
    "a.txt": [],
    "freq.pt": [],
    "token_freq.pt": [],
    "d2t.npy": [],
    "d2t.pt": [],
    "d2t.safetensors": [],
    "t2d.npy": ["--vocab-size", "131072"],
    "map.pt": ["--to", "eagle3", "--vocab-size", "131072"],
    "map.safetensors": ["--to", "eagle3", "--vocab-size", "131072"],
}


@pytest.fixture
def frspec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Outside:
    return Outside(monkeypatch, capsys)


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes: what a full disk looks like to a program, but for the words."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def flat(stories: Path, file: Path) -> None:
    """A ranking that knows no token from another."""
    facts = {"tokenizer": str(stories)}
    Ranking.from_counts([1] * 2048, Tokenizer.load(stories).fingerprint, facts).save(file)


@pytest.mark.parametrize("name", CONVERTED)
def test_no_room_for_a_list(name: str, tmp_path: Path, frspec: Outside) -> None:
    (tmp_path / name).write_text("old")
    with room(ROOM):
        said = frspec.refusal("convert", "demo", "-o", tmp_path / name, *CONVERTED[name])
    assert said.startswith(f"frspec: cannot write {tmp_path / name}: File too large")
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


def test_no_room_for_a_ranking_and_then_there_is(stories: Path, tmp_path: Path, frspec: Outside) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Once upon a time"}\n')
    words = ("rank", "--tokenizer", stories, tmp_path / "a.jsonl", "-o", tmp_path / "a.ranking", "--workers", "1")
    with room(ROOM):
        assert frspec.refusal(*words).startswith(f"frspec: cannot write {tmp_path / 'a.ranking'}: File too large")
    assert {file.name for file in tmp_path.iterdir()} <= {"a.jsonl", "a.ranking.journal"}
    assert frspec.run(*words)[0] == 0
    assert {file.name for file in tmp_path.iterdir()} == {"a.jsonl", "a.ranking"}
    assert Ranking.load(tmp_path / "a.ranking").provenance["documents"] == 1


@pytest.mark.parametrize("name", ["r.html", "r.png", "r.svg"])
def test_no_room_for_a_report(name: str, stories: Path, tmp_path: Path, frspec: Outside) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Once upon a time"}\n')
    flat(stories, tmp_path / "b.ranking")
    words = ("rank", "report", tmp_path / "b.ranking", "--on", tmp_path / "a.jsonl", "-o", tmp_path / name)
    with room(1000):
        assert f"cannot write {tmp_path / name}: File too large" in frspec.refusal(*words)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl", "b.ranking"]


def test_no_room_for_a_training_run(stories: Path, tmp_path: Path, frspec: Outside) -> None:
    """It is told in one line, too, though what it is doing is written on stderr before."""
    lines = [json.dumps({"text": f"Once upon a time there were {n} dogs."}) for n in range(200)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with room(ROOM):
        code, _, said = frspec.run(
            "train", stories, "--data", tmp_path / "a.jsonl", "-o", tmp_path / "head", "--steps", "1"
        )
    assert code == 1
    assert said.splitlines()[-1].startswith("frspec: cannot write")
    assert not (tmp_path / "head").exists()
    left = [file.name for file in (tmp_path / "head.training").rglob("*")]
    assert not any(name.startswith(".") for name in left), "what was half written is gone"


PLACES = {"folder": "there is a folder of that name", "file/x": "Not a directory", "x" * 300: "File name too long"}


@pytest.mark.parametrize("place", PLACES)
def test_no_such_place(place: str, stories: Path, tmp_path: Path, frspec: Outside) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "Once upon a time"}\n')
    (tmp_path / "file").touch()
    flat(stories, tmp_path / "b.ranking")
    verbs = {
        ".ranking": ["rank", "--tokenizer", stories, tmp_path / "a.jsonl"],
        ".txt": ["convert", tmp_path / "b.ranking"],
        ".html": ["rank", "report", tmp_path / "b.ranking", "--on", tmp_path / "a.jsonl"],
        ".merged": ["rank", "merge", f"{tmp_path / 'b.ranking'}=1"],
        ".json": ["bench", tmp_path / "a.jsonl", "--model", stories],
    }
    for ending, words in verbs.items():
        output = tmp_path / f"{place}{ending}"
        if place == "folder":
            output.mkdir()
        before = sorted(tmp_path.iterdir())
        assert f"cannot write {output}: {PLACES[place]}" in frspec.refusal(*words, "-o", output)
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(stories: Path, tmp_path: Path, frspec: Outside) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = frspec.refusal("convert", "demo", "-o", tmp_path / "locked" / "a.txt")
    assert "Permission denied" in said
