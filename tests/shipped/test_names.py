"""What the name ``demo`` means, and what happens when its files are not those that were shipped."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from frspec import LLM, SamplingParams, hub, shipped
from frspec.errors import UserError
from frspec.ranking.ranking import Ranking
from frspec.text.tokenizer import Tokenizer

from .conftest import write_target

PARTS = {"target": shipped.target, "head": shipped.head, "demo.ranking": shipped.ranking}


@pytest.fixture
def copy(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shipped folder that may be damaged."""
    shutil.copytree(made, tmp_path / "demo")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "demo")
    return tmp_path / "demo"


def test_every_part_by_its_name(tiny: Path) -> None:
    assert hub.resolve("demo") == tiny / "target"
    assert shipped.head() == tiny / "head"
    assert Tokenizer.load("demo").fingerprint == Tokenizer.load(tiny / "target").fingerprint
    assert Tokenizer.load("demo").name == "demo"
    assert Ranking.load("demo").ids.tolist() == Ranking.load(tiny / "demo.ranking").ids.tolist()
    assert 0 < Ranking.load("demo").coverage("once upon a time") < 1, "a text finds the ranking's own tokenizer"


def test_the_name_goes_before_local_files(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_target(tmp_path / "demo", 64, 1)
    assert hub.resolve("demo") == tiny / "target"
    assert hub.resolve("./demo").resolve() == hub.resolve(Path("demo")).resolve() == (tmp_path / "demo").resolve()
    assert Tokenizer.load("demo").fingerprint != Tokenizer.load("./demo").fingerprint
    shutil.rmtree("demo")
    Path("demo").write_text("7\n3\n")
    assert len(Ranking.load("demo")) == 280
    assert Ranking.load("./demo").ids.tolist() == Ranking.load(Path("demo")).ids.tolist() == [7, 3]
    assert Tokenizer.load("demo").vocab_size == 280


def test_no_revision_of_it(tiny: Path) -> None:
    with pytest.raises(UserError, match="--revision main goes with a hub id, but demo comes with frspec"):
        LLM("demo", revision="main")


@pytest.mark.parametrize(
    "name", ["target/model.safetensors", "target/tokenizer.json", "target/config.json", "head/model.safetensors",
             "head/frspec.json", "demo.ranking"]
)  # fmt: skip
def test_a_damaged_or_missing_file_is_named_with_its_hashes(copy: Path, name: str) -> None:
    file, part = copy / name, PARTS[name.split("/")[0]]
    content = bytearray(file.read_bytes())
    expected = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(UserError, match=re.escape(f"{file} is damaged (sha256 expected {expected}, found {found})")):
        part()
    file.unlink()
    with pytest.raises(
        UserError, match=f"{re.escape(str(file))} is missing .sha256 expected {expected}, .* install frspec"
    ):
        part()
    for intact, check in PARTS.items():
        if check != part:
            assert check() == copy / intact


def test_a_file_that_was_not_shipped_is_refused(copy: Path) -> None:
    (copy / "target" / "chat_template.jinja").write_text("another template")
    with pytest.raises(UserError, match=r"chat_template\.jinja was not shipped with frspec; remove it"):
        LLM("demo")


def test_an_installation_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "nowhere")
    for check in PARTS.values():
        with pytest.raises(UserError, match=r"SHA256SUMS is missing .* install frspec again, or name another model"):
            check()
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "SHA256SUMS").write_text("")
    with pytest.raises(UserError, match="does not list target"):
        shipped.target()


@pytest.mark.parametrize("temperature", [0, 1])
def test_its_own_head_and_ranking_draft_for_it(tiny: Path, temperature: float) -> None:
    params = SamplingParams(temperature=temperature, seed=5, max_tokens=24)
    plain = LLM("demo")
    assert plain.engine.drafter is None
    assert LLM("demo", draft="none").engine.drafter is None
    text = plain.generate("once upon", params)[0].outputs[0].token_ids
    for vocabulary, ranking in ((None, None), ("full", "demo"), (None, "demo"), (64, "demo"), ("demo", None)):
        drafted = LLM("demo", draft="demo", draft_vocab=vocabulary, ranking=ranking)
        assert drafted.generate("once upon", params)[0].outputs[0].token_ids == text
        assert drafted.engine.stats.target_passes > 0
        assert "draft head" in drafted.engine.clock.seconds


def test_what_is_foreign_is_refused(tiny: Path, other: Path) -> None:
    with pytest.raises(UserError, match="head for another model: its hidden_size is 64, the target's 32"):
        LLM("demo", draft=other.parent / "head")
    with pytest.raises(UserError, match="head for another model: its hidden_size is 32, the target's 64"):
        LLM(other, draft="demo")
    with pytest.raises(UserError, match=r"the ranking is of another tokenizer \(demo\)"):
        LLM(other, draft=other.parent / "head", ranking="demo")
    foreign = Ranking.from_counts([1] * 280, Tokenizer.load(other).fingerprint, {"tokenizer": "other"})
    with pytest.raises(UserError, match=r"the ranking is of another tokenizer \(other\)"):
        LLM("demo", draft="demo", ranking=foreign)
