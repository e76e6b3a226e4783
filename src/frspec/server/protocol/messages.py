"""Conversations and tools as OpenAI's chat API writes them.

Knows: which fields each role has, and which of an answer's come back with it. Does not know: templates.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from frspec.server.protocol.body import Body, Several

Name = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")]


class TextPart(Body):
    """A piece of a message; they are joined by line breaks. Images, sound and files are refused."""

    type: Literal["text"]
    text: str


Content = str | Annotated[Several[TextPart], Field(min_length=1)]


class SystemMessage(Body):
    """What the model is told before the conversation."""

    role: Literal["system", "developer"]
    content: Content
    name: str | None = Field(None, description="Given to the chat template, which may make nothing of it.")


class UserMessage(Body):
    """What the user said."""

    role: Literal["user"]
    content: Content
    name: str | None = Field(None, description="Given to the chat template, which may make nothing of it.")


class CalledFunction(Body):
    """A call's function, its arguments as JSON text."""

    name: str = Field(min_length=1)
    arguments: str


class ToolCall(Body):
    """A call that an assistant made."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(Body):
    """What the model answered. An answer's message can be sent back as it came."""

    role: Literal["assistant"]
    content: Content | None = None
    name: str | None = Field(None, description="Given to the chat template, which may make nothing of it.")
    tool_calls: Several[ToolCall] | None = None
    refusal: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    audio: None = None
    function_call: None = None


class ToolMessage(Body):
    """What a call gave."""

    role: Literal["tool"]
    content: Content
    tool_call_id: str
    name: str | None = None


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]


class Function(Body):
    """A function the model may call; ``parameters`` is a JSON schema."""

    name: Name
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Body):
    """A tool; functions are the only kind."""

    type: Literal["function"]
    function: Function


class NamedFunction(Body):
    """A function by its name."""

    name: Name


class NamedToolChoice(Body):
    """The function that must be called."""

    type: Literal["function"]
    function: NamedFunction


ToolChoice = Literal["none", "auto", "required"] | NamedToolChoice
