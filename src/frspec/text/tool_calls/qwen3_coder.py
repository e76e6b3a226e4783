"""``<tool_call><function=name><parameter=key>value</parameter>...</function></tool_call>``: Qwen3-Coder.

Documented in Qwen3-Coder's chat template. A value is bare text between two line breaks, so the tool's JSON schema
says what it is: text where the schema allows a string or says nothing, JSON otherwise (or Python's ``True``, ``False``
and ``None``, which is how the template itself writes them). What does not read as its type stays text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from frspec.text.tool_calls.incoming import Reading, markers
from frspec.text.tool_calls.parser import ToolParser
from frspec.text.tool_calls.qwen3_coder_grammar import CLOSE, OPEN, grammar_of
from frspec.text.tool_calls.qwen3_coder_grammar import END as PARAMETER_END
from frspec.text.tool_calls.schema_types import fields, types_of
from frspec.text.tool_calls.tool_format import ToolFormat

FUNCTION, FUNCTION_END = "<function=", "</function>"
PARAMETER = "<parameter="
PYTHON = {"True": "true", "False": "false", "None": "null"}


class Qwen3CoderParser(ToolParser):
    """Any number of calls, each in its own tags, text before, between and after."""

    opening, closing = OPEN, CLOSE
    markers = (OPEN, CLOSE)

    def _read(self) -> Reading[None]:
        yield from self._tagged(self._call)

    def _call(self) -> Reading[bool]:
        name = (yield from self._tag(FUNCTION)) or ""
        if not name:
            return False
        self._start(name)
        parameters = self._functions.get(name, {}).get("parameters")
        schemas = fields(fields(parameters).get("properties"))
        between = "{"
        while True:
            yield from self._in.skip_space()
            key = yield from self._tag(PARAMETER)
            if key is None:
                break
            self._arguments(f"{between}{json.dumps(key, ensure_ascii=False)}: ")
            between = ", "
            if not (yield from self._value(types_of(schemas.get(key), parameters))):
                return False
        if not (yield from self._in.expect(FUNCTION_END)):
            return False
        self._arguments("{}" if between == "{" else "}")
        self._finish()
        return True

    def _tag(self, start: str) -> Reading[str | None]:
        """The name in ``<start=name>``, if that comes next."""
        if not (yield from self._in.expect(start)):
            return None
        name: list[str] = []
        closed = yield from self._in.until(markers(">", "\n"), name.append)
        return "".join(name) if closed == ">" else None

    def _value(self, types: frozenset[str]) -> Reading[bool]:
        yield from self._in.expect("\n")
        if types == {"string"}:  # goes out while it is written
            self._arguments('"')
            held = _LineBreakHeld(lambda text: self._arguments(json.dumps(text, ensure_ascii=False)[1:-1]))
            found = yield from self._in.until(markers(PARAMETER_END), held.send)
            self._arguments('"')
        else:
            pieces: list[str] = []
            found = yield from self._in.until(markers(PARAMETER_END), pieces.append)
            self._arguments(to_json("".join(pieces).removesuffix("\n"), types))
        return bool(found)


class _LineBreakHeld:
    """Passes text on, but a line break only when more follows: the one before the tag belongs to the tag."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._held = ""

    def send(self, text: str) -> None:
        text = self._held + text
        self._held = "\n" if text.endswith("\n") else ""
        if shown := text.removesuffix("\n"):
            self._send(shown)


def to_json(text: str, types: frozenset[str]) -> str:
    """A value as JSON text."""
    text_or_json = PYTHON.get(text, text)
    if text_or_json == "null" and "null" in types:
        return "null"
    if "string" not in types:
        try:
            json.loads(text_or_json, parse_constant=_refuse)
        except (ValueError, RecursionError):
            pass
        else:
            return text_or_json.strip()
    return json.dumps(text, ensure_ascii=False)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


QWEN3_CODER = ToolFormat(("qwen3_coder", "qwen3_xml"), Qwen3CoderParser, grammar_of)
