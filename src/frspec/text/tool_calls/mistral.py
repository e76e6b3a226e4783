"""Mistral's two ways to write calls after ``[TOOL_CALLS]``.

Tokenizers v2, v3 and v7: ``[TOOL_CALLS][{"name": ..., "arguments": {...}}, ...]``. From v11 on, for each call:
``[TOOL_CALLS]name[ARGS]{...}``, with ``[CALL_ID]id`` after the name in v11. Documented in mistral-common and in the
chat templates of the models.
"""

from __future__ import annotations

import re

from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import grammar
from frspec.text.tool_calls.call_object import CallObjectParser
from frspec.text.tool_calls.events import short_call_id
from frspec.text.tool_calls.incoming import Reading, markers
from frspec.text.tool_calls.tool_format import ToolFormat, Wanted

OPEN, ID, ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
CALL_ID = re.compile("[a-zA-Z0-9]{9}")
NAME = re.compile(r"[\w.-]*")


class MistralParser(CallObjectParser):
    """Both ways, told apart by what follows the marker."""

    opening = OPEN
    markers = (OPEN, ID, ARGUMENTS)

    def _read(self) -> Reading[None]:
        while (yield from self._in.until(markers(OPEN), self._content)):
            yield from self._attempt(self._calls(), OPEN)

    def _calls(self) -> Reading[bool]:
        yield from self._in.skip_space()
        if (yield from self._in.peek()) == "[":
            return (yield from self._call_objects())
        return (yield from self._named())

    def _named(self) -> Reading[bool]:
        name: list[str] = []
        yield from self._in.follow(lambda text, at: NAME.match(text, at).end(), name.append)  # type: ignore[union-attr]
        id = None
        if (yield from self._in.expect(ID)):
            pieces: list[str] = []
            if not (yield from self._in.until(markers(ARGUMENTS), pieces.append)):
                return False
            id = "".join(pieces)
        else:
            yield from self._in.expect(ARGUMENTS)
        yield from self._in.skip_space()
        if not name or (yield from self._in.peek()) != "{":
            return False
        self._start("".join(name), id if id and CALL_ID.fullmatch(id) else None)
        if not (yield from self._json(self._arguments)):
            return False
        self._finish()
        return True


def _grammar(wanted: Wanted, tokenizer: Tokenizer) -> str:
    """The newer way where the vocabulary has its marker."""
    if wanted.free:
        grammar.check_own_token(OPEN, tokenizer)
    opening = grammar.marker(OPEN, tokenizer)
    rules = ["start: text calls?" if wanted.free else "start: calls"]
    if tokenizer.backend.token_to_id(ARGUMENTS) is None:
        more = '(", " call)*' if wanted.several else ""
        rules += [f'calls: {opening} " "? "[" call {more} "]"', grammar.call_objects(wanted, "arguments")]
    else:
        rules.append("calls: named+" if wanted.several else "calls: named")
        rules.append(_named(wanted, opening, tokenizer))
    if wanted.free:
        rules.append(grammar.free_text(tokenizer, without=[OPEN]))
    return "\n".join(rules)


def _named(wanted: Wanted, opening: str, tokenizer: Tokenizer) -> str:
    id = ""
    if tokenizer.backend.token_to_id(ID) is not None:
        id = f"({grammar.marker(ID, tokenizer)} /{CALL_ID.pattern}/)?"
    rules = ["named: " + " | ".join(f"named_{i}" for i in range(len(wanted.functions)))]
    for i, function in enumerate(wanted.functions):
        name = f"{grammar.literal(function['name'])} {id} {grammar.marker(ARGUMENTS, tokenizer)}"
        rules.append(f"named_{i}: {opening} {name} arguments_{i}")
        rules.append(f"arguments_{i}: {grammar.arguments(function, wanted)}")
    return "\n".join(rules)


MISTRAL = ToolFormat(("mistral",), MistralParser, _grammar, new_id=short_call_id)
