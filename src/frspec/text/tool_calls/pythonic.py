"""``[name(key=value, ...), ...]`` as the whole answer: Llama 3.2, Llama 4, ToolACE.

Documented as "zero-shot function calling" on the model cards of Llama 3.2 and 4. Values are Python literals; JSON's
``true``, ``false`` and ``null`` are understood too. Llama 4 may write special tokens around the list.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import Any

from frspec.text.tool_calls.incoming import Reading
from frspec.text.tool_calls.parser import ToolParser
from frspec.text.tool_calls.tool_format import ToolFormat

START, END = "<|python_start|>", "<|python_end|>"
NAME = re.compile(r"[\w.-]*")
JSON_NAMES = {"true": True, "false": False, "null": None}


class PythonicParser(ToolParser):
    """One list, and nothing else but white space; each call is read when it is whole."""

    opening, closing = START, END
    markers = (START, END)

    def _read(self) -> Reading[None]:
        yield from self._attempt(self._list())
        yield from self._rest()

    def _list(self) -> Reading[bool]:
        yield from self._in.skip_space()
        yield from self._in.expect(START)
        yield from self._in.skip_space()
        if not (yield from self._in.expect("[")):
            return False
        while True:
            yield from self._in.skip_space()
            if not (yield from self._call()):
                return False
            yield from self._in.skip_space()
            if (yield from self._in.expect("]")):
                break
            if not (yield from self._in.expect(",")):
                return False
        yield from self._in.skip_space()
        yield from self._in.expect(END)
        yield from self._in.skip_space()
        return (yield from self._in.peek()) == ""

    def _call(self) -> Reading[bool]:
        name: list[str] = []
        yield from self._in.follow(lambda text, at: NAME.match(text, at).end(), name.append)  # type: ignore[union-attr]
        if not name or (yield from self._in.peek()) != "(":
            return False
        source: list[str] = []
        parentheses = Parentheses()
        yield from self._in.follow(parentheses.scan, source.append)
        arguments = to_json("".join(source)) if parentheses.done else None
        if arguments is None:
            return False
        self._start("".join(name))
        self._arguments(arguments)
        self._finish()
        return True


class Parentheses:
    """Follows Python source up to the parenthesis that closes the first one."""

    def __init__(self) -> None:
        self.done = False
        self._depth = 0
        self._quote = ""
        self._escaped = False

    def scan(self, text: str, start: int) -> int:
        """The end of what of ``text`` from ``start`` on belongs to it."""
        at = start
        while at < len(text) and not self.done:
            char = text[at]
            at += 1
            if self._escaped:
                self._escaped = False
            elif self._quote:
                self._escaped = char == "\\"
                self._quote = "" if char == self._quote else self._quote
            elif char in "'\"":
                self._quote = char
            elif char in "([{":
                self._depth += 1
            elif char in ")]}":
                self._depth -= 1
                self.done = self._depth == 0
        return at


def to_json(arguments: str) -> str | None:
    """``(key=value, ...)`` as a JSON object; None when it is anything but literals with names."""
    try:
        with warnings.catch_warnings():  # of odd escapes: what a model writes is no news for a log
            warnings.simplefilter("ignore")
            call = ast.parse("f" + arguments, mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
            return None
        values = {str(keyword.arg): _value(keyword.value) for keyword in call.keywords}
        text = json.dumps(values, ensure_ascii=False, allow_nan=False)
        # An emoji spelled as JSON spells it, "\ud83d\ude00", is two surrogates to Python.
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in JSON_NAMES:
        return JSON_NAMES[node.id]
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        keys = [None if key is None else _value(key) for key in node.keys]
        if not all(isinstance(key, str) for key in keys):
            raise ValueError("a key is no string")
        return dict(zip(keys, map(_value, node.values), strict=True))
    return ast.literal_eval(node)


PYTHONIC = ToolFormat(("pythonic", "llama4_pythonic"), PythonicParser)
