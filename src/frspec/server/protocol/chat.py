"""The body of ``/v1/chat/completions``.

Knows: its fields, and which of OpenAI's are accepted with the one value that asks for nothing. Does not know: models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from frspec.server.protocol.base import Count, TextRequest
from frspec.server.protocol.body import PIECE_BY_PIECE, Several
from frspec.server.protocol.messages import Message, Tool, ToolChoice


class ChatRequest(TextRequest):
    """A conversation to answer."""

    messages: Several[Message] = Field(min_length=1)
    max_completion_tokens: Count | None = Field(None, description="Most new tokens; wins over nothing: give one name.")
    max_tokens: Count | None = Field(None, description="The older name of max_completion_tokens.")
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, lt=2**31, description="With logprobs.")
    tools: Several[Tool] | None = Field(None, min_length=1)
    tool_choice: ToolChoice | None = Field(None, description="auto where there are tools.")
    parallel_tool_calls: bool | None = Field(None, description="false: calls after the first are left out.")

    add_generation_prompt: bool | None = Field(None, description="Whether the template begins an answer; true.")
    continue_final_message: bool | None = Field(None, description="Go on with the last message, an unfinished answer.")
    chat_template_kwargs: dict[str, Any] | None = Field(None, description="Variables for the chat template.")

    store: Literal[False] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=0), PIECE_BY_PIECE] | None = None
    service_tier: Literal["auto", "default"] | None = None
    modalities: Several[Literal["text"]] | None = None
    prompt_cache_retention: Literal["in_memory", "in-memory"] | None = None
    prompt_cache_key: str | None = Field(None, description="A label; prompts that begin alike share a cache anyway.")
    safety_identifier: str | None = Field(None, description="A label; it changes nothing.")
    audio: None = None
    function_call: None = None
    functions: None = None
    prediction: None = None
    reasoning_effort: None = None
    verbosity: None = None
    web_search_options: None = None
