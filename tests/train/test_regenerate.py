"""The corpus in the target's own words."""

import json
from pathlib import Path

import pytest

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.text.sources import Document, read_documents
from frspec.train import regenerate as module
from frspec.train.regenerate import Regeneration, regenerate
from frspec.train.run import Plan, Run
from frspec.types import SamplingParams

SETTINGS = Regeneration(prompt_tokens=6, seq_len=40, seed=3, corpus="c")


def texts(count: int = 10) -> list[Document]:
    return [Document("x", line, text=f"{line} dogs went home to play in the garden again.") for line in range(count)]


def flat(llm: LLM, folder: Path, documents: list[Document], settings: Regeneration = SETTINGS) -> list:
    return [example for shard in regenerate(llm, documents, settings, folder) for example in shard]


def test_texts_keep_their_beginning_and_get_the_targets_words(llm: LLM, tmp_path: Path) -> None:
    examples = flat(llm, tmp_path, texts())
    for document, (ids, marks) in zip(texts(), examples, strict=True):
        prompt = llm.get_tokenizer().encode(document.text)[:6]
        assert ids[:6] == prompt
        assert 6 < len(ids) <= 40
        assert marks is None
        seed = module.seed_of(3, document.line, 6)
        params = SamplingParams(temperature=1.0, max_tokens=34, seed=seed)
        alone = llm.generate({"prompt_token_ids": prompt}, params)[0].outputs[0].token_ids
        assert ids[6:] == alone


def test_a_kill_costs_at_most_a_shard(llm: LLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHARD", 4)
    whole = flat(llm, tmp_path / "whole", texts())
    partial = regenerate(llm, texts(), SETTINGS, tmp_path / "partial")
    next(partial), next(partial)
    partial.close()
    assert sorted(file.name for file in (tmp_path / "partial").glob("*.jsonl")) == ["000000.jsonl", "000001.jsonl"]
    written = []
    original = module._continue
    monkeypatch.setattr(module, "_continue", lambda *a: written.append(a[2]) or original(*a))
    assert flat(llm, tmp_path / "partial", texts()) == whole
    assert written == [8]
    assert flat(llm, tmp_path / "partial", texts()) == whole
    assert written == [8]


def test_conversations_get_new_answers_turn_by_turn(llm: LLM, tmp_path: Path) -> None:
    talk = [
        {"role": "user", "content": "Tell me."},
        {"role": "assistant", "content": "old one"},
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": "old two"},
        {"role": "user", "content": "Bye."},
    ]
    documents = [Document("x", line, messages=talk) for line in range(40)]
    settings = Regeneration(prompt_tokens=6, seq_len=190, seed=3, corpus="c")
    flat(llm, tmp_path, documents, settings)
    records = [json.loads(line) for line in (tmp_path / "000000.jsonl").read_text().splitlines()]
    assert records
    tokenizer = llm.get_tokenizer()
    for record in records:
        messages = record["messages"]
        assert [m["role"] for m in messages] in (["user", "assistant"], ["user", "assistant", "user", "assistant"])
        assert [m["content"] for m in messages[::2]] == ["Tell me.", "Go on."][: len(messages) // 2]
        assert all(m["content"] not in ("old one", "old two") for m in messages)
    for ids, marks in flat(llm, tmp_path, documents, settings):
        assert tokenizer.decode([i for i, m in zip(ids, marks, strict=True) if not m], skip_special_tokens=False)
        assert any(marks)


def test_another_regeneration_is_refused(llm: LLM, tmp_path: Path) -> None:
    flat(llm, tmp_path, texts(2))
    with pytest.raises(UserError, match="prompt_tokens was 6 and is now 7"):
        flat(llm, tmp_path, texts(2), Regeneration(7, 40, 3, "c"))
    with pytest.raises(UserError, match="corpus"):
        flat(llm, tmp_path, texts(2), Regeneration(6, 40, 3, "d"))
    (tmp_path / "000000.jsonl").write_text("{")
    with pytest.raises(UserError, match=r"000000\.jsonl cannot be read"):
        flat(llm, tmp_path, texts(2))
    with pytest.raises(UserError, match="no room"):
        Regeneration(40, 40, 3, "c")


def test_trains_on_what_was_written(llm: LLM, corpus_file: Path, tmp_path: Path) -> None:
    plan = Plan(steps=2, batch_tokens=256, seq_len=48, prompt_tokens=8, held_out=0.1)
    run = Run(llm, "tiny", lambda: read_documents(corpus_file), tmp_path / "head", plan, lambda *_: None)
    trainer = run.prepare(regenerated=True)
    records = (tmp_path / "head.regenerated" / "000000.jsonl").read_text().splitlines()
    assert [json.loads(line)["ids"] for line in records] == [trainer.corpus.document(n) for n in range(54)]
    for _ in run.train(trainer):
        pass
    facts = json.loads((tmp_path / "head" / "frspec.json").read_text())
    assert facts["regenerated"] == "head.regenerated"
    assert facts["settings"]["regenerated"] is True
