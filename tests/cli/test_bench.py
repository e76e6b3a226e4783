"""``frspec bench`` on a real model: the table adds up, and says so in one JSON object."""

import json
import platform
import statistics
import sys
from pathlib import Path

import pytest
import torch
import transformers
from click.testing import CliRunner
from tokenizers import Tokenizer as Library

from frspec.cli.bench import bench
from frspec.cli.bench_table import print_table
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


def run(stories: Path, files: Path, *arguments: str) -> tuple[dict, str]:
    """The last line of stdout, read, and stderr."""
    words = [str(files / "texts.jsonl"), "--model", str(stories), *arguments]
    done = CliRunner().invoke(bench, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_peers_in_the_same_run(stories: Path, files: Path, tmp_path: Path) -> None:
    peers = ["transformers", "transformers-prompt-lookup"]
    words = [word for peer in peers for word in ("--peer", peer)]
    file = tmp_path / "result.json"
    result, stderr = run(stories, files, "--draft", "ngram", *words, "--max-tokens", "20", "-o", str(file))
    assert stderr == ""
    assert [row["method"] for row in result["methods"]] == ["plain", "ngram", *peers]
    assert [row["peer"] for row in result["methods"]] == [False, False, True, True]
    for row in result["methods"]:
        assert (row["identical_outputs"], row["differences"]) == (3, [])
        assert (
            row["tokens_per_second_quartiles"][0] <= row["tokens_per_second"] <= row["tokens_per_second_quartiles"][1]
        )
        assert row["first_token_seconds"] > 0
        assert row["ratio_to_plain"] > 0
    assert len({row["tokens"] for row in result["methods"]}) == 1
    machine = result["machine"]
    assert machine["versions"]["transformers"] == transformers.__version__
    assert machine["versions"]["torch"] == torch.__version__
    assert (machine["threads"], machine["dtype"]) == (torch.get_num_threads(), "float32")
    assert machine["python"] == platform.python_version()
    whole = json.loads(file.read_text())
    assert {key: whole[key] for key in result} == result
    assert (whole["kind"], whole["schema"]) == ("frspec bench", 2)
    assert whole["provenance"]["program"].startswith("frspec ")
    tokenizer = Library.from_file(str(stories / "tokenizer.json"))
    texts = [json.loads(line)["text"] for line in (files / "texts.jsonl").read_text().splitlines()]
    assert [round["prompt"]["ids"] for round in whole["rounds"]] == [tokenizer.encode(text).ids for text in texts]
    for row in result["methods"]:
        samples = [round["samples"][row["method"]] for round in whole["rounds"]]
        assert all(min(round["readings"][row["method"]]) > 0 for round in whole["rounds"])
        assert sum(len(sample["token_ids"]) for sample in samples) == row["tokens"]
        speeds = [sample["stats"]["emitted"] / sample["decode_seconds"] for sample in samples]
        assert statistics.median(speeds) == pytest.approx(row["tokens_per_second"], abs=0.06)


def test_a_peer_above_temperature_0_is_not_called_identical(stories: Path, files: Path) -> None:
    result, _ = run(stories, files, "--peer", "transformers", "--max-tokens", "6", "--temperature", "1")
    own, peer = result["methods"]
    assert (own["identical_outputs"], peer["identical_outputs"], peer["differences"]) == (3, None, None)
    assert peer["ratio_to_plain"] > 0


def test_a_peer_that_is_not_installed_is_named(stories: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "frspec.bench.peers.transformers_peer", raising=False)
    result, stderr = run(stories, files, "--peer", "transformers", "--max-tokens", "3")
    assert stderr == "frspec: transformers is left out: transformers is not installed (pip install transformers)\n"
    assert result["left_out"] == {"transformers": "transformers is not installed (pip install transformers)"}
    assert [row["method"] for row in result["methods"]] == ["plain"]
    assert "transformers" not in result["machine"]["versions"]


def test_one_new_token_has_no_speed(stories: Path, files: Path) -> None:
    words = ("--draft", "ngram", "--draft", "ngram", "--draft", "none", "--max-tokens", "1")
    result, _ = run(stories, files, *words, "--plot", str(files / "empty.svg"))
    assert [row["method"] for row in result["methods"]] == ["plain", "ngram"]
    assert {row["tokens_per_second"] for row in result["methods"]} == {None}
    assert all(row["tokens"] == row["identical_outputs"] == 3 for row in result["methods"])


@pytest.mark.parametrize("width", [80, 140])
def test_the_table_fits_where_it_is_shown(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("frspec.cli.bench_table.PIPE_WIDTH", width)
    parted = [{"prompt": number, "position": 4, "plain": 1, "other": 2, "gap": 0.01 * number} for number in range(5)]
    row = {
        "method": "eagle 32768", "mean_acceptance_length": 2.5, "tokens_per_second": 200.0,
        "tokens_per_second_quartiles": [190.0, 210.4], "ratio_to_plain": 2.25, "first_token_seconds": 0.0123,
        "identical_outputs": 35, "outputs": 40, "time_share": {"verify": 0.7, "draft head": 0.3}, "differences": parted,
    }  # fmt: skip
    none = row | dict.fromkeys(["mean_acceptance_length", "tokens_per_second", "ratio_to_plain", "identical_outputs"])
    none |= {"method": "transformers-prompt-lookup", "tokens_per_second_quartiles": None, "differences": None}
    print_table([row, none])
    *table, sentence = capsys.readouterr().out.splitlines()
    assert max(map(len, table)) <= width
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table if "│" in line]
    narrow = ["eagle 32768", "2.50", "200", "2.25", "35/40"]
    wide = ["eagle 32768", "2.50", "200", "190–210", "2.25", "12 ms", "35/40", "verify 70%, draft head 30%"]
    assert cells[0] == (wide if width == 140 else narrow)
    assert cells[1][:3] == ["transformers-prompt-lookup", "–", "–"]
    assert sentence.startswith("eagle 32768: 5 outputs not as plain decoding's (prompt 0 at token 4; ")
    assert sentence.endswith("the scores there lie at most 0.04 apart")


REFUSED = {
    "the peers are transformers, transformers-prompt-lookup": ["--peer", "vllm"],
    "cut prompts with --prompt-tokens": ["--max-model-len", "5"],
    "cannot write": ["--output", "texts.jsonl/result.json"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_measured_is_refused(stories: Path, files: Path, message: str) -> None:
    words = [word.replace("texts.jsonl", str(files / "texts.jsonl")) for word in REFUSED[message]]
    done = CliRunner().invoke(bench, [str(files / "texts.jsonl"), "--model", str(stories), *words])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
