"""The recipe that compares orders of unseen ids: its shares against the library's own counts."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer as Library

from frspec import shipped
from tests.recipes.conftest import sentence

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "ranking"))

import unseen

LIBRARY = Library.from_file(str(shipped.target() / "tokenizer.json"))


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, str]:
    found = {"one": " ".join(sentence(n, 30) for n in range(20)), "other": "Größe und été, 山水 " * 90}
    for name, text in found.items():
        half = len(text) // 3
        lines = (json.dumps({"text": part}) for part in (text[:half], text[half:]))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return found


def ids(text: str) -> list[int]:
    found: list[int] = LIBRARY.encode(text, add_special_tokens=False).ids
    return found


def test_shares_are_of_the_text_behind_what_was_counted(texts: dict[str, str], tmp_path: Path) -> None:
    words = [f"{name}={tmp_path}/{name}.jsonl" for name in texts]
    options = [
        "--tokenizer",
        "demo",
        "--few",
        "100",
        "--many",
        "400",
        "--tried",
        "50",
        "--size",
        "5",
        "--size",
        "131072",
    ]
    done = CliRunner().invoke(unseen.main, [*words, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    assert set(result["shares"]["100"]) == set(texts)
    for name, text in texts.items():
        seen = Counter(ids(text[:100]))
        first = sorted(seen, key=lambda id: (-seen[id], id))[:5]
        tried = ids(text[400:450])
        row = result["shares"]["100"][name]
        assert row["by number"] == [round(sum(id in first for id in tried) / len(tried), 5), 1.0]
        assert [shares[1] for shares in row.values()] == [1.0] * 3, "all ids are everything"
    assert done.stdout.startswith("| few | unseen ids | 5 | 131,072 |")


def test_a_source_that_is_too_short_is_named(texts: dict[str, str], tmp_path: Path) -> None:
    words = [f"one={tmp_path}/one.jsonl", "--tokenizer", "demo", "--many", "10000000"]
    done = CliRunner().invoke(unseen.main, words)
    assert done.exit_code == 1
    assert "one.jsonl is too short" in done.output
