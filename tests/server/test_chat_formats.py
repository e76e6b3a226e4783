"""Answers that must have a form: JSON, schemas, choices, tool calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import openai
import pytest
from pydantic import BaseModel, Field

from frspec import LLM
from frspec.server.settings import Settings
from tests.server.conftest import client_of, said, served
from tests.server.scripted import ScriptedService
from tests.server.test_chat import ASK, ask

BOOKING = {
    "type": "object",
    "properties": {
        "city": {"enum": ["San Jose", "Oakland"]},
        "people": {"type": "integer", "minimum": 1, "maximum": 9},
    },
    "required": ["city", "people"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {"type": "function", "function": {"name": "book", "description": "Books a table.", "parameters": BOOKING}},
    {"type": "function", "function": {"name": "give_up", "parameters": {"type": "object", "properties": {}}}},
]


class Table(BaseModel):
    name: str = Field(max_length=12)
    seats: int = Field(ge=1, le=8)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_json_that_follows_a_schema(client: openai.OpenAI, temperature: float) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "booking", "schema": BOOKING, "strict": True}}
    for seed in range(4):
        answer = ask(client, temperature=temperature, seed=seed, response_format=form, max_tokens=400)
        assert answer.choices[0].finish_reason == "stop"
        jsonschema.validate(json.loads(answer.choices[0].message.content), BOOKING)
    streamed = said(ask(client, temperature=temperature, seed=seed, response_format=form, max_tokens=400, stream=True))
    assert streamed == answer.choices[0].message.content


def test_the_clients_own_parsing(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="demo", messages=ASK, response_format=Table, max_tokens=100, seed=1)
    assert isinstance(answer.choices[0].message.parsed, Table)


def test_any_json_object(client: openai.OpenAI) -> None:
    answer = ask(client, response_format={"type": "json_object"}, temperature=0, max_tokens=200)
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)
    assert answer.choices[0].message.content.lstrip().startswith("{")


@pytest.mark.parametrize(
    ("form", "fits"),
    [
        ({"choice": ["pizza", "pasta"]}, "pizza|pasta"),
        ({"regex": "[0-9]{3}-[0-9]{4}"}, "[0-9]{3}-[0-9]{4}"),
        ({"grammar": 'start: "yes" | "no"'}, "yes|no"),
        ({"json": {"type": "boolean"}}, "true|false"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_vllms_forms(client: openai.OpenAI, form: dict[str, Any], fits: str) -> None:
    for seed in range(3):
        answer = ask(client, seed=seed, extra_body={"structured_outputs": form})
        assert re.fullmatch(fits, answer.choices[0].message.content)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"structured_outputs": {"regex": "("}}, None),
        ({"structured_outputs": {}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs"),
        ({"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}}, None),
        ({"structured_outputs": {"regex": "a" * 70_000}}, "structured_outputs"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
        ),
        ({"response_format": {"type": "json_object"}, "tools": TOOLS}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}}, None),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"functions": [{"name": "f"}]}, "functions"),
    ],
    ids=lambda one: json.dumps(one)[:60],
)
def test_forms_that_cannot_be(client: openai.OpenAI, more: dict[str, Any], param: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, extra_body=more)
    assert param is None or refused.value.param == param


def schema_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"response_format": schema_format({"type": "x"})}, "response_format.json_schema.schema cannot be honoured"),
        ({"response_format": schema_format({"x-guidance": {}})}, "response_format.json_schema.schema has x-guidance"),
        ({"structured_outputs": {"json": {"type": "x"}}}, "structured_outputs.json cannot be honoured"),
    ],
    ids=["type", "x-guidance", "vllm"],
)
def test_errors_speak_of_what_was_sent(client: openai.OpenAI, more: dict[str, Any], name: str) -> None:
    with pytest.raises(openai.BadRequestError, match=name) as refused:
        ask(client, extra_body=more)
    assert ("structured_outputs" in str(refused.value)) == ("structured_outputs" in more)


def test_a_call_that_is_required(client: openai.OpenAI) -> None:
    for seed in range(3):
        answer = ask(
            client, tools=TOOLS[:1], tool_choice="required", parallel_tool_calls=False, seed=seed, max_tokens=80
        )
        choice = answer.choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        (call,) = choice.message.tool_calls
        assert (call.type, call.function.name) == ("function", "book")
        jsonschema.validate(json.loads(call.function.arguments), BOOKING)


def test_a_call_by_name_streams(client: openai.OpenAI) -> None:
    named: Any = {"type": "function", "function": {"name": "book"}}
    chunks = list(ask(client, tools=TOOLS, tool_choice=named, seed=1, max_tokens=80, stream=True))
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert {piece.index for piece in pieces} == {0}
    assert pieces[0].id
    assert (pieces[0].type, pieces[0].function.name) == ("function", "book")
    assert not any(piece.id for piece in pieces[1:])
    jsonschema.validate(json.loads("".join(piece.function.arguments for piece in pieces)), BOOKING)
    assert said(chunks) == ""
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    with client.chat.completions.stream(
        model="demo", messages=ASK, tools=TOOLS, tool_choice=named, seed=1, max_tokens=80
    ) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    jsonschema.validate(json.loads(call.function.arguments), BOOKING)


@pytest.fixture(scope="module")
def scripted(alone: LLM) -> ScriptedService:
    return ScriptedService(alone)


@pytest.fixture(scope="module")
def actor(scripted: ScriptedService) -> Iterator[openai.OpenAI]:
    with (
        served(scripted, Settings(served_model_names=("demo",), tool_call_parser="hermes")) as url,
        client_of(url) as client,
    ):
        yield client


CALL = 'Let me see. <tool_call>\n{"name": "book", "arguments": {"city": "Oakland", "people": 2}}\n</tool_call>'


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_calls_are_found_however_the_text_is_cut(actor: openai.OpenAI, scripted: ScriptedService, size: int) -> None:
    scripted.script = [CALL[at : at + size] for at in range(0, len(CALL), size)]
    answer = ask(actor, tools=TOOLS)
    message = answer.choices[0].message
    assert (message.content, answer.choices[0].finish_reason) == ("Let me see.", "tool_calls")
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oakland", "people": 2}
    chunks = list(ask(actor, tools=TOOLS, stream=True))
    assert said(chunks) == "Let me see."
    pieces = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert "".join(piece.function.arguments for piece in pieces) == call.function.arguments
    assert [piece.function.name for piece in pieces if piece.id] == ["book"]


def test_without_tools_a_call_is_text(actor: openai.OpenAI, scripted: ScriptedService) -> None:
    scripted.script = [CALL]
    for more in ({}, {"tools": TOOLS, "tool_choice": "none"}):
        answer = ask(actor, **more)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (CALL, "stop")
        assert answer.choices[0].message.tool_calls is None


def test_a_broken_call_is_text(actor: openai.OpenAI, scripted: ScriptedService) -> None:
    scripted.script = ['<tool_call>{"name": 5}</tool_call>']
    answer = ask(actor, tools=TOOLS)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (scripted.script[0], "stop")


def test_what_calls_gave_reaches_the_template(actor: openai.OpenAI, scripted: ScriptedService) -> None:
    scripted.script = ["Done."]
    call = {"id": "call_1", "type": "function", "function": {"name": "book", "arguments": '{"people": 2}'}}
    talk = [*ASK, {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "booked at eight"}]  # fmt: skip
    assert ask(actor, talk, tools=TOOLS).choices[0].message.content == "Done."
    assert "booked at eight" in scripted.asked[-1][0]["prompt"]
