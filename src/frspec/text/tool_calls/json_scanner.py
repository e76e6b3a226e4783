"""Where a JSON value ends, found while it is still coming.

Knows: the grammar of RFC 8259, character by character. Does not know: what values mean; ``json`` reads them.
"""

from __future__ import annotations

import re

PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
LITERALS = {"t": "rue", "f": "alse", "n": "ull"}
DIGITS = "0123456789"
# state of a number -> what may come next -> state then
NUMBER: dict[str, dict[str, str]] = {
    "minus": {"0": "zero", **dict.fromkeys("123456789", "whole")},
    "zero": {".": "point", "e": "exponent", "E": "exponent"},
    "whole": {**dict.fromkeys(DIGITS, "whole"), ".": "point", "e": "exponent", "E": "exponent"},
    "point": dict.fromkeys(DIGITS, "fraction"),
    "fraction": {**dict.fromkeys(DIGITS, "fraction"), "e": "exponent", "E": "exponent"},
    "exponent": {**dict.fromkeys(DIGITS, "power"), "+": "sign", "-": "sign"},
    "sign": dict.fromkeys(DIGITS, "power"),
    "power": dict.fromkeys(DIGITS, "power"),
}
NUMBER_MAY_END = ("zero", "whole", "fraction", "power")


class JsonScanner:
    """Follows one value, white space in front of it included; ``done`` after its last character.

    ``broken``: the character at which ``scan`` stopped cannot stand there. A number alone is done only when something
    that is no part of it has come.
    """

    def __init__(self) -> None:
        self.done = False
        self.broken = False
        self._state = "value"
        self._open: list[str] = []  # of the containers around: "[" or "{"
        self._rest = ""  # of a literal, or as many characters as hexadecimal digits are missing
        self._is_key = False

    def scan(self, text: str, start: int) -> int:
        """The end of what of ``text`` from ``start`` on belongs to the value."""
        at = start
        while at < len(text) and not self.done and not self.broken:
            if self._state == "string" and (end := PLAIN.match(text, at).end()) > at:  # type: ignore[union-attr]
                at = end
            elif self._state in NUMBER and text[at] not in NUMBER[self._state] and self._state in NUMBER_MAY_END:
                self._end_value()
            elif self._step(text[at]):
                at += 1
            else:
                self.broken = True
        return at

    def _step(self, char: str) -> bool:
        state = self._state
        if state in NUMBER:
            self._state = NUMBER[state].get(char, "")
            return bool(self._state)
        if state in ("string", "escape", "hex"):
            return self._in_string(char)
        if state == "literal":
            if char != self._rest[0]:
                return False
            self._rest = self._rest[1:]
            if not self._rest:
                self._end_value()
            return True
        return char in " \t\n\r" or self._between(char)

    def _in_string(self, char: str) -> bool:
        if self._state == "hex":
            self._rest = self._rest[1:]
            self._state = "hex" if self._rest else "string"
            return char in "0123456789abcdefABCDEF"
        if self._state == "escape":
            self._state, self._rest = ("hex", "0000") if char == "u" else ("string", "")
            return char in '"\\/bfnrtu'
        if char == "\\":
            self._state = "escape"
        elif char == '"' and self._is_key:
            self._state, self._is_key = "colon", False
        elif char == '"':
            self._end_value()
        else:
            return False
        return True

    def _between(self, char: str) -> bool:
        """Characters outside strings, numbers and literals."""
        state = self._state
        if state in ("value", "first value"):
            if char == "]" and state == "first value":
                return self._close(char)
            return self._begin(char)
        if state in ("key", "first key"):
            if char == "}" and state == "first key":
                return self._close(char)
            self._state, self._is_key = "string", True
            return char == '"'
        if state == "colon":
            self._state = "value"
            return char == ":"
        if char == ",":
            self._state = "key" if self._open[-1] == "{" else "value"
            return True
        return self._close(char)

    def _begin(self, char: str) -> bool:
        if char in "[{":
            self._open.append(char)
            self._state = "first value" if char == "[" else "first key"
        elif char == '"':
            self._state = "string"
        elif char in LITERALS:
            self._state, self._rest = "literal", LITERALS[char]
        else:
            self._state = "minus" if char == "-" else NUMBER["minus"].get(char, "")
        return bool(self._state)

    def _close(self, char: str) -> bool:
        if char not in "]}" or self._open.pop() != {"]": "[", "}": "{"}[char]:
            return False
        self._end_value()
        return True

    def _end_value(self) -> None:
        self._state = "next"
        self.done = not self._open
