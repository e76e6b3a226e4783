"""Messages of OpenAI's API against what transformers renders from messages as Hugging Face documents them."""

import json
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from frspec.errors import UserError
from frspec.text.messages import to_template_messages
from frspec.text.tokenizer import Tokenizer
from tests.text.tool_calls import tool

TOOLS = [tool("get_weather", {"city": {"type": "string"}})]
ARGUMENTS = {"city": "Zürich \"Nord\" <b> & 'x'", "days": [1, 2.5, None, True]}


def call(id: str, arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}


# As the openai client sends them, and sends answers back.
OPENAI = [
    {"role": "developer", "content": [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]},
    {"role": "user", "content": "Weather?", "name": "anna"},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "function_call": None,
        "tool_calls": [call("call_1", json.dumps(ARGUMENTS)), call("call_2", "")],
    },
    {"role": "tool", "tool_call_id": "call_2", "content": '{"sky": "grey"}'},
    {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "rain"}]},
    {"role": "assistant", "content": "It rains.", "tool_calls": []},
    {"role": "user", "content": "Thanks"},
]
# As Hugging Face's documentation of tool use has them.
HUGGING_FACE = [
    {"role": "system", "content": "Be brief.\nBe kind."},
    {"role": "user", "content": "Weather?", "name": "anna"},
    {"role": "assistant", "content": "", "tool_calls": [call("call_1", ARGUMENTS), call("call_2", {})]},
    {"role": "tool", "tool_call_id": "call_2", "name": "get_weather", "content": '{"sky": "grey"}'},
    {"role": "tool", "tool_call_id": "call_1", "name": "get_weather", "content": "rain"},
    {"role": "assistant", "content": "It rains."},
    {"role": "user", "content": "Thanks"},
]


def test_as_hugging_face_documents_them() -> None:
    before = json.dumps(OPENAI)
    assert to_template_messages(OPENAI, None) == HUGGING_FACE
    assert json.dumps(OPENAI) == before


@pytest.mark.parametrize("length", range(1, len(OPENAI) + 1))
def test_like_transformers(qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase, length: int) -> None:
    expected = qwen2_hf.apply_chat_template(
        HUGGING_FACE[:length], tools=TOOLS, tokenize=False, add_generation_prompt=True
    )
    messages = to_template_messages(OPENAI[:length], qwen2.chat_template)
    assert qwen2.render_chat(messages, tools=TOOLS) == expected
    assert "Be brief.\nBe kind." in expected


def test_developers_where_the_template_knows_them() -> None:
    messages = [{"role": "developer", "content": "x"}]
    assert to_template_messages(messages, "{% if m.role == 'developer' %}")[0]["role"] == "developer"
    assert to_template_messages(messages, "{{ m.role }}")[0]["role"] == "system"


def test_reasoning_reaches_the_template() -> None:
    message = {"role": "assistant", "content": "4", "reasoning_content": "2 + 2"}
    assert to_template_messages([message], None) == [message]


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"role": "robot", "content": "x"}, r"messages\[1\]\.role is 'robot', which is none of system, developer"),
        ({"content": "x"}, r"messages\[1\]\.role is None"),
        ({"role": "user"}, r"messages\[1\]\.content is missing"),
        ({"role": "assistant", "content": None}, r"content is missing"),
        ({"role": "user", "content": 3}, r"content is neither text nor a list of parts"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}, r"content\[0\] is of type 'image_url'"),
        ({"role": "user", "content": [{"type": "text"}]}, r"content\[0\] is of type 'text'"),
        (
            {"role": "user", "content": "x", "tool_call_id": "1"},
            r"\.tool_call_id is not supported in a message of role user",
        ),
        ({"role": "assistant", "content": "x", "refusal": "no"}, r"\.refusal is not supported"),
        ({"role": "assistant", "content": "x", "function_call": {"name": "f"}}, r"\.function_call is not supported"),
        ({"role": "assistant", "tool_calls": ["f"]}, r"tool_calls\[0\] is no call of a function by its name"),
        ({"role": "assistant", "tool_calls": [{"type": "custom", "custom": {}}]}, r"tool_calls\[0\] is no call"),
        ({"role": "assistant", "tool_calls": [call("1", "{")]}, r"tool_calls\[0\]\.function\.arguments is no JSON: "),
        ({"role": "assistant", "tool_calls": [call("1", '{"a": NaN}')]}, r"arguments is no JSON: NaN"),
        ({"role": "assistant", "tool_calls": [call("1", "[1]")]}, r"arguments is no JSON object"),
    ],
)
def test_refused(message: dict[str, Any], why: str) -> None:
    with pytest.raises(UserError, match=why):
        to_template_messages([{"role": "user", "content": "Hi"}, message], None)


def test_nothing_to_answer() -> None:
    with pytest.raises(UserError, match="messages is empty"):
        to_template_messages([], None)
