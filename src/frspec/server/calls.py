"""Tool calls of a chat: what the model is told of tools, what its text must or may be, calls read from it.

Knows: ``tools``, ``tool_choice`` and ``parallel_tool_calls``, OpenAI's shapes of calls. Does not know: formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frspec.server.errors import refuse
from frspec.server.limits import check_grammar
from frspec.server.protocol.chat import ChatRequest
from frspec.server.serving import Serving
from frspec.text.tool_calls import CallArguments, CallStart, Content, ToolFormat, ToolParser
from frspec.types import StructuredOutputs


@dataclass(frozen=True)
class Calling:
    """What a request says of tools. ``format`` is None where calls are neither wanted nor read."""

    serving: Serving
    body: ChatRequest
    tools: Sequence[dict[str, Any]]
    format: ToolFormat | None

    @staticmethod
    def of(serving: Serving, body: ChatRequest) -> Calling:
        """The request's.

        Raises:
            ApiError: when the model has no documented format for what is asked.
        """
        if not body.tools and body.tool_choice not in (None, "none", "auto"):
            raise refuse("tool_choice goes with tools", "tool_choice")
        if not body.tools or body.tool_choice == "none":
            return Calling(serving, body, (), None)
        if serving.tool_format is None:
            raise refuse(
                "this model's chat template documents no tool calls; leave tools out, or have its operator name the "
                "format with --tool-call-parser",
                "tools",
            )
        tools = [tool.model_dump(exclude_none=True) for tool in body.tools]
        check_grammar(serving.settings, "tools", tools)
        return Calling(serving, body, tools, serving.tool_format)

    def sampling(self, asked: StructuredOutputs | None) -> dict[str, Any]:
        """Fields of ``SamplingParams``. asked: what the text must follow anyway.

        Raises:
            ApiError, UserError: when both are asked for, or what is asked cannot be guaranteed.
        """
        if self.format is None:
            return {"structured_outputs": asked}
        if asked is not None:
            raise refuse(
                'what must follow a format holds no tool calls; give tools or a format, or tool_choice "none"',
                "tool_choice",
            )
        choice = self.body.tool_choice or "auto"
        wanted = self.format.constrain(
            self.tools,
            choice if isinstance(choice, str) else choice.model_dump(),
            self.serving.tokenizer,
            parallel=self.body.parallel_tool_calls is not False,
        )
        special = self.format.needs_special_tokens(self.serving.tokenizer)
        return {"structured_outputs": wanted} | ({"skip_special_tokens": False} if special else {})

    def parser(self) -> ToolParser | None:
        """For one completion; None where its text is only text. Special tokens that are no part of a call are shown
        where the request wants them shown.
        """
        if self.format is None:
            return None
        shown = self.body.skip_special_tokens is False
        return self.format.parser(self.tools, None if shown else self.serving.tokenizer, eager=bool(self.body.stream))


class Calls:
    """One completion's text as it is read."""

    def __init__(self, parser: ToolParser | None) -> None:
        self._parser = parser

    @property
    def made(self) -> bool:
        """Whether there is a call."""
        return self._parser is not None and self._parser.calls > 0

    def read(self, text: str, over: bool) -> tuple[str, list[dict[str, Any]]]:
        """What ``text``, which comes next, holds: content, and what is new of calls, each at most once."""
        if self._parser is None:
            return text, []
        content, calls = "", dict[int, dict[str, Any]]()
        for event in self._parser.push(text) + (self._parser.close() if over else []):
            if isinstance(event, Content):
                content += event.text
            elif isinstance(event, CallStart):
                function = {"name": event.name, "arguments": ""}
                calls[event.index] = {"index": event.index, "id": event.id, "type": "function", "function": function}
            elif isinstance(event, CallArguments):
                call = calls.setdefault(event.index, {"index": event.index, "function": {"arguments": ""}})
                call["function"]["arguments"] += event.text
        return content, list(calls.values())
