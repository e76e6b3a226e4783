"""``frspec bench`` on a real model: the table adds up, and says so in one JSON object."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from frspec.cli.bench import bench
from frspec.errors import UserError
from frspec.models.checkpoint import load_decoder
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def files(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    config, tensors = new_head(load_decoder(stories), torch.Generator().manual_seed(0))
    save_eagle(folder / "head", config, tensors, torch.float32, {})
    Ranking.from_counts([1] * 2048, Tokenizer.load(stories).fingerprint).save(folder / "my.ranking")
    texts = ["Once upon a time there was a dog named Tim.", "The sun was hot.", "Lily had a red ball. She"]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return folder


@pytest.mark.parametrize("noise", ["--draft-noise", "--no-draft-noise"])
def test_methods_side_by_side(stories: Path, files: Path, noise: str) -> None:
    done = CliRunner().invoke(
        bench,
        [
            str(files / "texts.jsonl"), "--model", str(stories), "--draft", "ngram", "--draft", str(files / "head"),
            "--draft-vocab", "full,64", "--ranking", str(files / "my.ranking"), "--max-tokens", "12",
            "--temperature", "1", "--plot", str(files / "table.png"), noise,
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = json.loads(done.stdout.splitlines()[-1])
    assert [row["method"] for row in table["methods"]] == ["plain", "ngram", "eagle full", "eagle 64"]
    for row in table["methods"]:
        assert row["identical_outputs"] == row["outputs"] == 3
        assert row["mean_acceptance_length"] >= 1
        assert sum(row["time_share"].values()) == pytest.approx(1, abs=0.01)
    assert (files / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_of_another_kind_is_refused(stories: Path, files: Path) -> None:
    done = CliRunner().invoke(
        bench, [str(files / "texts.jsonl"), "--model", str(stories), "--max-tokens", "2", "--plot", "table.doc"]
    )
    assert isinstance(done.exception, UserError)


def test_two_heads_have_two_names(stories: Path, files: Path) -> None:
    head = str(files / "head")
    arguments = [str(files / "texts.jsonl"), "--model", str(stories), "--max-tokens", "2", "--limit", "1"]
    done = CliRunner().invoke(bench, [*arguments, "--draft", head, "--draft", str(stories)])
    assert done.exit_code == 0, done.output
    names = [row["method"] for row in json.loads(done.stdout.splitlines()[-1])["methods"]]
    assert names == ["plain", f"eagle {head} full", f"model {stories} full"]


def test_no_prompts(stories: Path, files: Path) -> None:
    done = CliRunner().invoke(bench, [str(files / "texts.jsonl"), "--model", str(stories), "--skip", "10"])
    assert isinstance(done.exception, UserError)
