"""Counting where processes are not forked but start afresh, as on macOS and Windows."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from frspec.ranking.job import Plan, count_sources
from frspec.text.reading import find_sources
from frspec.text.tokenizer import Tokenizer
from tests.text.kinds import BY_WORDS, PROSE, WHOLE


@pytest.mark.parametrize("kind", [BY_WORDS["prefix"], WHOLE["llama2"]], ids=["by words", "whole"])
def test_they_count_what_one_process_counts(
    kind: Callable[[], Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = kind()
    context, asked = multiprocessing.get_context, list[str | None]()

    def spawn(how: str | None = None) -> object:
        asked.append(how)
        return context("spawn")

    monkeypatch.setattr(multiprocessing, "get_context", spawn)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": PROSE * 9}) + "\n" for _ in range(200)))
    sources = find_sources([tmp_path / "a.jsonl"])
    one, two = (count_sources(tokenizer, sources, Plan(workers)).parts[""].by_id for workers in (1, 2))
    assert asked, "there were processes"
    assert (one == two).all()
