"""``frspec tune`` on a real model: what it finds is what the table says, and what ``generate`` then does."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from frspec.cli.generate import generate
from frspec.cli.tune import tune
from frspec.engine.tuning import Choice, Subject, find, keep
from frspec.errors import UserError
from frspec.models.checkpoint import load_decoder
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def _steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is as fast at every look: samples of a busy machine would not all be compared."""
    monkeypatch.setattr("frspec.bench.run.read_rate", lambda: 50.0)


@pytest.fixture
def files(stories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRSPEC_CACHE", str(tmp_path / "cache"))
    config, tensors = new_head(load_decoder(stories), torch.Generator().manual_seed(0))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {})
    Ranking.from_counts(range(2048), Tokenizer.load(stories).fingerprint).save(tmp_path / "my.ranking")
    texts = ["Once upon a time there was a dog named Tim.", "The sun was hot."]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return tmp_path


def arguments(stories: Path, files: Path) -> list[str]:
    return [str(stories), "--draft", str(files / "head"), "--ranking", str(files / "my.ranking")]


def test_the_best_is_kept_and_used(stories: Path, files: Path) -> None:
    asked = [*arguments(stories, files), "--prompts", str(files / "texts.jsonl"), "--max-tokens", "8"]
    done = CliRunner().invoke(
        tune,
        [*asked, "--draft-vocab", "auto,full,64", "--shapes", "auto,chain:2", "--plot", str(files / "tuned.svg"),
         "-o", str(files / "result.json")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    names = [row["method"] for row in result["methods"]]
    assert names == [
        "plain",
        "eagle auto",
        "eagle full auto",
        "eagle full chain:2",
        "eagle 64 auto",
        "eagle 64 chain:2",
    ]
    assert all(row["identical_outputs"] == 2 for row in result["methods"])
    best = max(result["methods"], key=lambda row: row["ratio_to_plain"])
    assert result["best"] == best["method"]
    assert "covers of the text written here" in (files / "tuned.svg").read_text()
    whole = json.loads((files / "result.json").read_text())
    assert whole["methods"] == result["methods"]
    check_curve(whole, done.stdout, stories)
    choice = find(Subject(str(stories), str(files / "head"), str(files / "my.ranking")))
    assert (choice is None) == (best["method"] == "plain")
    if choice is not None:
        assert choice.ratio == best["ratio_to_plain"]
        assert choice.draft_vocab == (None if best["draft_vocab"] == "auto" else best["draft_vocab"])


def check_curve(result: dict[str, Any], said: str, stories: Path) -> None:
    """One point a size, with its best shape's figures; shares counted one token at a time."""
    fixed = {64: ("eagle 64 auto", "eagle 64 chain:2"), 2048: ("eagle full auto", "eagle full chain:2")}
    rows = {row["method"]: row for row in result["methods"]}
    written = [token for round in result["rounds"] for token in round["samples"]["plain"]["token_ids"]]
    stop = json.loads((stories / "config.json").read_text())["eos_token_id"]
    for point, (size, names) in zip(result["curve"], fixed.items(), strict=True):
        best = rows[max(names, key=lambda name: rows[name]["ratio_to_plain"])]
        assert all(point[name] == best[name] for name in point if name in best)
        known = {stop, *range(2048 - size, 2048)}
        assert point["draft_vocab_size"] == len(known), "what ends a text is always in"
        assert point["coverage"] == pytest.approx(sum(known) / sum(range(2048)), abs=1e-5)
        share = sum(token in known for token in written) / len(written)
        assert point["coverage_written"] == pytest.approx(share, abs=1e-5)
        assert point["predicted_ratio_to_plain"] > 0
        figures = f"{100 * share:.2f} %", f"{point['ratio_to_plain']:.2f}", f"{point['predicted_ratio_to_plain']:.2f}"
        assert any(all(figure in line for figure in figures) for line in said.splitlines())


def test_parts_of_a_ranking_side_by_side(stories: Path, files: Path) -> None:
    """One part counts the last ids most, the other the first."""
    parts = {"a": list(range(2048)), "b": list(range(2048, 0, -1))}
    Ranking.from_parts(parts, Tokenizer.load(stories).fingerprint, {}).save(files / "my.ranking")
    asked = [*arguments(stories, files), "--prompts", str(files / "texts.jsonl"), "--max-tokens", "8"]
    asked += ["--draft-vocab", "auto,900@a,900@b,full", "--shapes", "auto,chain:2", "-o", str(files / "result.json")]
    done = CliRunner().invoke(tune, asked)
    assert done.exit_code == 0, done.output
    result = json.loads((files / "result.json").read_text())
    stop = json.loads((stories / "config.json").read_text())["eos_token_id"]
    written = [token for round in result["rounds"] for token in round["samples"]["plain"]["token_ids"]]
    points = {point["draft_vocab"]: point for point in result["curve"]}
    assert set(points) == {"900@a", "900@b", "full"}
    for name, ids in {"900@a": range(2048 - 900, 2048), "900@b": range(900)}.items():
        share = sum(token in {stop, *ids} for token in written) / len(written)
        assert points[name]["coverage_written"] == pytest.approx(share, abs=1e-5)
        assert points[name]["predicted_ratio_to_plain"] is None
        assert f"{name}: 90" in done.stdout
    assert points["full"]["predicted_ratio_to_plain"] > 0


def test_sizes_of_a_list_without_counts_and_without_a_controller(stories: Path, files: Path) -> None:
    (files / "list.json").write_text(json.dumps(list(range(3, 303))))
    done = CliRunner().invoke(
        tune,
        [str(stories), "--draft", str(files / "head"), "--ranking", str(files / "list.json"), "--max-tokens", "4",
         "--prompts", str(files / "texts.jsonl"), "--shapes", "chain:2"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    curve = json.loads(done.stdout.splitlines()[-1])["curve"]
    assert [point["draft_vocab"] for point in curve] == ["64", "128", "300", "full"]
    assert all(point["coverage"] is None and point["predicted_ratio_to_plain"] is None for point in curve)
    table = done.stdout[done.stdout.index("draft vocabulary") :]
    assert "of this text" in table
    assert "covers" not in table.partition("{")[0]
    assert "expected" not in table.partition("{")[0]


def test_generate_finds_the_choice(stories: Path, files: Path) -> None:
    """A chain of two from 64 ids, which no default would be: told by what was drafted."""
    head, ranking = str(files / "head"), str(files / "my.ranking")
    keep(Subject(str(stories), head, ranking), Choice("64", (2, 2, 1), 1.5, "2026-11-20T00:00:00+00:00"), {})

    def drafted(*more: str) -> tuple[list[int], str]:
        command = [
            "Once upon",
            "--model",
            *arguments(stories, files),
            "--max-tokens",
            "9",
            "--temperature",
            "0",
            "--json",
        ]
        done = CliRunner().invoke(generate, [*command, *more])
        assert done.exit_code == 0, done.output
        output = json.loads(done.stdout)
        passes = output["metrics"]["target_passes"]
        return [round(count / passes) for count in output["metrics"]["drafted_per_position"]], done.stderr

    by_default, said = drafted()
    assert by_default[:2] == [1, 1]
    assert len(by_default) == 2
    assert said.startswith("tuned on 2026-11-20: 1.50 × plain decoding then")
    by_hand, said = drafted("--num-speculative-tokens", "3", "--tree-depth", "3", "--tree-width", "1")
    assert len(by_hand) == 3
    assert "tuned" not in said


def test_a_choice_is_for_its_names_alone(stories: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = Subject(str(stories), "head", None)
    choice = Choice(None, None, 1.1, "2026-11-20")
    file = keep(subject, choice, {"methods": []})
    assert find(subject) == choice
    monkeypatch.chdir(stories.parent)
    assert find(Subject(stories.name, "head", None)) == choice, "a folder is known by its place"
    for other in ({"draft": "other"}, {"ranking": "r"}, {"dtype": "bfloat16"}, {"quantize": "int8"}, {"device": "cpu"}):
        assert find(Subject(**{"model": str(stories), "draft": "head", "ranking": None, **other})) is None
    file.write_text("{")
    assert find(subject) is None


def test_where_nothing_is_faster_an_older_choice_is_forgotten(
    stories: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject(str(stories), str(files / "head"), str(files / "my.ranking"))
    keep(subject, Choice("64", (2, 2, 1), 1.5, "2026-11-20"), {})
    rows = [{"method": "plain", "draft": None, "ratio_to_plain": 1.0}, {"method": "eagle", "ratio_to_plain": 0.9}]
    monkeypatch.setattr("frspec.bench.run.run", lambda *_, **__: ({"methods": rows, "memory": None}, []))
    monkeypatch.setattr("frspec.bench.curve.curve", lambda *_, **__: [])
    for name in ("print_table", "print_curve"):
        monkeypatch.setattr(f"frspec.cli.tune.{name}", lambda *_: None)
    done = CliRunner().invoke(tune, [*arguments(stories, files), "--prompts", str(files / "texts.jsonl")])
    assert done.exit_code == 0, done.output
    assert "nothing is kept" in done.stdout
    assert find(subject) is None


def test_what_cannot_be_tuned_is_refused(stories: Path, files: Path) -> None:
    texts = ["--prompts", str(files / "texts.jsonl")]
    for given, words in (
        ([str(stories), *texts], "name what drafts and a ranking"),
        ([*arguments(stories, files), *texts, "--draft-vocab", "auto", "--shapes", "chain:2"], "add auto to --shapes"),
        ([*arguments(stories, files), *texts, "--shapes", "star:5"], "is no shape of a draft"),
    ):
        done = CliRunner().invoke(tune, given)
        assert isinstance(done.exception, UserError)
        assert words in str(done.exception)
