"""What goes out, for the description at ``/openapi.json``; answers themselves are built as plain dictionaries.

Knows: shapes. Does not know: where the values come from.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = Field(description="The field it is about.")
    code: str | None


class ErrorAnswer(BaseModel):
    """The body of every answer that is an error; in a stream that has begun, an event."""

    error: ErrorDetail


class PromptDetails(BaseModel):
    """Of the prompt's tokens."""

    cached_tokens: int = Field(description="Tokens that an earlier text's cache already held.")


class Usage(BaseModel):
    """Tokens of all prompts and completions."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Speculation(BaseModel):
    """What was drafted and accepted, by depth."""

    drafted: list[int]
    accepted: list[int]
    target_passes: int
    mean_acceptance_length: float


class TextAnswer(BaseModel):
    """What all answers with text have."""

    id: str
    created: int
    model: str
    system_fingerprint: str
    usage: Usage
    speculation: Speculation | None = None


class ChosenFunction(BaseModel):
    """A call's function; the arguments are JSON text."""

    name: str
    arguments: str


class Call(BaseModel):
    """A tool call."""

    id: str
    type: Literal["function"]
    function: ChosenFunction


class AnswerMessage(BaseModel):
    """What the model said."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[Call] | None = None


class ScoredAlternative(BaseModel):
    """A token with its log-probability and its bytes."""

    token: str
    logprob: float
    bytes: list[int]


class ScoredToken(ScoredAlternative):
    """A token of the text, and the likeliest in its place."""

    top_logprobs: list[ScoredAlternative]


class ChatLogprobs(BaseModel):
    """One entry for each token."""

    content: list[ScoredToken]
    refusal: None


class ChatChoice(BaseModel):
    """A completion of a conversation."""

    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length", "tool_calls"]
    stop_reason: int | str | None = Field(description="The stop string or stop token id that ended it.")
    token_ids: list[int] | None = None


class ChatAnswer(TextAnswer):
    """An answer to a conversation."""

    object: Literal["chat.completion"]
    choices: list[ChatChoice]
    prompt_token_ids: list[int] | None = None
    prompt_logprobs: list[dict[str, Any] | None] | None = None


class TextLogprobs(BaseModel):
    """One entry in each list for each token."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(BaseModel):
    """A text that comes after a prompt."""

    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length"]
    stop_reason: int | str | None = Field(description="The stop string or stop token id that ended it.")
    prompt_token_ids: list[int] | None = None
    token_ids: list[int] | None = None
    prompt_logprobs: list[dict[str, Any] | None] | None = None


class CompletionAnswer(TextAnswer):
    """Completions, prompt by prompt."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]


class Model(BaseModel):
    """What is served."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    max_model_len: int = Field(description="Tokens of prompt and answer together.")


class Models(BaseModel):
    """All names of it."""

    object: Literal["list"]
    data: list[Model]


class Version(BaseModel):
    """frspec's."""

    version: str


class Health(BaseModel):
    """That the engine runs."""

    status: Literal["ok"]


def responses(model: type[BaseModel], stream: bool = True) -> dict[int | str, dict[str, Any]]:
    """A route's answers: ``model``, or with ``stream`` the same in pieces, or an error."""
    good: dict[str, Any] = {"model": model, "description": "The answer"}
    if stream:
        good["content"] = {"text/event-stream": {}}  # OpenAPI 3.1 has no words for events
    bad = {
        "4XX": "400 it cannot be honoured, 401 without a key, 403 of a foreign host, 404 no such model, 408 "
        "too slow, 413 too large, 415 not JSON, 429 too many open requests of one client",
        "5XX": "500 something broke, 503 too busy or ending (with Retry-After)",
    }
    return {200: good} | {status: {"model": ErrorAnswer, "description": text} for status, text in bad.items()}
