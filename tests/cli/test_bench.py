"""``frspec bench`` on a real model: the table adds up, and says so in one JSON object."""

import json
import math
import platform
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from tokenizers import Tokenizer as Library

from frspec.bench.suites import DATA
from frspec.cli.bench import bench
from frspec.cli.bench_table import print_table
from frspec.errors import UserError
from frspec.models.checkpoint import load_decoder
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is as fast at every look: samples of a busy machine would not all be compared."""
    monkeypatch.setattr("frspec.bench.run.read_rate", lambda: 50.0)


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
        assert {round["modes"][row["method"]] for round in whole["rounds"]} <= {"all", "slow", "fast", None}
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


def test_shapes_and_repeats_side_by_side(stories: Path, files: Path) -> None:
    head = ["--draft", "ngram", "--draft", str(files / "head")]
    words = [*head, "--shapes", "chain:2,tree:6/3/2,chain:6", "--repeat", "3", "--max-tokens", "10"]
    result, _ = run(stories, files, *words)
    names = [row["method"] for row in result["methods"]]
    shapes = ["chain:2", "tree:6/3/2", "chain:6"]
    assert names == ["plain", "ngram chain:2", "ngram chain:6", *(f"eagle full {shape}" for shape in shapes)]
    assert [row["shape"] for row in result["methods"]] == [None, "chain:2", "chain:6", *shapes]
    assert [row["draft_vocab_size"] for row in result["methods"]] == [None] * 3 + [2048] * 3
    assert (result["prompts"], result["repeat"]) == (3, 3)
    for row in result["methods"]:
        assert row["identical_outputs"] == row["outputs"] == 9
        assert row["ratio_to_plain_pairs"] == 9
    drafted = {row["method"]: row["drafted_per_pass"] for row in result["methods"]}
    assert drafted["eagle full chain:2"] <= 2 < drafted["eagle full tree:6/3/2"] <= 6


def test_what_the_controller_chooses_beside_fixed_settings(stories: Path, files: Path) -> None:
    ranked = ["--draft", "ngram", "--draft", str(files / "head"), "--ranking", str(files / "my.ranking")]
    words = [*ranked, "--draft-vocab", "full,auto", "--max-tokens", "30"]
    result, _ = run(stories, files, *words, "--shapes", "auto,chain:2")
    names = ["plain", "ngram auto", "ngram chain:2", "eagle full auto", "eagle full chain:2", "eagle auto"]
    assert [row["method"] for row in result["methods"]] == names
    assert [row["shape"] for row in result["methods"]] == [None, "auto", "chain:2", "auto", "chain:2", "auto"]
    assert [row["draft_vocab_size"] for row in result["methods"]] == [None, None, None, 2048, 2048, None]
    assert all(row["identical_outputs"] == row["outputs"] == 3 for row in result["methods"])
    alone, _ = run(stories, files, *words)
    assert [row["method"] for row in alone["methods"]] == ["plain", "ngram", "eagle full", "eagle auto"]
    assert [row["shape"] for row in alone["methods"]] == [None, "auto", "auto", "auto"]


def test_drafters_in_8_bits_beside_others(stories: Path, files: Path) -> None:
    ranked = ["--draft", str(files / "head"), "--draft-vocab", "full,64", "--ranking", str(files / "my.ranking")]
    words = [*ranked, "--draft-quantize", "none,int8", "--shapes", "chain:2", "--max-tokens", "8"]
    result, _ = run(stories, files, *words)
    rows = {row["method"]: row for row in result["methods"]}
    assert list(rows) == ["plain", "eagle full", "eagle full int8", "eagle 64", "eagle 64 int8"]
    assert [row["draft_quantize"] for row in rows.values()] == [None, None, "int8", None, "int8"]
    assert [row["ratio_to_full_pairs"] for row in rows.values()] == [0, 0, 0, 3, 3]
    assert all(row["identical_outputs"] == 3 for row in rows.values())


def test_synthetic_acceptance_is_drawn_and_said(stories: Path, files: Path, tmp_path: Path) -> None:
    ranked = [
        "--draft",
        "ngram",
        "--draft",
        str(files / "head"),
        "--draft-vocab",
        "full,64",
        "--ranking",
        str(files / "my.ranking"),
    ]
    words = [*ranked, "--shapes", "chain:3", "--max-tokens", "120", "--plot", str(tmp_path / "a.svg")]
    results = [run(stories, files, *words, "--acceptance", "synthetic:full=3.2,64=1.5")[0] for _ in range(2)]
    plain, ngram, full, ranked_row = results[0]["methods"]
    assert [plain["synthetic"], ngram["synthetic"]] == [None, None]
    assert plain["identical_outputs"] == ngram["identical_outputs"] == 3
    for row, asked in ((full, 3.2), (ranked_row, 1.5)):
        assert row["method"].endswith(" synthetic")
        assert row["synthetic"]["mean_acceptance_length"] == asked
        assert row["mean_acceptance_length"] == pytest.approx(
            asked, abs=4 * 1.3 / math.sqrt(row["target_passes"]) + 0.05
        )
        assert row["tokens"] == 360  # nothing ended a text
        assert (row["identical_outputs"], row["differences"]) == (None, None)
    assert "synthetic acceptance" in (tmp_path / "a.svg").read_text()
    counts = [[row["target_passes"] for row in result["methods"]] for result in results]
    assert counts[0] == counts[1]
    by_rates, _ = run(stories, files, *words, "--acceptance", "synthetic:1,1,0")
    assert by_rates["methods"][2]["mean_acceptance_length"] == pytest.approx(3, abs=0.05)


def test_a_suite_by_tasks(stories: Path, files: Path, tmp_path: Path) -> None:
    chatty = tmp_path / "model"
    shutil.copytree(stories, chatty)
    (chatty / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}\n{% endfor %}")
    turns = {"qa": ["Who is Tim?"], "writing": ["A story.", "Another one."]}
    lines = [{"category": category, "turns": asked} for category, asked in turns.items()]
    (tmp_path / "question.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ranked = ["--draft", str(files / "head"), "--draft-vocab", "full,64", "--ranking", str(files / "my.ranking")]
    words = [f"spec-bench={tmp_path}", "--model", str(chatty), *ranked, "--max-tokens", "8"]
    file = tmp_path / "result.json"
    done = CliRunner().invoke(bench, [*words, "-o", str(file)], catch_exceptions=False)
    result = json.loads(done.stdout.splitlines()[-1])
    for row in result["methods"]:
        assert {task: figures["outputs"] for task, figures in row["tasks"].items()} == {"qa": 1, "mt_bench": 2}
        assert row["identical_outputs"] == row["outputs"] == 3
    assert [row["ratio_to_full_pairs"] for row in result["methods"]] == [0, 0, 3]
    _, first, second = json.loads(file.read_text())["rounds"]
    library = Library.from_file(str(stories / "tokenizer.json"))
    answer = library.decode(first["samples"]["plain"]["token_ids"])
    assert (
        second["prompt"]["ids"] == library.encode(f"A story.\n{answer}\nAnother one.\n", add_special_tokens=False).ids
    )


def test_one_new_token_has_no_speed(stories: Path, files: Path) -> None:
    words = ("--draft", "ngram", "--draft", "ngram", "--draft", "none", "--max-tokens", "1")
    result, _ = run(stories, files, *words, "--plot", str(files / "empty.svg"))
    assert [row["method"] for row in result["methods"]] == ["plain", "ngram"]
    assert {row["tokens_per_second"] for row in result["methods"]} == {None}
    assert all(row["tokens"] == row["identical_outputs"] == 3 for row in result["methods"])


def row(method: str, **figures: Any) -> dict[str, Any]:
    speeds = {
        "outputs": 40, "mean_acceptance_length": 2.5, "tokens_per_second": 200.0,
        "tokens_per_second_quartiles": [190.0, 210.4], "ratio_to_plain": 2.25, "ratio_to_full": None,
    }  # fmt: skip
    rest = {
        "method": method, "synthetic": None, "first_token_seconds": 0.0123, "identical_outputs": 35,
        "differences": None, "time_share": {"verify": 0.7, "draft head": 0.3}, "tasks": {"qa": speeds},
    }  # fmt: skip
    return speeds | rest | figures


def printed(
    rows: list[dict[str, Any]],
    width: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    **memory: Any,
) -> tuple[list[list[str]], list[str]]:
    """The cells of all tables, and the lines below them."""
    monkeypatch.setattr("frspec.cli.bench_table.PIPE_WIDTH", width)
    print_table(rows, memory)
    lines = capsys.readouterr().out.splitlines()
    boxes = [line for line in lines if line[:1] in "┏┃┡│├└"]
    assert max(map(len, boxes)) <= width
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in boxes if "│" in line], lines[-3:]


@pytest.mark.parametrize("width", [80, 120, 140])
def test_the_table_fits_where_it_is_shown(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parted = [{"prompt": number, "position": 4, "plain": 1, "other": 2, "gap": 0.01 * number} for number in range(5)]
    none = dict.fromkeys(["mean_acceptance_length", "tokens_per_second", "ratio_to_plain", "identical_outputs"])
    rows = [
        row("eagle 32768", differences=parted),
        row("transformers-prompt-lookup", tokens_per_second_quartiles=None, **none),
    ]
    cells, (*_, sentence) = printed(rows, width, monkeypatch, capsys)
    narrow = ["eagle 32768", "2.50", "200", "2.25", "35/40"]
    middle = ["eagle 32768", "2.50", "200", "190–210", "2.25", "12 ms", "35/40"]
    assert cells[0] == {80: narrow, 120: middle, 140: [*middle, "verify 70%, draft head 30%"]}[width]
    assert cells[1][:3] == ["transformers-prompt-lookup", "–", "–"]
    assert sentence.startswith("eagle 32768: 5 outputs not as plain decoding's (prompt 0 at token 4; ")
    assert sentence.endswith("the scores there lie at most 0.04 apart")


def test_tasks_and_notes_below_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    speeds = {name: row("")[name] for name in ("outputs", "tokens_per_second", "tokens_per_second_quartiles")}
    speeds |= {"mean_acceptance_length": 2.0, "ratio_to_plain": 1.5, "ratio_to_full": 1.25}
    tasks = {"qa": speeds, "summarization": speeds | {"ratio_to_full": 1.1}}
    name, asked = "eagle 32768 tree:15/5/4 synthetic", {"rates": [0.9], "mean_acceptance_length": 3.63}
    rows = [row("plain", tasks=tasks), row(name, ratio_to_full=1.2, tasks=tasks, synthetic=asked)]
    memory = {"fast": {"gb_per_second": 81.2, "readings": 3}, "slow": {"gb_per_second": 45.1, "readings": 9}}
    for width in (80, 120):
        cells, notes = printed(rows, width, monkeypatch, capsys, **memory)
        whole = ["".join(column) for column in zip(*cells[1:3], strict=True)] if cells[2][1] == "" else cells[1]
        assert whole[0].replace(" ", "") == name.replace(" ", "")
        assert "1.20" in whole
        assert ["qa", "plain", "2.00", "200", "1.50", "1.25"] in [line[:4] + line[-2:] for line in cells]
        assert "1.10" in [line[-1] for line in cells]
        assert notes[0] == "memory read at 81 (fast) and 45 (slow) GB/s; ratios are taken within a mode"
        assert notes[1].startswith("synthetic: acceptance was drawn at given rates")
        assert (
            notes[2] == f"{name}: 3.63 tokens per pass were asked for, 2.50 came: some drafts or answers ended before"
        )


def test_micro_is_a_command_of_its_own_and_a_file_by_its_path(
    stories: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = CliRunner().invoke(bench, ["micro", "--help"], catch_exceptions=False)
    assert "--rows" in asked.output
    assert "--draft-vocab" not in asked.output
    wrong = CliRunner().invoke(bench, ["micro", "--rows", "none"])
    assert (wrong.exit_code, "'none' is not a list of numbers" in wrong.output) == (2, True)
    done = CliRunner().invoke(bench, ["micro", "--model", str(stories), "--shape", "llama-3-8b"])
    assert "give one of them" in str(done.exception)
    monkeypatch.chdir(files)
    Path("micro").write_text("Once upon a time")
    done = CliRunner().invoke(bench, ["./micro", "--model", str(stories), "--max-tokens", "2"], catch_exceptions=False)
    assert json.loads(done.stdout.splitlines()[-1])["sources"] == ["./micro"]


REFUSED = {
    "--draft-quantize int3 is unknown; compare none and int8": ["--draft-quantize", "int3", "--draft", "HEAD"],
    "the peers are transformers, transformers-prompt-lookup": ["--peer", "sglang"],
    "cut prompts with --prompt-tokens": ["--max-model-len", "5"],
    "'tree:3' is no shape of a draft": ["--shapes", "chain:4,tree:3"],
    "add auto to --shapes, or name sizes": ["--shapes", "chain:4", "--draft-vocab", "full,auto"],
    "it must be from 1 to 512": ["--shapes", "chain:0"],
    "give one of them": ["--shapes", "chain:4", "--tree-depth", "3"],
    "give gsm8k=PATH": ["gsm8k"],
    "--acceptance 0.8 is not understood": ["--acceptance", "0.8"],
    "synthetic acceptance needs rates from 0 to 1": ["--acceptance", "synthetic:0.8,1.1"],
    "no length for --draft-vocab full": ["--acceptance", "synthetic:64=3"],
    "is impossible with drafts 4 deep": ["--acceptance", "synthetic:full=5.5", "--shapes", "chain:4"],
    "needs a fixed tree": ["--acceptance", "synthetic:full=2", "--shapes", "auto"],
    "gives a size twice": ["--acceptance", "synthetic:full=2,full=3"],
    "cannot write": ["--output", "texts.jsonl/result.json"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_measured_is_refused(
    stories: Path, files: Path, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA, raising=False)
    places = {"texts.jsonl/result.json": str(files / "texts.jsonl" / "result.json"), "HEAD": str(files / "head")}
    words = [places.get(word, word) for word in REFUSED[message]]
    done = CliRunner().invoke(bench, [str(files / "texts.jsonl"), "--model", str(stories), *words])
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)
