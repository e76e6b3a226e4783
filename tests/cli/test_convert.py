"""``frspec convert`` as a user meets it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from frspec.cli.main import frspec
from frspec.errors import UserError
from frspec.ranking.ranking import Ranking


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(frspec, ["convert", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def ranking(tmp_path: Path) -> Path:
    Ranking.from_counts(np.array([1, 50, 9, 40]), "f" * 32, {"tokens": 100}).save(tmp_path / "my.ranking")
    return tmp_path / "my.ranking"


def test_writes_what_the_name_says(ranking: Path, tmp_path: Path) -> None:
    said = run(ranking, "-o", tmp_path / "freq_2.pt", "--size", "2")
    assert said.exit_code == 0
    assert said.stdout == ""
    assert (
        said.stderr == f"{tmp_path / 'freq_2.pt'}: 2 of 4 ids; counts, fingerprint and provenance stay in the ranking\n"
    )
    assert torch.load(tmp_path / "freq_2.pt", weights_only=True) == [1, 3]
    run(ranking, "-o", tmp_path / "a.json", "--size", "0.95")
    assert json.loads((tmp_path / "a.json").read_text()) == [1, 3, 2]
    run(tmp_path / "a.json", "-o", tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "1\n3\n2\n"


def test_refuses(ranking: Path, tmp_path: Path) -> None:
    assert run(ranking, "-o", tmp_path / "a.txt", "--size", "many").exit_code == 2
    for words, match in (
        ([ranking, "-o", tmp_path / "a.csv"], "what kind of id list"),
        ([ranking, "-o", tmp_path / "a.txt", "--size", "5"], "cannot take 5 ids"),
        ([tmp_path / "none", "-o", tmp_path / "a.txt"], "cannot read"),
    ):
        with pytest.raises(UserError, match=match):
            run(*words)
    assert [file.name for file in tmp_path.iterdir()] == ["my.ranking"]
