"""The bodies of ``/tokenize`` and ``/detokenize``, in vLLM's shapes.

Knows: their fields. Does not know: tokenizers.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from frspec.server.protocol.base import TokenId
from frspec.server.protocol.body import Body, Several
from frspec.server.protocol.messages import Message, Tool


class TokenizeText(Body):
    """A text to cut into tokens."""

    model: str | None = None
    prompt: str
    add_special_tokens: bool = True
    return_token_strs: bool | None = None


class TokenizeChat(Body):
    """A conversation to cut into tokens, as the chat template writes it."""

    model: str | None = None
    messages: Several[Message] = Field(min_length=1)
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    add_special_tokens: bool = False
    chat_template_kwargs: dict[str, Any] | None = None
    tools: Several[Tool] | None = Field(None, min_length=1)
    return_token_strs: bool | None = None


class TokenizeAnswer(Body):
    """The tokens; ``token_strs`` are the vocabulary's own spellings."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Body):
    """Tokens to join."""

    model: str | None = None
    tokens: Several[TokenId]


class DetokenizeAnswer(Body):
    """Their text, special tokens spelled out."""

    prompt: str
