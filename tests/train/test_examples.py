"""Which tokens of a conversation the model would have written, under templates of several makes."""

from pathlib import Path

import pytest

from frspec.errors import UserError
from frspec.text.sources import Document
from frspec.text.tokenizer import Tokenizer
from frspec.train.examples import encode_documents

from .conftest import CHATML, write_tokenizer

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "assistant? a, b"},
    {"role": "assistant", "content": "a"},
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "The dog went home.\n"},
]
BRACKETS = (
    "{% for m in messages %}{% if m['role'] == 'assistant' %}{{ m['content'].strip() }}<|im_end|>"
    "{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}{% endfor %}"
)
LAST_ONE_DIFFERS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% if loop.last and m['role'] == 'assistant' %}"
    "<think>\n\n</think>\n\n{% endif %}{{ m['content'] | trim }}<|im_end|>\n{% endfor %}"
)
REWRITES = "{% for m in messages %}<|im_start|>{{ m['content'] | upper }}<|im_end|>{% endfor %}"
DROPS_OLD = "{% for m in messages %}{% if loop.last %}<|im_start|>{{ m['content'] }}<|im_end|>{% endif %}{% endfor %}"


def tokenizer(folder: Path, template: str | None) -> Tokenizer:
    write_tokenizer(folder, template)
    return Tokenizer.load(folder)


@pytest.mark.parametrize(
    ("template", "counted"),
    [
        (CHATML, "a<|im_end|>The dog went home.\n<|im_end|>"),
        (BRACKETS, "a<|im_end|>The dog went home.<|im_end|>"),
        (LAST_ONE_DIFFERS, "a<|im_end|>The dog went home.<|im_end|>"),
    ],
)
def test_answers_and_their_ends_count(template: str, counted: str, tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path, template)
    ((ids, marks),) = encode_documents(loaded, [Document("x", 1, messages=TALK)])
    assert loaded.decode(ids, skip_special_tokens=False) == loaded.render_chat(TALK, add_generation_prompt=False)
    assert loaded.decode([i for i, m in zip(ids, marks, strict=True) if m], skip_special_tokens=False) == counted
    ends = [place for place, i in enumerate(ids) if i == loaded.eos_id and marks[place]]
    assert len(ends) == 2
    assert not marks[ends[0] + 1]


@pytest.mark.parametrize("template", [REWRITES, DROPS_OLD])
def test_templates_that_change_answers_are_refused(template: str, tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path, template)
    with pytest.raises(UserError, match=r"talks\.jsonl, line 7: .*rewrites"):
        list(encode_documents(loaded, [Document("talks.jsonl", 7, messages=TALK)]))


def test_a_conversation_needs_a_template(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"talks\.jsonl, line 7: .*no chat template"):
        list(encode_documents(tokenizer(tmp_path, None), [Document("talks.jsonl", 7, messages=TALK)]))


def test_texts_count_whole_and_keep_their_order(tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path, CHATML)
    documents = [Document("x", 1, text="One"), Document("x", 2, messages=TALK), Document("x", 3, text="Two")]
    found = list(encode_documents(loaded, documents * 200))
    assert len(found) == 600
    for number in (0, 300, 597):
        assert found[number] == (loaded.encode("One"), None)
        assert found[number + 2] == (loaded.encode("Two"), None)
        assert found[number + 1][1] is not None
