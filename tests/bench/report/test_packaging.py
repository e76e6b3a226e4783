"""The page's template and style are in what pip installs."""

from pathlib import Path

import pytest

from tests.packaging import packed


def test_template_and_style_go_into_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = packed("bench/report", tmp_path, monkeypatch)
    assert {f"frspec/bench/report/page.{ending}" for ending in ("html", "css", "py")} <= there
