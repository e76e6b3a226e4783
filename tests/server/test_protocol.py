"""The fields of requests against OpenAI's own list, and the document that names them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from openai.types import completion_create_params
from openai.types.chat import completion_create_params as chat_create_params
from pydantic import BaseModel, ValidationError

from frspec.server.protocol.chat import ChatRequest
from frspec.server.protocol.completions import CompletionRequest
from frspec.server.protocol.tokens import DetokenizeRequest, TokenizeText
from frspec.types import SamplingParams

DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"
NAMED = set(re.findall(r"`(\w+)`", DOCUMENT.read_text()))
NOT_OURS = {"moderation", "prompt_cache_options"}
NOT_FOR_HTTP = {"detokenize"}


@pytest.mark.parametrize(
    ("model", "theirs"),
    [
        (ChatRequest, chat_create_params.CompletionCreateParamsStreaming),
        (CompletionRequest, completion_create_params.CompletionCreateParamsStreaming),
    ],
)
def test_every_field_of_openais_is_decided_on_and_documented(model: type[BaseModel], theirs: Any) -> None:
    fields = set(get_type_hints(theirs, include_extras=True))
    assert fields - set(model.model_fields) <= NOT_OURS
    assert fields <= NAMED


@pytest.mark.parametrize("model", [ChatRequest, CompletionRequest])
def test_every_field_is_documented(model: type[BaseModel]) -> None:
    assert set(model.model_fields) <= NAMED


def test_every_sampling_parameter_can_be_asked_for() -> None:
    parameters = set(SamplingParams.__dataclass_fields__) - NOT_FOR_HTTP
    assert parameters <= set(CompletionRequest.model_fields)


MANY = {f"{i}x": 1 for i in range(50_000)}
TEXT: Any = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (ChatRequest, {"messages": [TEXT], **MANY}),
        (ChatRequest, {"messages": [TEXT | MANY]}),
        (ChatRequest, {"messages": [TEXT | {"content": [{"type": "text", "text": "a", **MANY}]}]}),
        (ChatRequest, {"messages": [TEXT], "tools": [{"type": "function", "function": {"name": "f", **MANY}}]}),
        (ChatRequest, {"messages": [TEXT], "tool_choice": MANY}),
        (ChatRequest, {"messages": [TEXT], "metadata": MANY}),
        (ChatRequest, {"messages": [TEXT], "response_format": {"type": "text", **MANY}}),
        (CompletionRequest, {"prompt": "a", "logit_bias": MANY}),
        (CompletionRequest, {"prompt": "a", "stream_options": MANY}),
        (CompletionRequest, {"prompt": "a", "structured_outputs": MANY}),
        (CompletionRequest, {"prompt": "a", "structured_outputs": {"choice": [""] * 50_000}}),
        (TokenizeText, {"prompt": "a", **MANY}),
        (DetokenizeRequest, MANY),
    ],
)
def test_what_is_wrong_in_many_places_is_not_wholly_checked(model: type[BaseModel], body: Any) -> None:
    """The check holds up everybody: fifty thousand complaints took half a second."""
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    assert refused.value.error_count() <= 1000


def test_many_biases_are_checked_as_few_are() -> None:
    biases = {str(id): id % 200 - 100 for id in range(5000)}
    assert CompletionRequest(prompt="a", logit_bias=biases).logit_bias == biases
    with pytest.raises(ValidationError) as refused:
        CompletionRequest(prompt="a", logit_bias=biases | {"4999": 101})
    assert refused.value.errors()[0]["loc"] == ("logit_bias", "4999")


@pytest.mark.parametrize("wrong", ["1", True, 1.5, [1], {"a": 1}], ids=repr)
def test_no_value_is_converted(wrong: Any) -> None:
    for name in ("n", "seed", "max_tokens", "top_k", "min_tokens", "logprobs"):
        with pytest.raises(ValidationError):
            CompletionRequest.model_validate({"prompt": "a", name: wrong})
