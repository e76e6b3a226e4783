"""What people type that means nothing: one line that is true of it, whatever the verb, and numbers that stay whole."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from frspec.ranking.ranking import Ranking
from tests.cli.outside import Outside
from tests.cli.terminal_process import TerminalProcess

PARTS = {"law_of_the_land": 11, "poems": 37}


@pytest.fixture
def frspec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Outside:
    return Outside(monkeypatch, capsys)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: a text and a ranking of two parts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"text": "Once upon a time"}\n')
    parts = {name: np.arange(131_072) % step for name, step in PARTS.items()}
    Ranking.from_parts(parts, "27c05e6fb040c1cac24e4305972efa06").save(tmp_path / "all.ranking")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rank --tokenizer demo ~nobody.at.all/x -o o.ranking", "nothing is called ~nobody.at.all/x"),
        ("rank --tokenizer demo de=~nobody.at.all/x -o o.ranking", "nothing is called ~nobody.at.all/x"),
        ("rank --tokenizer ~nobody.at.all/x a.jsonl -o o.ranking", "no folder ~nobody.at.all/x; give"),
        ("rank --tokenizer '' a.jsonl -o o.ranking", "a model or tokenizer without a name (an empty shell variable?)"),
        ("rank --tokenizer demo - -o o.ranking", "standard input is read once, and a source must be there again"),
        ("rank --tokenizer demo a.jsonl -o -", "cannot write -: what is written is a file, not a stream"),
        ("generate Once --model ''", "a model or tokenizer without a name"),
        ("show ''", "a ranking without a name (an empty shell variable?)"),
        ("generate Once --ranking demo --draft-vocab 50%", "draft_vocab=50% is no number of ids, no share such as 0.5"),
        ("generate Once --ranking demo --draft-vocab auto", "draft_vocab=auto is no number of ids"),
    ],
)
def test_a_name_that_names_nothing(words: str, said: str, place: Path, frspec: Outside) -> None:
    there = sorted(place.iterdir())
    assert said in frspec.refusal(*(word.strip("'") for word in words.split()))
    assert sorted(place.iterdir()) == there


def test_an_array_that_begins_with_its_first_record(place: Path, frspec: Outside) -> None:
    """It is JSON, but no JSON Lines: what helps is said, not that it were broken."""
    (place / "dump.json").write_text(json.dumps([{"text": "a"}, {"text": "b"}]).replace("}, ", "},\n"))
    said = frspec.refusal("rank", "--tokenizer", "demo", "dump.json", "-o", "o.ranking")
    assert "dump.json, line 1: not a JSON object; JSON Lines has one object on each line (jq -c '.[]'" in said


def test_what_may_not_be_looked_at(place: Path) -> None:
    """Root may look at everything, so it looks as nobody, with all modules loaded before."""
    (place / "closed").mkdir(mode=0)
    code = """
import os, sys
from frspec.cli.main import main
from frspec.cli.show import show
from frspec.ranking.ranking import Ranking
Ranking.load("all.ranking")
if os.getuid() == 0:
    os.setuid(65534)
sys.argv = ["frspec", "show", "closed/a.ranking"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    (place / "closed").rmdir()
    assert done.stderr == "frspec: closed/a.ranking: Permission denied; ask for access, or name another place\n"
    assert done.returncode == 1


def screen_of(columns: int, *words: str) -> str:
    code = f"import sys; sys.argv = ['frspec', *{words}]; from frspec.cli.main import main; main()"
    with TerminalProcess([sys.executable, "-c", code], columns) as terminal:
        screen, status = terminal.rest()
    assert status == 0, screen
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", screen)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_parts_keep_their_names_and_their_numbers_on_any_terminal(columns: int, place: Path) -> None:
    lines = screen_of(columns, "show", "all.ranking").splitlines()
    assert all(len(line) <= columns for line in lines)
    table = lines[next(place for place, line in enumerate(lines) if line.lstrip().startswith("part ")) :]
    table = table[: table.index("")]
    words = "".join(line.split()[0] for line in table[1:])
    assert words.startswith("law") or columns > 60
    for name, step in PARTS.items():
        counted = f"{(np.arange(131_072) % step).sum():,}"
        assert sum(f" {counted} " in line for line in table) == 1
        assert any(line.strip().startswith((name, name[:4])) for line in table)


def test_a_report_breaks_no_number_on_a_narrow_terminal(place: Path) -> None:
    (place / "b.jsonl").write_text(json.dumps({"text": "of the land " * 60_000}) + "\n")
    sources = ["--on", "poems=a.jsonl", "law=b.jsonl", "--workers", "1"]
    screen = screen_of(60, "rank", "report", "all.ranking", "--tokenizer", "demo", *sources)
    covered = screen[screen.index("Covered, in %") : screen.index("Ids needed")]
    assert all(number in covered for number in ("8,192", "16,384", "32,768", "65,536", "180,001"))
    assert not re.search(r"^ *\d?\)", screen, re.MULTILINE)  # the end of a number in brackets, in a line of its own
