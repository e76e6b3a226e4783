"""``frspec plot`` on what ``frspec bench`` wrote, and on what it did not."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from frspec.cli.bench import bench
from frspec.cli.plot import plot
from frspec.errors import UserError


@pytest.fixture(scope="module")
def written(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plot")
    (folder / "texts.jsonl").write_text('{"text": "Once upon a time"}\n')
    words = [str(folder / "texts.jsonl"), "--model", str(stories), "--draft", "ngram", "--max-tokens", "8"]
    done = CliRunner().invoke(bench, [*words, "-o", str(folder / "result.json")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder / "result.json"


@pytest.mark.parametrize("kind", [None, "profile"])
def test_a_picture_of_a_real_result(written: Path, tmp_path: Path, kind: str | None) -> None:
    file = tmp_path / "picture.svg"
    words = [str(written), str(written), "-o", str(file)] + ([] if kind is None else ["--kind", kind])
    done = CliRunner().invoke(plot, words, catch_exceptions=False)
    assert (done.exit_code, done.stdout) == (0, f"{file}\n")
    assert "ngram" in file.read_text()


BROKEN = {
    "cannot be read: No such file": None,
    "is no JSON": "{",
    "is no result of frspec bench": '{"kind": "other"}',
    "is no result of frspec": "[1]",
    "has schema 7, this frspec reads 1; run frspec bench micro again": '{"kind": "frspec bench micro", "schema": 7}',
    "has schema 1, this frspec reads 2; run frspec bench again": '{"kind": "frspec bench", "schema": 1}',
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_is_no_result(message: str, tmp_path: Path) -> None:
    file, content = tmp_path / "result.json", BROKEN[message]
    if content is not None:
        file.write_text(content)
    done = CliRunner().invoke(plot, [str(file), "-o", str(tmp_path / "a.png")])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "a.png").exists()


def test_results_without_their_figures(written: Path, tmp_path: Path) -> None:
    whole = json.loads(written.read_text())
    del whole["methods"]
    (tmp_path / "cut.json").write_text(json.dumps(whole))
    done = CliRunner().invoke(plot, [str(tmp_path / "cut.json"), "-o", str(tmp_path / "a.png")])
    assert isinstance(done.exception, UserError)
    assert "holds no methods" in str(done.exception)
    whole = json.loads(written.read_text())
    del whole["methods"][0]["tasks"]
    (tmp_path / "cut.json").write_text(json.dumps(whole))
    done = CliRunner().invoke(plot, [str(tmp_path / "cut.json"), "-o", str(tmp_path / "a.png")])
    assert isinstance(done.exception, UserError)
    assert "a result has no tasks" in str(done.exception)


def test_without_matplotlib(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("frspec.bench.plots.find_spec", lambda _: None)
    done = CliRunner().invoke(plot, [str(written), "-o", str(tmp_path / "a.png")])
    assert isinstance(done.exception, UserError)
    assert "pip install 'frspec[plot]'" in str(done.exception)
