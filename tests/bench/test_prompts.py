"""Documents as prompts, against the tokenizer library's own ids."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library

from frspec.bench.prompts import read_prompts
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


def test_conversations_are_asked_and_texts_go_on(stories: Path, llm: LLM, tmp_path: Path) -> None:
    talk = [{"role": role, "content": content} for role, content in TALK]
    lines = [{"messages": talk}, {"messages": talk[:3]}, {"text": "Once upon a time"}, {"text": "The sun was hot."}]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    library = Library.from_file(str(stories / "tokenizer.json"))
    asked = library.encode(ASKED, add_special_tokens=False).ids
    texts = [library.encode(line["text"]).ids for line in lines[2:]]
    assert read_prompts(llm, [str(file)], "text", 10, 0, None) == [asked, asked, *texts]
    assert read_prompts(llm, [str(file)], "text", 2, 1, 3) == [asked[:3], texts[0][:3]]


def test_no_room_for_an_answer(llm: LLM, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("word " * 600)
    with pytest.raises(UserError, match=r"long.txt:1 has \d+ tokens, but the context holds 512"):
        read_prompts(llm, [str(file)], "text", 1, 0, None)
    assert len(read_prompts(llm, [str(file)], "text", 1, 0, 511)[0]) == 511
