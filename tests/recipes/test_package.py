"""The demo model's parts put into the package: what belongs together goes in whole, anything else not at all."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import package
import pytest
import sample
import torch
from card import quote
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt
from target import first_tensors, read_config, save_target, target_json
from transformers import AutoModelForCausalLM, AutoTokenizer

from frspec import LLM, SamplingParams, shipped
from frspec.cli.main import frspec
from frspec.models import load_decoder, new_head, save_eagle
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

TRAINING = {
    "sources": [{"name": "dialogues", "licence": "CC BY-SA 4.0, Someone", "repeats": 2, "tokens": 1234567}],
    "settings": {"steps": 2685, "seed": 7},
    "trained_tokens": 20012557,
    "occurring_ids": 300,
    "held_out": {"losses": {"dialogues": 1.2306}, "unseen": 0.00015},
}  # fmt: skip


def target(folder: Path, tokenizer: Path, seed: int) -> Path:
    """A random target of the recipe with its provenance, its weights for the owner's eyes alone."""
    settings = target_json(320, 2, 64, [2, 0])
    tensors = first_tensors(read_config(settings), 320, torch.Generator().manual_seed(seed))
    save_target(folder, settings, tensors, tokenizer)
    (folder / "provenance.json").write_text(json.dumps(TRAINING))
    (folder / "model.safetensors").chmod(0o600)
    return folder


def head(folder: Path, of: Path) -> Path:
    decoder = load_decoder(of)
    config, tensors = new_head(decoder, torch.Generator().manual_seed(0))
    facts = {"trained_tokens": 4444, "corpus_tokens": 2222, "model": str(of), "sources": ["/data/a.jsonl"],
             "command": "frspec train '/some where/target' --data /data/a.jsonl"}  # fmt: skip
    save_eagle(folder, config, tensors, decoder.dtype, facts)
    return folder


@pytest.fixture(scope="module")
def parts(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that package.py reads, made by the programs that make it."""
    folder = tmp_path_factory.mktemp("parts")
    of = target(folder / "target", tokenizer, 0)
    head(folder / "head", of)
    facts = {"tokenizer": str(of), "tokens": 5678, "sources": [str(folder / "texts.jsonl")], "command": None}
    Ranking.from_counts(range(320), Tokenizer.load(of).fingerprint, facts).save(folder / "ranking")
    with pytest.MonkeyPatch.context() as patch:  # an untrained model writes more than its context holds
        patch.setattr(sample, "CONVERSATIONS", [["Hi", "Bye"], ["A dog"], ["A cat"], ["2 + 2"]])
        done = CliRunner().invoke(sample.main, [str(of), str(folder / "samples.json")], catch_exceptions=False)
    assert done.exit_code == 0
    (folder / "texts.jsonl").write_text('{"text": "the little dog"}\n{"text": "a red ball"}\n')
    compared = ["--model", of, "--draft", folder / "head", "--ranking", folder / "ranking", "--draft-vocab", "full,64"]
    arguments = ["bench", folder / "texts.jsonl", *compared, "--max-tokens", "6", "--output", folder / "bench.json"]
    assert CliRunner().invoke(frspec, list(map(str, arguments)), catch_exceptions=False).exit_code == 0
    return folder


def run(parts: Path, output: Path, **changes: Path) -> Result:
    files = {name: parts / name for name in ("target", "head", "ranking", "samples.json", "bench.json")} | changes
    places = [files["target"], files["head"], files["ranking"], "--samples", files["samples.json"]]
    arguments = [*places, "--bench", files["bench.json"], "--output", output]
    return CliRunner().invoke(package.main, list(map(str, arguments)))


@pytest.fixture(scope="module")
def packed(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("package") / "demo"
    done = run(parts, output)
    assert done.exit_code == 0, done.output
    return output


def test_hashes_are_those_of_sha256sum(packed: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=packed, check=False).returncode == 0
    files = {file.relative_to(packed).as_posix() for file in packed.rglob("*") if file.is_file()}
    listed = {line.split("  ")[1] for line in (packed / "SHA256SUMS").read_text().splitlines()}
    assert listed == files - {"SHA256SUMS"}
    assert {oct(packed.joinpath(file).stat().st_mode & 0o777) for file in files} == {"0o644"}


def test_it_runs_by_its_name(packed: Path, parts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", packed)
    params = SamplingParams(temperature=0, max_tokens=12)
    own = LLM(parts / "target").generate("the little", params)[0].outputs[0].token_ids
    drafted = LLM("demo", draft="demo", draft_vocab=64, ranking="demo")
    assert drafted.generate("the little", params)[0].outputs[0].token_ids == own
    assert Ranking.load("demo").coverage("dog") > 0, "its tokenizer is found by name, on any machine"


def test_hugging_face_reads_it(packed: Path, parts: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(packed / "target")
    before = AutoModelForCausalLM.from_pretrained(parts / "target").state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    theirs = AutoTokenizer.from_pretrained(packed / "target")
    assert theirs("the little dog").input_ids == Tokenizer.load(packed / "target").encode("the little dog")


def test_no_file_names_a_place_on_this_machine(packed: Path, parts: Path) -> None:
    for file in [packed / "README.md", packed / "head" / "frspec.json"]:
        assert "/data" not in file.read_text()
        assert str(parts) not in file.read_text()
    assert str(parts).encode() not in (packed / "demo.ranking").read_bytes()
    facts = json.loads((packed / "head" / "frspec.json").read_text())
    assert (facts["model"], facts["sources"]) == ("demo", ["a.jsonl"])
    assert facts["command"] == "frspec train target --data a.jsonl"


def test_card_gives_what_was_measured(packed: Path, parts: Path) -> None:
    card = (packed / "README.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in card.splitlines() if line[:1] == "|"]
    assert ["dialogues", "CC BY-SA 4.0, Someone", "2", "1,234,567"] in rows
    assert ["dialogues", "1.231"] in rows
    for text in ("20,012,557 tokens in 2,685 steps, seed 7", "4,444 tokens (2,222", "5,678 tokens", "1.5e-04"):
        assert text in card
    for row in json.loads((parts / "bench.json").read_text())["methods"]:
        accepted = ", ".join(f"{share:.2f}" for share in row["accepted_per_pass_at_position"] if share)
        assert [row["method"], f"{row['mean_acceptance_length']:.2f}", accepted] in rows
    for line in (packed / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        size = f"{(packed / name).stat().st_size:,}"
        assert name == "README.md" or [name, size, f"`{digest}`"] in rows


def test_card_holds_the_samples_uncut(parts: Path, tmp_path: Path) -> None:
    story = "Once there was a dog.\n\nHe had *one* ball, and <two> cats.\nThe end."
    answers = ["It costs $5 or 3 * 2 = 6.", "1. Yes\n2. No", story]
    talk = [{"role": ("user", "assistant")[turn % 2], "content": text} for turn, text in enumerate(answers)]
    shutil.copy(parts / "samples.json", tmp_path)
    own = changed(tmp_path / "samples.json", samples=[{"messages": talk}, {"prompt": "The beginning", "text": story}])
    assert run(parts, tmp_path / "demo", **{"samples.json": own}).exit_code == 0
    card = read((tmp_path / "demo" / "README.md").read_text())
    for text in [*answers, "The beginning " + story]:
        assert " ".join(text.split()) in card


@pytest.mark.parametrize(
    "text",
    ["2 * 3 = 6, *so* $1.50", "- one\n- two", "1. first\n2) second", "# no heading\n\n    no code\n\tnor here",
     "a\n---\nb", "a\n===", "> quoted", "<b>&amp; | `x` [y](z) ~~n~~ \\*", "x  \n\n\ny\\"],
)  # fmt: skip
def test_quoted_text_is_no_markup(text: str) -> None:
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(quote(text))
    assert set(re.findall(r"<(\w+)", rendered)) <= {"blockquote", "p", "br"}
    assert read(quote(text)) == " ".join(text.split())


def read(markdown: str) -> str:
    """What a reader of the rendered text sees, with single spaces."""
    blocks = [block.children for block in MarkdownIt("commonmark").parse(markdown) if block.children]
    texts = ["".join(token.content if token.type == "text" else "\n" for token in block) for block in blocks]
    return " ".join("\n".join(texts).split())


def changed(file: Path, **values: Any) -> Path:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **values}))
    return file


def test_what_does_not_belong_together_is_refused(
    parts: Path, packed: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (packed / "SHA256SUMS").read_text()
    fingerprint = Tokenizer.load(tokenizer).fingerprint
    Ranking.from_counts(range(320), "0" * 32).save(tmp_path / "foreign")
    Ranking.from_counts(range(300), fingerprint).save(tmp_path / "short")
    other = target(tmp_path / "other", tokenizer, 1)
    shutil.copytree(parts / "head", tmp_path / "wide")
    changed(tmp_path / "wide" / "config.json", hidden_size=96)
    shutil.copytree(parts / "head", tmp_path / "untold")
    (tmp_path / "untold" / "frspec.json").write_text("{}")
    refusals = {
        "another tokenizer": {"ranking": tmp_path / "foreign"},
        "the ranking has 300 ids, the tokenizer 320 and the target 320": {"ranking": tmp_path / "short"},
        "the samples are of other weights": {"target": other},
        "head for another model": {"head": tmp_path / "wide"},
        "has no attribute 'trained_tokens'": {"head": tmp_path / "untold"},
        "has no attribute 'prompts'": {"bench.json": parts / "samples.json"},
    }
    for reason, change in refusals.items():
        done = run(parts, packed, **change)
        assert (done.exit_code, reason in done.output) == (1, True), done.output
    monkeypatch.setattr(package, "LIMIT", 10_000)
    assert "more than the 10,000 that may be shipped" in run(parts, packed).output
    assert (packed / "SHA256SUMS").read_text() == before
    assert sorted(file.name for file in packed.parent.iterdir()) == ["demo"]
