"""``[{"name": ..., "arguments": {...}}, ...]`` as the whole answer: xLAM, made of Llama and Qwen models.

Documented in the models' chat template.
"""

from __future__ import annotations

from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import grammar
from frspec.text.tool_calls.call_object import CallObjectParser
from frspec.text.tool_calls.incoming import Reading
from frspec.text.tool_calls.tool_format import ToolFormat, Wanted


class XlamParser(CallObjectParser):
    """One array at the beginning; what follows is text."""

    def _read(self) -> Reading[None]:
        yield from self._attempt(self._calls())
        yield from self._rest()

    def _calls(self) -> Reading[bool]:
        yield from self._in.skip_space()
        return (yield from self._call_objects())


def _grammar(wanted: Wanted, tokenizer: Tokenizer) -> str:
    more = '(", " call)*' if wanted.several else ""
    rules = ["start: calls | text" if wanted.free else "start: calls", f'calls: "[" call {more} "]"']
    rules.append(grammar.call_objects(wanted, "arguments"))
    if wanted.free:
        rules.append(grammar.free_text(tokenizer, without=[], start=r"\s*[^\s\[]"))
    return "\n".join(rules)


XLAM = ToolFormat(("xlam",), XlamParser, _grammar)
