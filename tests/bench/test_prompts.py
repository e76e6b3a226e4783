"""Documents as prompts, against the tokenizer library's own ids."""

import gzip
import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library

from frspec.bench.prompts import Talk, make_talks, read_questions
from frspec.bench.suites import DATA
from frspec.engine.llm import LLM
from frspec.errors import UserError

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
TALK = [("user", "A dog?"), ("assistant", "Yes."), ("user", "Its name?"), ("assistant", "Tim.")]
ASKED = "user: A dog?\nassistant: Yes.\nuser: Its name?\nassistant:"


@pytest.fixture(scope="module")
def llm(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> LLM:
    folder = tmp_path_factory.mktemp("chatty") / "model"
    shutil.copytree(stories, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return LLM(folder)


def read_talks(
    llm: LLM, sources: list[str], limit: int, skip: int, prompt_tokens: int | None, max_tokens: int
) -> list[Talk]:
    return make_talks(llm, read_questions(sources, "text", limit, skip), prompt_tokens, max_tokens)


def ids(llm: LLM, sources: list[str], limit: int, skip: int, prompt_tokens: int | None) -> list[list[int]]:
    return [talk.first.ids for talk in read_talks(llm, sources, limit, skip, prompt_tokens, 1)]


def test_conversations_are_asked_and_texts_go_on(stories: Path, llm: LLM, tmp_path: Path) -> None:
    talk = [{"role": role, "content": content} for role, content in TALK]
    lines = [{"messages": talk}, {"messages": talk[:3]}, {"text": "Once upon a time"}, {"text": "The sun was hot."}]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    library = Library.from_file(str(stories / "tokenizer.json"))
    asked = library.encode(ASKED, add_special_tokens=False).ids
    texts = [library.encode(line["text"]).ids for line in lines[2:]]
    assert ids(llm, [str(file)], 10, 0, None) == [asked, asked, *texts]
    assert ids(llm, [str(file)], 2, 1, 3) == [asked[:3], texts[0][:3]]


def test_no_room_for_an_answer(llm: LLM, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("word " * 600)
    with pytest.raises(UserError, match=r"long.txt:1 has \d+ tokens, but the context holds 512"):
        ids(llm, [str(file)], 1, 0, None)
    assert len(ids(llm, [str(file)], 1, 0, 511)[0]) == 511


def test_the_second_turn_holds_the_answer(stories: Path, llm: LLM, tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    file.write_text(json.dumps({"category": "qa", "turns": ["A dog?", "Its name?"]}) + "\n")
    (talk,) = read_talks(llm, [f"spec-bench={file}"], 10, 0, None, 8)
    library = Library.from_file(str(stories / "tokenizer.json"))
    assert talk.first.ids == library.encode("user: A dog?\nassistant:", add_special_tokens=False).ids
    end = llm.config.stop_token_ids[0]
    second = talk.after([*library.encode("Yes.", add_special_tokens=False).ids, end])
    assert second is not None
    text = "user: A dog?\nassistant: Yes.\nuser: Its name?\nassistant:"
    assert library.decode(second.ids, skip_special_tokens=False) == library.decode(
        library.encode(text, add_special_tokens=False).ids, skip_special_tokens=False
    )
    assert (second.task, second.source, second.line, second.turn) == ("qa", str(file), 1, 2)
    assert talk.after([5]) is None


def test_no_room_for_the_answer_between_two_turns(llm: LLM, tmp_path: Path) -> None:
    file = tmp_path / "question.jsonl"
    file.write_text(json.dumps({"category": "qa", "turns": ["A dog?", "Its name?"]}) + "\n")
    with pytest.raises(UserError, match=r"has \d+ tokens and answers of 500, .* or answers with --max-tokens"):
        read_talks(llm, [f"spec-bench={file}"], 10, 0, None, 500)


def test_tasks_take_turns(data: Path, llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA, str(data / "bench"))
    talks = read_talks(llm, ["eagle", "humaneval"], 5, 6, 100, 8)
    assert sorted(talk.first.task for talk in talks) == ["gsm8k", "humaneval", "mt_bench", "qa", "sum"]
    (fourth,) = read_talks(llm, ["humaneval"], 1, 3, None, 8)
    lines = gzip.decompress((data / "bench/humaneval/HumanEval.jsonl.gz").read_bytes()).splitlines()
    library = Library.from_file(str(data / "models/tinystories-656k/tokenizer.json"))
    assert fourth.first.ids == library.encode(json.loads(lines[3])["prompt"]).ids
