"""``{"name": ..., "arguments": {...}}``: the object most formats write a call as.

Knows: its keys, in any order; Llama calls the arguments ``parameters``, and ``id`` and ``type`` may be there. Does
not know: what stands around it.
"""

from __future__ import annotations

from frspec.text.tool_calls.incoming import Reading
from frspec.text.tool_calls.parser import ToolParser

ARGUMENTS = ("arguments", "parameters")


class CallObjectParser(ToolParser):
    """A parser that can read such an object, and an array of them."""

    def _call_objects(self) -> Reading[bool]:
        """Read an array of calls; whether it was one."""
        if not (yield from self._in.expect("[")):
            return False
        while True:
            yield from self._in.skip_space()
            if not (yield from self._call_object()):
                return False
            yield from self._in.skip_space()
            if (yield from self._in.expect("]")):
                return True
            if not (yield from self._in.expect(",")):
                return False

    def _call_object(self) -> Reading[bool]:
        """Read one call; whether it was one. Any other key or type of value means that it is none."""
        if not (yield from self._in.expect("{")):
            return False
        name: str | None = None
        early: list[str] = []  # arguments that stand before the name
        while True:
            yield from self._in.skip_space()
            key = yield from self._string()
            yield from self._in.skip_space()
            if key is None or not (yield from self._in.expect(":")):
                return False
            yield from self._in.skip_space()
            if key == "name" and name is None:
                name = yield from self._string()
                if not name:
                    return False
                if early:
                    self._whole(name, "".join(early))
            elif key in ARGUMENTS and not early and (yield from self._in.peek()) == "{":
                if not (yield from self._call_arguments(name, early)):
                    return False
            elif key not in ("id", "type") or not (yield from self._json(lambda _: None)):
                return False
            yield from self._in.skip_space()
            if (yield from self._in.expect("}")):
                if not (name and early):
                    return False
                self._finish()
                return True
            if not (yield from self._in.expect(",")):
                return False

    def _call_arguments(self, name: str | None, early: list[str]) -> Reading[bool]:
        if not name:
            return (yield from self._json(early.append))
        early.append("sent")
        self._start(name)
        if not (yield from self._json(self._arguments)):
            return False
        self._finish()
        return True

    def _whole(self, name: str, arguments: str) -> None:
        self._start(name)
        self._arguments(arguments)
        self._finish()
