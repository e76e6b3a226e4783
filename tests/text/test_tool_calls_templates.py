"""Which format a chat template documents, and that its calls are read back from what it writes."""

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from frspec.text.messages import to_template_messages
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import find_format
from tests.text.tool_calls import byte_tokenizer, calls, content, read, tool

# How the families' templates tell of tools and write calls, and nothing else of them.
FRAME = (
    "{{ tools | tojson if tools }}{% for m in messages %}<{{ m.role }}>{{ m.content }}"
    "{% for call in m.tool_calls %}CALL{% endfor %}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
OBJECT = '{"name": "{{ call.function.name }}", "KEY": {{ call.function.arguments | tojson }}}'
WRITTEN = {
    "hermes": "<tool_call>\n" + OBJECT.replace("KEY", "arguments") + "\n</tool_call>",
    "llama3_json": OBJECT.replace("KEY", "parameters"),
    "mistral": "[TOOL_CALLS]{{ call.function.name }}[ARGS]{{ call.function.arguments | tojson }}",
    "pythonic": "[{{ call.function.name }}({% for k, v in call.function.arguments | items %}"
    '{{ k }}="{{ v }}"{% if not loop.last %}, {% endif %}{% endfor %})]',
    "xlam": "[" + OBJECT.replace("KEY", "arguments") + "]",
    "qwen3_coder": "<tool_call>\n<function={{ call.function.name }}>\n"
    "{% for k, v in call.function.arguments | items %}<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}"
    "</function>\n</tool_call>",
}
TEMPLATES = {name: FRAME.replace("CALL", written) for name, written in WRITTEN.items()} | {
    "mistral v3": FRAME.replace(
        "CALL",
        "{{ raise_exception('nine letters or digits') if call.id | length != 9 }}"
        '[TOOL_CALLS] [{{ (call.function | tojson)[:-1] }}, "id": "{{ call.id }}"}]{{ eos_token }}',
    )
}
OTHERS = {
    "no calls": FRAME.replace("CALL", ""),
    "another format": FRAME.replace("CALL", "<|call|>{{ call.function.name }}({{ call.function.arguments | tojson }})"),
    "no tools": FRAME.replace("CALL", WRITTEN["hermes"]).replace("{{ tools | tojson if tools }}", ""),
    "documents one, writes another": "Answer <tool_call>\n{}\n</tool_call>" + FRAME.replace("CALL", "{{ call }}"),
    "refuses tools": "{{ raise_exception('no tools') if tools }}" + TEMPLATES["hermes"],
    "broken": "{% if %}",
}
CALLS = [
    {"id": "abcDEF123", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo é"}'}},
    {"id": "abcDEF124", "type": "function", "function": {"name": "get_time", "arguments": ""}},
]
TOOLS = [tool("get_weather", {"city": {"type": "string"}}), tool("get_time")]


@pytest.mark.parametrize("name", TEMPLATES)
def test_recognised(name: str) -> None:
    found = find_format(None, TEMPLATES[name])
    assert found is not None
    assert found.name == name.split()[0]
    messages = to_template_messages(
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": CALLS[:1]}], None
    )
    tokenizer = byte_tokenizer(["</s>"], template=TEMPLATES[name])
    asked = tokenizer.render_chat(messages[:1], tools=TOOLS)
    answer = tokenizer.render_chat(messages, False, tools=TOOLS).removeprefix(asked).removesuffix("<end>")
    assert [(name, json.loads(text)) for name, text in calls(read(found, answer, tools=TOOLS))] == [
        ("get_weather", {"city": "Oslo é"})
    ]


@pytest.mark.parametrize("name", OTHERS)
def test_not_recognised(name: str) -> None:
    assert find_format(None, OTHERS[name]) is None


def test_the_template_for_tools_counts() -> None:
    plain = byte_tokenizer(template=OTHERS["no calls"])
    assert plain.tool_template == plain.chat_template
    two = Tokenizer(plain.backend, "two", {}, {"default": OTHERS["no calls"], "tool_use": TEMPLATES["hermes"]})
    assert two.tool_template == TEMPLATES["hermes"]
    assert two.chat_template == OTHERS["no calls"]
    assert byte_tokenizer().tool_template is None


def test_demo_documents_no_calls() -> None:
    assert find_format(None, Tokenizer.load("demo").tool_template) is None


def test_qwen(qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase) -> None:
    """A published template and tokenizer: transformers writes a whole exchange, the format reads the answer."""
    found = find_format(None, qwen2.tool_template)
    assert found is not None
    assert found.name == "hermes"
    assert not found.needs_special_tokens(qwen2)  # <tool_call> is a token there, but not a special one
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I look.", "tool_calls": CALLS},
    ]
    asked = qwen2_hf.apply_chat_template(said[:1], tools=TOOLS, tokenize=False, add_generation_prompt=True)
    whole = qwen2_hf.apply_chat_template(to_template_messages(said, None), tools=TOOLS, tokenize=False)
    answer = whole.removeprefix(asked).removesuffix("<|im_end|>\n")
    shown = qwen2.decode(qwen2.encode(answer, add_special_tokens=False), skip_special_tokens=True)
    events = read(found, shown.removeprefix("<think>\n\n</think>\n\n"), tokenizer=qwen2)
    assert content(events) == "I look."
    assert calls(events) == [("get_weather", '{"city": "Oslo é"}'), ("get_time", "{}")]
