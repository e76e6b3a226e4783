"""Texts in the target's own words against Hugging Face and the softmax; what is held out stays out."""

from __future__ import annotations

import json
from pathlib import Path

import own_words
import prompts
import pytest
import torch
import transformers
from click.testing import CliRunner
from scipy import stats
from target import first_tensors, read_config, save_target, target_json
from texts import HELD_OUT, SOURCES, all_forms, split
from writer import Draft, Picker, write

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.text.sources import read_documents

STOPS = frozenset({2, 0})


@pytest.fixture(scope="session")
def target(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random target in the recipe's format, whose scores are far enough apart to be sure of the best."""
    folder = tmp_path_factory.mktemp("target") / "made"
    settings = target_json(320, 2, 64, [2, 0])
    draws = torch.Generator().manual_seed(0)
    tensors = first_tensors(read_config(settings), 320, draws)
    tensors = {name: tensor if tensor.ndim == 1 else tensor * 8 for name, tensor in tensors.items()}
    save_target(folder, settings, tensors, tokenizer)
    return folder


def test_greedy_texts_are_those_of_hugging_face(target: Path) -> None:
    """Of prompts of all lengths, more than are written at a time, with stops and limits."""
    draws = torch.Generator().manual_seed(1)
    asked = [torch.randint(3, 320, (length,), generator=draws).tolist() for length in (1, 9, 3, 70, 5, 4, 2, 30, 6, 6)]
    ours = LLM(target, dtype="float32").engine.target
    picker = Picker(ours.head, 0.0, draws)
    rooms = (60, 3, 40, 20, 1, 90, 33, 7, 50, 80)
    drafts = [Draft([ids], len(ids) + room) for ids, room in zip(asked, rooms, strict=True)]
    done = list(write(ours, picker, drafts, STOPS, 3, 160))
    assert sorted(map(id, done)) == sorted(map(id, drafts))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(target, dtype=torch.float32)
    for ids, draft in zip(asked, drafts, strict=True):
        expected = theirs.generate(torch.tensor([ids]), max_length=draft.limit, do_sample=False, eos_token_id=[2, 0])
        assert draft.ids == expected[0].tolist()
        assert draft.answers == ([draft.ids[len(ids) : -1]] if draft.ids[-1] in STOPS else [])


def test_samples_follow_the_softmax_of_the_whole_head() -> None:
    """Equal rows share what they have together; four in a row of the head, and two far apart."""
    draws = torch.Generator().manual_seed(2)
    head = torch.randn((40, 8), generator=draws)
    head[20:24], head[39] = head[5], head[0]
    feature = torch.randn((1, 8), generator=draws)
    expected = (feature.double() @ head.double().T / 0.7).softmax(-1)[0]
    found = Picker(head, 0.7, draws).pick(feature.expand(20_000, -1)).bincount(minlength=40)
    assert stats.chisquare(found.numpy(), (expected * 20_000).numpy()).pvalue > 1e-3
    assert Picker(head, 0.0, draws).pick(feature).item() in (feature @ head.T)[0].topk(4).indices


def run(*arguments: object) -> str:
    result = CliRunner().invoke(own_words.main, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_questions_stay_and_a_killed_run_goes_on(
    target: Path, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_words, "SHARD", 8)
    monkeypatch.setattr(own_words, "LENGTH", 400)
    out = tmp_path / "own"
    assert "shard 4/4" in run(target, corpora, out, "--documents", 32)
    chosen = own_words.chosen(corpora, 32, 0)
    written = list(read_documents(out))
    assert 8 <= len(written) <= len(chosen)
    asked = [[turn["content"] for turn in one.messages if turn["role"] == "user"] for one in chosen if one.messages]
    for document in written:
        if document.messages:
            said = [turn["content"] for turn in document.messages if turn["role"] == "user"]
            assert any(said == one[: len(said)] for one in asked)
            assert [turn["role"] for turn in document.messages] == ["user", "assistant"] * len(said)
    before = {file.name: file.read_bytes() for file in out.glob("*.jsonl")}
    (out / "0001.jsonl").unlink()
    assert "shard 1/1" in run(target, corpora, out, "--documents", 32)
    assert {file.name: file.read_bytes() for file in out.glob("*.jsonl")} == before
    with pytest.raises(UserError, match="seed was 0 and is now 1"):
        run(target, corpora, out, "--documents", 32, "--seed", 1)


def test_held_out_documents_are_never_rewritten(corpora: Path) -> None:
    everything = own_words.chosen(corpora, 10_000, 0)
    for source in SOURCES:
        lines = {document.line for document in everything if source.name in document.source}
        held_out = {document.line for document in split(source, corpora)[1]}
        assert all(line % HELD_OUT == 0 for line in held_out)
        assert not lines & held_out
        assert len(lines) == (88 if source.name in own_words.SHARES else 0)


def test_prompts_are_held_out_and_the_same_every_time(
    corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompts, "COUNTS", {"dialogues_en": 2, "tinystories_en": 1, "gsm8k_train_en": 1})
    for name in ("one", "other"):
        result = CliRunner().invoke(prompts.main, [str(corpora), str(tmp_path / name)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
    content = (tmp_path / "one").read_text()
    assert content == (tmp_path / "other").read_text()
    found = [json.loads(line)["messages"] for line in content.splitlines()]
    known = [
        [form.messages for forms in all_forms(source, corpora)[1] for form in forms if form.messages]
        for source in SOURCES[:3]
    ]
    assert len(found) == 4
    for messages, talks in zip(found, (known[0], known[0], known[1], known[2]), strict=True):
        assert messages[-1]["role"] == "user"
        assert any(messages == talk[: len(messages)] for talk in talks)


def test_a_dialogue_is_cut_in_its_middle() -> None:
    talk = [{"role": role, "content": f"{turn}"} for turn in range(5) for role in ("user", "assistant")]
    assert prompts.until_middle(talk) == talk[:5]
    assert prompts.until_middle(talk[:8]) == talk[:3]
    assert prompts.until_middle(talk[:2]) == talk[:1]
