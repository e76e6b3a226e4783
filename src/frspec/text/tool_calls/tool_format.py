"""One documented way to write tool calls: how to read it, and how to make a model write it.

Knows: what ``tools`` and ``tool_choice`` of a request ask for. Does not know: HTTP, which format a checkpoint uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls.events import call_id
from frspec.text.tool_calls.parser import Tool, ToolParser
from frspec.types import StructuredOutputs

Choice = str | Mapping[str, Any]  # "auto", "none", "required" or {"type": "function", "function": {"name": ...}}


@dataclass(frozen=True)
class Wanted:
    """What a grammar is to allow.

    functions: those that may be called. strict: names of those whose arguments must satisfy their schema. free: text
    may come instead of calls or before them. several: more than one call may come.
    """

    functions: Sequence[Mapping[str, Any]]
    strict: frozenset[str]
    free: bool
    several: bool


@dataclass(frozen=True)
class ToolFormat:
    """``names``: vLLM's ``--tool-call-parser``, the first is ours. ``grammar``: None where calls cannot be forced."""

    names: tuple[str, ...]
    reader: type[ToolParser]
    grammar: Callable[[Wanted, Tokenizer], str] | None = None
    new_id: Callable[[], str] = call_id

    @property
    def name(self) -> str:
        """What it is called."""
        return self.names[0]

    def needs_special_tokens(self, tokenizer: Tokenizer) -> bool:
        """Whether the request needs ``skip_special_tokens=False`` for the markers to be in the text."""
        return bool(special_texts(tokenizer).intersection(self.reader.markers))

    def parser(
        self,
        tools: Sequence[Tool] = (),
        tokenizer: Tokenizer | None = None,
        *,
        new_id: Callable[[], str] | None = None,
        eager: bool = True,
    ) -> ToolParser:
        """A parser for one completion, see ``ToolParser``.

        With the tokenizer whose special tokens the text shows, those that are no part of a call are left out, as
        ``skip_special_tokens`` would.
        """
        hidden = special_texts(tokenizer) if tokenizer and self.needs_special_tokens(tokenizer) else ()
        return self.reader(tools, new_id or self.new_id, hidden, eager)

    def constrain(
        self, tools: Sequence[Tool], choice: Choice, tokenizer: Tokenizer, *, parallel: bool = True
    ) -> StructuredOutputs | None:
        """What guarantees ``tool_choice``, or None where it asks for no guarantee.

        "required" guarantees one call or more, a function's name exactly one call, and both that its arguments satisfy
        the schema. "auto" guarantees it for functions with ``strict: true``, and that the others get an object.
        ``parallel`` False allows one call at most, whatever the choice.

        Raises:
            UserError: when what is asked cannot be guaranteed.
        """
        functions = [tool["function"] for tool in tools]
        strict = frozenset(function["name"] for function in functions if function.get("strict"))
        if choice == "none" or (choice == "auto" and parallel and not strict):
            return None
        if not isinstance(choice, str):
            functions = [function for function in functions if function["name"] == choice["function"]["name"]]
            parallel = False
        if not functions:
            raise UserError("tool_choice names a function that is not among the tools")
        if self.grammar is None:
            raise UserError(
                f"calls in the format {self.name} cannot be guaranteed; use tool_choice auto or none, without strict "
                "and with parallel_tool_calls"
            )
        names = frozenset(function["name"] for function in functions)
        free = choice == "auto"
        wanted = Wanted(functions, strict if free else names, free, several=parallel)
        return StructuredOutputs(grammar=self.grammar(wanted, tokenizer), asked_as="the grammar of these tools")


def special_texts(tokenizer: Tokenizer) -> frozenset[str]:
    """The texts of the special tokens."""
    return frozenset(text for id in tokenizer.special_ids if (text := tokenizer.token(id)))
