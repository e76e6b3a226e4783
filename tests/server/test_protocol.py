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


@pytest.mark.parametrize("wrong", ["1", True, 1.5, [1], {"a": 1}], ids=repr)
def test_no_value_is_converted(wrong: Any) -> None:
    for name in ("n", "seed", "max_tokens", "top_k", "min_tokens", "logprobs"):
        with pytest.raises(ValidationError):
            CompletionRequest.model_validate({"prompt": "a", name: wrong})
