"""Tool calls in the text of a model: which formats there are, and which a checkpoint uses.

Knows: the list. Does not know: HTTP. Each format is a module with a parser and, where calls can be forced, a grammar.
"""

from __future__ import annotations

from frspec.errors import UserError
from frspec.text.tool_calls.events import CallArguments, CallStart, Content, Event
from frspec.text.tool_calls.hermes import HERMES
from frspec.text.tool_calls.llama3_json import LLAMA3_JSON
from frspec.text.tool_calls.mistral import MISTRAL
from frspec.text.tool_calls.parser import ToolParser
from frspec.text.tool_calls.pythonic import PYTHONIC
from frspec.text.tool_calls.qwen3_coder import QWEN3_CODER
from frspec.text.tool_calls.recognition import recognise
from frspec.text.tool_calls.tool_format import ToolFormat
from frspec.text.tool_calls.xlam import XLAM

FORMATS = (HERMES, LLAMA3_JSON, MISTRAL, PYTHONIC, QWEN3_CODER, XLAM)

__all__ = [
    "FORMATS",
    "CallArguments",
    "CallStart",
    "Content",
    "Event",
    "ToolFormat",
    "ToolParser",
    "find_format",
]


def find_format(name: str | None, chat_template: str | None) -> ToolFormat | None:
    """The format called ``name``, or the one that the chat template documents; None when it documents none of ours.

    Raises:
        UserError: when there is no format of that name.
    """
    if name is None:
        return recognise(chat_template, FORMATS) if chat_template else None
    for one in FORMATS:
        if name in one.names:
            return one
    raise UserError(
        f"there is no tool call parser {name}; there are {', '.join(n for one in FORMATS for n in one.names)}"
    )
