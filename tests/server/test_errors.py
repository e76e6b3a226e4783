"""What goes wrong, as OpenAI's client understands it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from frspec import LLM, UserError
from frspec.engine.service import EngineFailure, Overloaded, Service
from frspec.server.settings import Settings
from tests.patience import PATIENCE, until
from tests.server.conftest import client_of, idle, served, serving, slow
from tests.server.scripted import ScriptedService
from tests.server.test_chat import ASK, ask

LIMITS = Settings(
    served_model_names=("demo",), max_n=2, max_stop=1, max_logprobs=3, max_output_tokens=20, max_prompt_tokens=40,
    max_list_items=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def strict(demo: Service) -> Iterator[openai.OpenAI]:
    with served(demo, LIMITS) as url, client_of(url) as client:
        yield client


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 3}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 21}, "max_tokens"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
        ({"min_tokens": 9, "max_tokens": 4}, "min_tokens"),
        ({"stop": ["a", "b"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"logprobs": True, "top_logprobs": 4}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias.x"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"999999": 1}}, "logit_bias"),
        ({"stop_token_ids": [999999]}, "stop_token_ids"),
        ({"logit_bias": {"1": 1, "2": 1, "3": 1}}, "logit_bias"),
        ({"seed": 2**63}, "seed"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"speculation": "tree"}, "speculation"),
        ({"speculation": "all"}, "speculation"),
        ({"store": True}, "store"),
        ({"modalities": ["audio"]}, "modalities[0]"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs"),
        ({"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, "chat_template_kwargs"),
        ({"continue_final_message": True}, "continue_final_message"),
        ({"continue_final_message": True, "add_generation_prompt": True}, "continue_final_message"),
        ({"temprature": 0.5}, "temprature"),
        ({"use_beam_search": True}, "use_beam_search"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a", "mood": "good"}]}, "messages[0].mood"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": "a " * 50}]}, "prompt"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, None),
        ({"structured_outputs": {"regex": "\ud800"}}, None),
        ({"\ud800": 1}, None),
        ({"chat_template_kwargs": {"\ud800": "\ud800"}, "bad_words": ["\ud800"], "stop": "\ud800"}, None),
    ],
    ids=lambda one: json.dumps(one)[:50],
)  # fmt: skip
def test_what_cannot_be_honoured_is_refused_by_name(
    strict: openai.OpenAI, more: dict[str, Any], param: str | None
) -> None:
    body = {"messages": ASK, "max_tokens": 4, **more}
    response = httpx.post(f"{strict.base_url}chat/completions", content=json.dumps(body), headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"]
    assert param is None or error["param"] == param


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a": 1' + b"0" * 5000 + b"}"],
    ids=lambda body: repr(body[:8]),
)  # fmt: skip
def test_bodies_that_are_none(url: str, body: bytes) -> None:
    response = httpx.post(f"{url}/v1/chat/completions", content=body, headers=JSON)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("the body is not ")


def test_too_many_log_probabilities_of_a_text(strict: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        strict.completions.create(model="demo", prompt="a", logprobs=4)
    assert refused.value.param == "logprobs"


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize("depth", [50, 200, 400])
def test_depths_are_refused_or_reached(client: openai.OpenAI, depth: int) -> None:
    schema = nested(depth)
    function = {"name": "f", "parameters": schema}
    for more in (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}},
        {"structured_outputs": {"json": schema}},
        {"structured_outputs": {"regex": "(" * depth + "a" + ")" * depth}},
        {"structured_outputs": {"json": {"enum": [float("nan")]}}},
        {"tools": [{"type": "function", "function": function}], "tool_choice": "required"},
        {"chat_template_kwargs": {"a": schema}},
    ):
        body = json.dumps({"messages": ASK, "max_tokens": 1, **more})
        answer = httpx.post(f"{client.base_url}chat/completions", content=body, headers=JSON, timeout=PATIENCE)
        assert answer.status_code in (200, 400), (more, answer.text)


def test_no_neutral_value_is_refused(client: openai.OpenAI) -> None:
    """What asks for nothing may be said, as many clients do."""
    nothing = {
        "store": False, "service_tier": "auto", "modalities": ["text"], "metadata": {}, "user": "me", "tools": None,
        "functions": None, "function_call": None, "parallel_tool_calls": True, "prediction": None, "tool_choice": None,
        "n": 1, "logit_bias": {}, "stop": None, "response_format": {"type": "text"}, "stream": False, "top_k": -1,
        "safety_identifier": "x", "prompt_cache_key": "y", "reasoning_effort": None, "chat_template_kwargs": {},
    }  # fmt: skip
    assert ask(client, temperature=0, extra_body=nothing).choices == ask(client, temperature=0).choices
    text = {"best_of": 2, "n": 2, "suffix": "", "echo": False, "stream_options": None}
    assert len(client.completions.create(model="demo", prompt="a", extra_body=text).choices) == 2


def test_another_model(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-5", messages=ASK)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


def test_a_prompt_that_does_not_fit(client: openai.OpenAI) -> None:
    for more in ({"messages": [{"role": "user", "content": "a " * 2000}]}, {"max_tokens": 1020}):
        with pytest.raises(openai.BadRequestError) as refused:
            ask(client, **more)
        assert refused.value.code == "context_length_exceeded"


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/v1/nothing", 404), ("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405),
    ("DELETE", "/v1/models/demo", 405), ("PUT", "/tokenize", 405),
])  # fmt: skip
def test_roads_that_lead_nowhere(url: str, method: str, path: str, status: int) -> None:
    response = httpx.request(method, url + path)
    assert response.status_code == status
    assert response.json()["error"]["type"] == ("not_found_error" if status == 404 else "invalid_request_error")
    assert ("allow" in response.headers) == (status == 405)


@pytest.fixture(scope="module")
def scripted(alone: LLM) -> ScriptedService:
    return ScriptedService(alone)


@pytest.fixture(scope="module")
def stage(scripted: ScriptedService) -> Iterator[str]:
    with served(scripted, Settings(served_model_names=("demo",))) as url:
        yield url


FAILURES = [
    (UserError("no token is left"), openai.BadRequestError, 400, "invalid_request_error"),
    (Overloaded("too many wait"), openai.InternalServerError, 503, "overloaded"),
    (EngineFailure("ValueError in the engine"), openai.InternalServerError, 500, "internal_error"),
    (ValueError("the secret of the prompt"), openai.InternalServerError, 500, "internal_error"),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("failure", "kind", "status", "type"), FAILURES, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("where", ["asked", "begun"])
def test_failures_before_the_first_word_have_their_status(
    stage: str,
    scripted: ScriptedService,
    failure: Exception,
    kind: Any,
    status: int,
    type: str,
    where: str,
    stream: bool,
) -> None:
    scripted.refusal, scripted.script = (failure, []) if where == "asked" else (None, [failure])
    with client_of(stage) as client, pytest.raises(kind) as refused:
        ask(client, stream=stream)
    scripted.refusal = None
    assert (refused.value.status_code, refused.value.type) == (status, type)
    assert ("retry-after" in refused.value.response.headers) == (status == 503)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("failure", "kind", "status", "type"), FAILURES, ids=lambda one: type(one).__name__)
def test_failures_midway_end_the_stream(
    stage: str, scripted: ScriptedService, failure: Exception, kind: Any, status: int, type: str
) -> None:
    scripted.script = ["One", " two", failure]
    with client_of(stage) as client:
        got = ""
        stream = ask(client, stream=True)
        with pytest.raises(openai.APIError) as broken:  # noqa: PT012 - what came before counts
            for chunk in stream:
                got += chunk.choices[0].delta.content or ""
        assert got == "One two"
        assert broken.value.type == type
        with pytest.raises(kind):
            ask(client)
    raw = httpx.post(f"{stage}/v1/chat/completions", json={"messages": ASK, "stream": True})
    assert raw.status_code == 200
    assert raw.text.endswith("data: [DONE]\n\n")
    assert "secret" not in raw.text
    assert all(stream.cancelled for stream in scripted.streams)


def test_one_client_cannot_open_everything(demo: Service) -> None:
    more: Any = {"extra_body": {"ignore_eos": True}, "stream": True, "max_tokens": 900}
    with (
        served(demo, Settings(served_model_names=("demo",), max_streams_per_client=1)) as url,
        client_of(url) as client,
    ):
        with slow(demo):
            first = ask(client, **more)
            with pytest.raises(openai.RateLimitError):
                ask(client)
            first.close()
        until(lambda: _works(client))
    idle(demo)


def test_a_full_queue_says_so(alone: LLM) -> None:
    with (
        serving(alone, max_queue=0) as service,
        served(service, Settings(served_model_names=("demo",), max_n=64)) as url,
        client_of(url) as client,
    ):
        with pytest.raises(openai.InternalServerError) as refused:
            ask(client, n=40)
        assert refused.value.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) > 0
        assert ask(client, max_tokens=1).choices
        service.close()
        assert httpx.get(f"{url}/health").status_code == 503


def _works(client: openai.OpenAI) -> bool:
    try:
        return bool(ask(client, max_tokens=1).choices)
    except openai.RateLimitError:
        return False
