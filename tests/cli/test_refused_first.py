"""What can be refused without a model is refused before one is loaded, which may take minutes."""

import json
from pathlib import Path

import pytest

from frspec.engine import llm
from frspec.text.tokenizer import Tokenizer
from tests.cli.outside import Outside

PROMPTS = {
    "nowhere.jsonl": "nothing is called nowhere.jsonl",
    "empty.jsonl": "empty.jsonl is empty",
    "bad.jsonl": "bad.jsonl, line 1",
    "p.jsonl --field no": "p.jsonl, line 1",
    "p.jsonl --skip 5": "no prompts in p.jsonl after skipping 5",
}
DRAFTS = {
    "--draft nowhere": "no folder nowhere",
    "--draft demo --ranking nowhere": "cannot read nowhere",
    "--draft demo --ranking demo --draft-vocab 2.5": "cannot cover a share of 2.5",
    "--draft demo --ranking demo --draft-vocab 100@de": "de",
}
UNSIZED = {
    "--draft ngram --ranking demo": "a draft vocabulary needs a drafter with a head",
    "--max-model-len 99999999": "max_model_len is 99999999",
}
CORPORA = {f"--data {words}": said for words, said in PROMPTS.items() if "--skip" not in words}
HEADS = {
    "-o there": "there is already there",
    "-o h --ranking nowhere": "cannot read nowhere",
    "-o h --ranking demo --draft-vocab 2.5": "cannot cover a share of 2.5",
}


def each(verb: str, *mistakes: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"{verb} {words}", said) for some in mistakes for words, said in some.items()]


CASES = [
    *each("rank --from-model demo -o a.ranking --prompts", PROMPTS),
    *each("rank --from-model demo -o a.ranking --prompts p.jsonl", DRAFTS, UNSIZED),
    *each("bench", PROMPTS),
    *each("bench p.jsonl", DRAFTS),
    *each("tune --prompts", PROMPTS),
    *each("tune --prompts p.jsonl", DRAFTS),
    *each("generate Hi", DRAFTS, UNSIZED),
    *each("chat", DRAFTS, UNSIZED),
    *each("demo", DRAFTS),
    *each("serve --port 0", DRAFTS, UNSIZED, {"--tool-call-parser no": "there is no tool call parser no"}),
    *each("train -o h", CORPORA),
    *each("train --data p.jsonl", HEADS),
]


@pytest.mark.parametrize(("words", "said"), CASES, ids=[words for words, _ in CASES])
def test_refused_before_a_model_is_loaded(
    words: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*given: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(llm, "load_decoder", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text(json.dumps({"text": "Once upon a time"}) + "\n")
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "bad.jsonl").write_text("{\n")
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.iterdir())
    assert said in Outside(monkeypatch, capsys).refusal(*words.split())
    assert sorted(tmp_path.iterdir()) == before, "nothing is left behind"


@pytest.mark.parametrize("verb", ["rank --tokenizer demo -o a.ranking", "rank report demo --on"])
def test_sources_are_looked_for_before_a_tokenizer_is_loaded(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*given: object) -> None:
        raise AssertionError("a tokenizer is loaded")

    monkeypatch.setattr(Tokenizer, "load", load)
    monkeypatch.chdir(tmp_path)
    assert "nothing is called nowhere.jsonl" in Outside(monkeypatch, capsys).refusal(*verb.split(), "nowhere.jsonl")
