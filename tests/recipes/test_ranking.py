"""The recipes that prove what rankings promise: their figures are the library's, and they notice what is wrong."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import click
import numpy as np
import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer as Library

from frspec.ranking.ranking import Ranking
from tests.recipes.conftest import WORDS, sentence

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "ranking"))

import big_file
import borrowed
import coverage_matrix
import halves
import kills
import long_text
import program
import round_trips
import speed

HOLDER = """
import subprocess, sys
hold = "import time; kept = bytearray(b'x' * (80 << 20)); print(1, flush=True); time.sleep(600)"
other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
other.stdout.readline()
print(1, flush=True)
other.wait()
"""


@pytest.fixture(scope="module")
def library(tokenizer: Path) -> Library:
    return Library.from_file(str(tokenizer / "tokenizer.json"))


def ids_of(library: Library, text: str) -> list[int]:
    ids: list[int] = library.encode(text, add_special_tokens=False).ids
    return ids


def write_lines(file: Path, texts: list[str]) -> str:
    file.write_text("".join(json.dumps({"id": f"x/{n // 2}", "text": text}) + "\n" for n, text in enumerate(texts)))
    return str(file)


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> str:
    texts = [sentence(number, 60 + number) + " 12 — été, 山水" for number in range(40)]
    return write_lines(tmp_path_factory.mktemp("english") / "english.jsonl", texts)


def last_line(command: click.Command, *words: str | Path) -> dict[str, object]:
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.output.splitlines()[-1])
    return found


def test_memory_and_members_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "FRSPEC", [sys.executable, "-c", HOLDER])
    with subprocess.Popen([*program.FRSPEC], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert len(program.members(process.pid)) == 2
            assert 80 << 20 < program.memory(process.pid) < 200 << 20
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert len(program.members(process.pid)) == 1  # the one that is left alone
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_command_that_fails_ends_the_recipe() -> None:
    with pytest.raises(SystemExit, match=r"frspec rank --no-such-option ended with [12]"):
        program.run("rank", "--no-such-option")


def test_speed(english: str, tokenizer: Path, library: Library) -> None:
    found = last_line(speed.main, english, "--tokenizer", tokenizer, "--repeat", "1", "--check")
    texts = [json.loads(line)["text"] for line in Path(english).read_text().splitlines()]
    measured = found[tokenizer.name]
    assert isinstance(measured, dict)
    assert measured["tokens"] == sum(len(ids_of(library, text)) for text in texts)
    assert found["bytes"] == sum(len(text.encode()) for text in texts)
    assert measured["peak_megabytes"] > 30


def test_speed_notices_other_counts(tokenizer: Path, library: Library, tmp_path: Path) -> None:
    by_id = np.bincount(ids_of(library, "a b d"), minlength=library.get_vocab_size())
    Ranking.from_counts(by_id, "x").save(tmp_path / "made.ranking")
    with pytest.raises(SystemExit, match="other counts than the library"):
        speed.compare(str(tokenizer), ["a b c"], tmp_path / "made.ranking")
    assert [len(batch) for batch in speed.batches(["a" * speed.BATCH, "b", "c"])] == [1, 2]


def test_kills(english: str, tokenizer: Path, tmp_path: Path) -> None:
    words = [
        sys.executable,
        kills.__file__,
        english,
        "--tokenizer",
        tokenizer,
        "--kills",
        "2",
        "--within",
        "0.8",
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert sum(found["kills"].values()) == 2
    assert found["finished_equal"] >= 1
    assert not list(tmp_path.iterdir())


def test_kills_notices_other_counts_and_what_is_left_over(library: Library, tmp_path: Path) -> None:
    for name, text in (("a", "one two"), ("b", "one two"), ("c", "one three")):
        (tmp_path / name).mkdir()
        Ranking.from_counts(np.bincount(ids_of(library, text), minlength=5), "x").save(tmp_path / name / "all.ranking")
    same, other, empty = tmp_path / "b" / "all.ranking", tmp_path / "c" / "all.ranking", tmp_path / "empty"
    empty.mkdir()
    kills.check(same, tmp_path / "a" / "all.ranking", empty)
    with pytest.raises(SystemExit, match="not what an uninterrupted count gives"):
        kills.check(other, same, empty)
    (same.parent / ".all.ranking.x1").mkdir()
    with pytest.raises(SystemExit, match=r"left over.*\.all\.ranking\.x1"):
        kills.check(same, tmp_path / "a" / "all.ranking", empty)


def test_pieces_in_any_order_keep_their_tokens(library: Library) -> None:
    texts = [" ".join(f"{word}{mark}" for word in WORDS * 90 for mark in ("", ",", ".")), "— 12 (été) 山水\0x's fin 3"]
    pieces = long_text.pieces_of(texts)
    assert len(pieces) > 3
    assert pieces[-1] == " 山水 x's fin"
    used = Counter[int]()
    whole = list(long_text.repeat(pieces, 40_000, 1, used))
    assert Counter(whole) == {pieces[number]: times for number, times in used.items()}
    assert 40_000 <= len("".join(whole).encode()) < 40_000 + 2 * long_text.LENGTH
    assert ids_of(library, "".join(whole)) == [id for piece in whole for id in ids_of(library, piece)]


def test_big_files(english: str, tokenizer: Path, library: Library, tmp_path: Path) -> None:
    found = last_line(
        big_file.main, english, "--tokenizer", tokenizer, "--gb", "0.0003", "--packing", "gz", "--folder", tmp_path
    )
    assert [name for name in found if name.startswith("line")] == ["line.txt.gz", "line.jsonl.gz"]
    assert not list(tmp_path.iterdir())
    file = tmp_path / "line.txt"
    big_file.write(file, "plain", [" one two"], 100)
    with pytest.raises(SystemExit, match=r"line\.txt: not the counts that the library gives"):
        big_file.measure(file, str(tokenizer), np.zeros(library.get_vocab_size(), dtype=np.int64))


@pytest.mark.parametrize("packing", big_file.PACKINGS)
def test_big_json_is_one_line_of_json(packing: str, tmp_path: Path) -> None:
    import fsspec

    pieces, file = [' "one"\\ two', " été"], tmp_path / "line.jsonl"
    used = big_file.write(file, packing, pieces, 500)
    with fsspec.open(file, compression={"plain": None, "gz": "gzip", "zst": "zstd"}.get(packing, packing)) as opened:
        content = opened.read()
    assert content.count(b"\n") == 1
    text = json.loads(content)["text"]
    assert Counter({number: text.count(piece) for number, piece in enumerate(pieces)}) == used


def test_halves_have_no_document_in_common(english: str, tmp_path: Path) -> None:
    other = write_lines(tmp_path / "other.jsonl", ["whole one", "whole two"])
    rankings, texts = {"a": [english, other]}, {"b": [english]}
    shared = halves.shared_files(rankings, texts)
    assert shared == {english}
    for together, pairs in ((None, False), ("id", True)):
        sides = []
        for half, named in enumerate((rankings, texts)):
            folder = tmp_path / f"{together}{half}"
            folder.mkdir()
            (file,) = halves.write_side(named, shared, half, together, folder).values()
            sides.append([json.loads(line)["text"] for line in file.read_text().splitlines()])
        everything = [json.loads(line) for line in Path(english).read_text().splitlines()]
        assert sorted(sides[0] + sides[1]) == sorted([each["text"] for each in everything] + ["whole one", "whole two"])
        assert set(sides[0]) >= {"whole one", "whole two"}
        half_of = {each["text"]: each["text"] in sides[0] for each in everything}
        split = [
            half_of[one["text"]] != half_of[two["text"]]
            for one, two in zip(everything[::2], everything[1::2], strict=True)
        ]
        assert all(split) if not pairs else not any(split)
        assert len(set(half_of.values())) == 2


def test_coverage(english: str, tokenizer: Path, library: Library, tmp_path: Path) -> None:
    french = write_lines(
        tmp_path / "french.jsonl", ["le petit chien a trouvé la balle rouge " * 3, "puis il a dit oui"]
    )
    words = ["--ranking", f"English={english}", "--ranking", f"French={french}", "--text", f"English={english}"]
    out = tmp_path / "out"
    found = last_line(
        coverage_matrix.main,
        "--tokenizer",
        tokenizer,
        "-o",
        out,
        *words,
        "--text",
        f"sum={french}",
        "--size",
        "20",
        "--size",
        "9",
    )
    assert found["halved"] == ["english.jsonl", "french.jsonl"]
    lines = [json.loads(line)["text"] for line in Path(english).read_text().splitlines()]
    counted = Counter(id for text in lines[1::2] for id in ids_of(library, text))  # lines 2, 4, ... from 1
    tried = [id for text in lines[::2] for id in ids_of(library, text)]
    for size in (9, 20):
        top = sorted(counted, key=lambda id: (-counted[id], id))[:size]
        shares = found["shares"]
        assert isinstance(shares, dict)
        assert shares[str(size)]["English"]["English"] == sum(id in top for id in tried) / len(tried)
        lowest = sum(id < size for id in tried) / len(tried)
        assert shares[str(size)][coverage_matrix.NONE]["English"] == lowest
        assert len(shares[str(size)]) == 4
    assert (out / "coverage.md").read_text().count("**") >= 8
    assert (out / "coverage.png").read_bytes().startswith(b"\x89PNG")
    assert Ranking.load(out / "rankings" / "all-balanced.ranking").weights


def test_round_trips(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a package that cannot be imported: its function works all the same."""
    package = tmp_path / "sglang" / "srt" / "speculative"
    package.mkdir(parents=True)
    (tmp_path / "sglang" / "__init__.py").write_text("import a_gpu_that_nobody_has")
    (package / "spec_utils.py").write_text(
        "import a_gpu_that_nobody_has\n"
        "def load_token_map(path: Path) -> a_gpu_that_nobody_has.Tensor:\n"
        "    return torch.tensor(torch.load(path, weights_only=True))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(round_trips, "PROGRAMS", (borrowed.TokenMap, borrowed.Gguf))
    found = last_line(round_trips.main, "demo", "--size", "50")
    assert found == {"ids": 50, "vocabulary": 131072, "token-map": "same ids, same ids", "gguf": "same ids, same ids"}
    with pytest.raises(borrowed.MissingError, match="no_such_package is not installed"):
        borrowed.borrow("no_such_package.module", "function")
    with pytest.raises(borrowed.MissingError, match="has no other"):
        borrowed.borrow("sglang.srt.speculative.spec_utils", "other")


def test_round_trips_notices_other_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = Random(0).sample(range(1000), 30)

    class Wrong(borrowed.Json):
        def finds(self, file: Path) -> bool:
            return borrowed.Json([*self.ids[:-1], 7_000], self.size).finds(file)

    monkeypatch.setattr(round_trips, "PROGRAMS", (Wrong,))
    result = CliRunner().invoke(round_trips.main, ["demo", "--size", str(len(ids))])
    assert result.exit_code == 1
    assert "OTHER IDS" in result.output
