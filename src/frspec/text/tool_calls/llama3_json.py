"""``{"name": ..., "parameters": {...}}`` as the whole answer, ``<|python_tag|>`` before it or not: Llama 3.1, 3.2, 3.3.

Documented as "JSON based tool calling" on the model cards of Llama 3.1 and in its chat template. Built-in tools
(``<|python_tag|>brave_search.call(...)``) are another format; they stay text.
"""

from __future__ import annotations

from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import grammar
from frspec.text.tool_calls.call_object import CallObjectParser
from frspec.text.tool_calls.incoming import Reading, markers
from frspec.text.tool_calls.tool_format import ToolFormat, Wanted

TAG = "<|python_tag|>"


class Llama3JsonParser(CallObjectParser):
    """Calls at the beginning, or after a tag; several with ``;`` between them, as vLLM reads them."""

    opening = TAG
    markers = (TAG,)

    def _read(self) -> Reading[None]:
        marker = ""
        while True:
            good = yield from self._attempt(self._call(), marker)
            while good:
                good = yield from self._attempt(self._next_call())
            marker = yield from self._in.until(markers(TAG), self._content)
            if not marker:
                return

    def _call(self) -> Reading[bool]:
        yield from self._in.skip_space()
        return (yield from self._call_object())

    def _next_call(self) -> Reading[bool]:
        yield from self._in.skip_space()
        return (yield from self._in.expect(";")) and (yield from self._call())


def _grammar(wanted: Wanted, tokenizer: Tokenizer) -> str:
    """One call: these models know no parallel ones."""
    rules = ["start: call | text" if wanted.free else "start: call", grammar.call_objects(wanted, "parameters")]
    if wanted.free:
        rules.append(grammar.free_text(tokenizer, without=[TAG], start=r"\s*[^\s{]"))
    return "\n".join(rules)


LLAMA3_JSON = ToolFormat(("llama3_json", "llama4_json"), Llama3JsonParser, _grammar)
