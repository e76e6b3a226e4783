"""``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``: Hermes, Qwen2.5, Qwen3.

Documented in NousResearch's Hermes-Function-Calling and in Qwen's "Function Calling" pages and chat templates.
"""

from __future__ import annotations

from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import grammar
from frspec.text.tool_calls.call_object import CallObjectParser
from frspec.text.tool_calls.incoming import Reading
from frspec.text.tool_calls.tool_format import ToolFormat, Wanted

OPEN, CLOSE = "<tool_call>", "</tool_call>"


class HermesParser(CallObjectParser):
    """Any number of calls, each in its own tags, text before, between and after."""

    opening, closing = OPEN, CLOSE
    markers = (OPEN, CLOSE)

    def _read(self) -> Reading[None]:
        yield from self._tagged(self._call_object)


def _grammar(wanted: Wanted, tokenizer: Tokenizer) -> str:
    if wanted.free:
        grammar.check_own_token(OPEN, tokenizer)
    call = f'{grammar.marker(OPEN, tokenizer)} "\\n" call "\\n" {grammar.marker(CLOSE, tokenizer)}'
    rules = ["start: text calls?" if wanted.free else "start: calls"]
    rules.append(f'calls: tagged ("\\n" tagged)*\ntagged: {call}' if wanted.several else f"calls: {call}")
    rules.append(grammar.call_objects(wanted, "arguments"))
    if wanted.free:
        rules.append(grammar.free_text(tokenizer, without=[OPEN]))
    return "\n".join(rules)


HERMES = ToolFormat(("hermes",), HermesParser, _grammar)
