"""Which tokens of conversations are counted, against transformers' masks and its rendering of prompts."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from frspec import shipped
from frspec.errors import UserError
from frspec.ranking.tally import Tally
from frspec.text.document import Document
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer
from frspec.text.views import Rendered, Spoken

TALKS = [
    [{"role": "user", "content": "Tell me of the dog 🐕."}, {"role": "assistant", "content": "  The dog went home.\n"}],
    [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "assistant? <|im_end|>\n<|im_start|>assistant\nno"},
        {"role": "assistant", "content": "\nYes 🦙"},
        {"role": "user", "content": "A"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "and?"},
    ],
    [{"role": "user", "content": "A"}, {"role": "assistant", "content": "One<|im_end|>"}],
    [{"role": "user", "content": "nobody answers"}],
]
HEAD = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
CHATML = HEAD + "{{ m.content }}<|im_end|>\n{% endfor %}" + PROMPT
BY_PROMPTS = {
    "chatml": CHATML,
    "trims": HEAD + "{{ m.content | trim }}<|im_end|>\n{% endfor %}" + PROMPT,
    "llama 2": "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }} <|im_end|>"
    "{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}",
    "colon": "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ '<|im_end|>' if m.role == 'assistant' else ' ' }}"
    "{% endfor %}{{ 'assistant:' if add_generation_prompt }}",
    "the last one thinks": HEAD
    + "{% if loop.last and m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
    "{% endfor %}" + PROMPT,
    "no header for prompts": HEAD + "{{ m.content }}<|im_end|>\n{% endfor %}",
    "returns at the end": HEAD
    + "{{ m.content }}{{ '<|endoftext|>' if loop.last and m.role == 'assistant' else '<|im_end|>' }}"
    "{% endfor %}" + PROMPT,
}
SAID = "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n"
BLOCKS = {
    "chatml": HEAD
    + "{% if m.role == 'assistant' %}"
    + SAID
    + "{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}",
    "with the line": HEAD
    + "{% if m.role == 'assistant' %}{%- generation -%}{{ m.content }}<|im_end|>\n{%- endgeneration -%}"
    "{% else %}{{ m.content }}<|im_end|>{% endif %}{% endfor %}",
}


@pytest.fixture(scope="module")
def loaded() -> Tokenizer:
    return Tokenizer.load("demo")


@pytest.fixture(scope="module")
def oracle() -> Any:
    return PreTrainedTokenizerFast.from_pretrained(shipped.target())


def counted(tokenizer: Tokenizer, messages: list[dict[str, Any]]) -> Counter[int]:
    pieces = Rendered(tokenizer, answers=True)(Document("x", 1, messages=messages))
    ids, times = Tally(tokenizer).count(pieces)
    return Counter(dict(zip(ids.tolist(), times.tolist(), strict=True)))


@pytest.mark.parametrize("messages", TALKS[:2] + TALKS[3:])
@pytest.mark.parametrize("name", BLOCKS)
def test_generation_blocks_count_as_transformers_masks_them(
    loaded: Tokenizer, oracle: Any, name: str, messages: list[dict[str, Any]]
) -> None:
    loaded.use_chat_template(BLOCKS[name])
    made = oracle.apply_chat_template(
        messages, chat_template=BLOCKS[name], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    meant = [id for id, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert counted(loaded, messages) == Counter(meant)


def answers(oracle: Any, template: str, messages: list[dict[str, Any]]) -> Counter[int]:
    """What transformers' own rendering adds to each prompt, up to and with the first special token from the end."""
    ids: list[int] = []
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt = oracle.apply_chat_template(
                messages[:place], chat_template=template, tokenize=False, add_generation_prompt=True
            )
            whole = oracle.apply_chat_template(messages[: place + 1], chat_template=template, tokenize=False)
            assert whole.startswith(prompt)
            made = oracle(whole, return_offsets_mapping=True, add_special_tokens=False)
            tokens = list(zip(made["input_ids"], made["offset_mapping"], strict=True))
            while tokens[-1][0] not in oracle.all_special_ids:
                assert not oracle.decode([tokens.pop()[0]]).strip()
            ids += [id for id, (_, end) in tokens if end > len(prompt)]
    return Counter(ids)


@pytest.mark.parametrize("messages", TALKS)
@pytest.mark.parametrize("name", BY_PROMPTS)
def test_answers_count_as_what_follows_transformers_prompts(
    loaded: Tokenizer, oracle: Any, name: str, messages: list[dict[str, Any]]
) -> None:
    loaded.use_chat_template(BY_PROMPTS[name])
    if name == "returns at the end" and "<|im_end|>" in messages[-1]["content"]:
        pytest.skip("the text itself spells EOS, and the model would have stopped there")
    if name == "chatml" and "One" in messages[-1]["content"]:
        assert counted(loaded, messages)[loaded.eos_id] == 2, "one in the text, one that ends it"  # type: ignore[index]
    assert counted(loaded, messages) == answers(oracle, BY_PROMPTS[name], messages)


def test_by_hand(loaded: Tokenizer) -> None:
    loaded.use_chat_template(CHATML)
    messages = [{**message, "content": message["content"].lstrip("\n")} for message in TALKS[1]]
    expected = Counter(loaded.encode("Yes 🦙<|im_end|>") + loaded.encode("A<|im_end|>"))
    assert counted(loaded, messages) == expected
    whole = Rendered(loaded, answers=False)(Document("x", 1, messages=messages))
    assert [piece.text for piece in whole] == [loaded.render_chat(messages, add_generation_prompt=False)]
    assert whole[0].spans is None


def test_the_templates_of_the_data(data: Path, oracle: Any) -> None:
    """Qwen3's with thinking and tools, which rewrites earlier turns: each turn counts as when it was the last."""
    loaded = Tokenizer.load(data / "tokenizers" / "qwen2")
    pieces = Rendered(loaded, answers=True)(Document("x", 1, messages=TALKS[1]))
    assert loaded.chat_template is not None
    said = [piece.text[start:end] for piece in pieces for start, end in piece.spans or ()]
    made = []
    for place in (2, 4):
        prompt, whole = (
            oracle.apply_chat_template(
                TALKS[1][: place + more],
                chat_template=loaded.chat_template,
                tokenize=False,
                add_generation_prompt=not more,
            )
            for more in (0, 1)
        )
        made.append(whole.removeprefix(prompt).removesuffix("\n"))
    assert sorted(said) == sorted(made)
    assert made == ["<think>\n\n</think>\n\nYes 🦙<|im_end|>", "<think>\n\n</think>\n\nA<|im_end|>"]


def test_calls_of_tools_and_null_fields(loaded: Tokenizer, data: Path) -> None:
    qwen = Tokenizer.load(data / "tokenizers" / "qwen2")
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"at": "é"}'}}
    messages = [
        {"role": "user", "content": "Look", "tool_calls": None},
        {"role": "assistant", "content": "", "tool_calls": [call], "name": None, "weight": 1},
    ]
    ((text, spans),) = [(p.text, p.spans) for p in Rendered(qwen, answers=True)(Document("x", 1, messages=messages))]
    assert spans is not None
    written = [text[start:end] for start, end in spans]
    assert written == [
        '<think>\n\n</think>\n\n<tool_call>\n{"name": "look", "arguments": {"at": "é"}}\n</tool_call><|im_end|>'
    ]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (HEAD + "{{ m.content }}<|im_end|>\n{% endfor %}{{ '<|im_start|>assistant\n<b>' if add_generation_prompt }}",
         "turn 2: the chat template does not write it after the prompt"),
        (HEAD + "{{ m.content }}\n{% endfor %}" + PROMPT, "turn 2: the chat template writes no special token"),
        (CHATML + "{% if false %}{% generation %}{% endgeneration %}{% endif %}", "generation blocks do not tell"),
        ("{{ raise_exception('never') }}", "rejects this conversation: never"),
    ],
)  # fmt: skip
def test_templates_that_tell_no_answers_apart_are_refused(
    loaded: Tokenizer, tmp_path: Path, template: str, message: str
) -> None:
    loaded.use_chat_template(template)
    path = tmp_path / "talks.jsonl"
    path.write_text(json.dumps({"messages": TALKS[0]}) + "\n")
    with pytest.raises(UserError, match=rf"talks\.jsonl, line 1: .*{message}"):
        list(read_documents(path, view=Rendered(loaded, answers=True)))


def test_no_template_is_said(data: Path) -> None:
    plain = Tokenizer.load(data / "tokenizers" / "o200k" / "o200k_base.tiktoken")
    with pytest.raises(UserError, match="has no chat template; leave --chat-template out"):
        Rendered(plain, answers=False)


def test_roles() -> None:
    talk = Document("x", 1, messages=TALKS[1])
    assert [piece.text for piece in Spoken(["assistant"])(talk)] == ["\nYes 🦙", "A"]
    assert [piece.text for piece in Spoken(["system", "assistant"])(talk)] == ["Be kind.", "\nYes 🦙", "A"]
    with pytest.raises(UserError, match="is a text, and --only is about conversations"):
        Spoken(["user"])(Document("x", 1, text="a"))


said = st.lists(st.sampled_from([*"aA é\n 🐕\u0301.", "assistant", "<|im_start|>", "The dog"]), max_size=12).map(
    "".join
)
talks = st.lists(st.tuples(said, said), min_size=1, max_size=3).map(
    lambda pairs: [
        {"role": role, "content": content}
        for pair in pairs
        for role, content in zip(("user", "assistant"), pair, strict=True)
    ]
)


@settings(max_examples=60, deadline=None)
@given(messages=talks, name=st.sampled_from([*BLOCKS, *BY_PROMPTS]))
def test_any_conversation(loaded: Tokenizer, oracle: Any, messages: list[dict[str, Any]], name: str) -> None:
    template = (BLOCKS | BY_PROMPTS)[name] if name != "chatml" else CHATML
    loaded.use_chat_template(template)
    if template in BY_PROMPTS.values():
        expected = answers(oracle, template, messages)
    else:
        made = oracle.apply_chat_template(
            messages, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        expected = Counter(id for id, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask)
    assert counted(loaded, messages) == expected


def test_spaces_that_a_tokenizer_puts_in_front(stories: Path) -> None:
    """SentencePiece's way: the first token of a text has a space that no character of it stands for."""
    tokenizer, other = Tokenizer.load(stories), AutoTokenizer.from_pretrained(stories)
    template = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}"
    messages = [{"role": "assistant", "content": "Once upon a time"}, {"role": "assistant", "content": "The end"}]
    tokenizer.use_chat_template(template)
    made = other.apply_chat_template(
        messages, chat_template=template, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    meant = [id for id, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert counted(tokenizer, messages) == Counter(meant)


def test_the_model_stops_at_eos_whatever_follows(loaded: Tokenizer) -> None:
    loaded.use_chat_template(CHATML + "{{ '<|endoftext|>' if not add_generation_prompt }}")
    messages = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "The dog"}]
    assert counted(loaded, messages) == Counter(loaded.encode("The dog<|im_end|>"))
