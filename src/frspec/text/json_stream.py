"""One JSON object of any length, read with little memory: the pieces of one of its texts, the rest checked to be JSON.

Knows: JSON's grammar, how a string is taken apart where that is safe. Does not know: files, lines. Texts, numbers and
names are decoded by the standard library, piece by piece, so what they mean is what ``json.loads`` says.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from frspec.text.bad import Flaw

BLANK = re.compile(rb"[ \t\r\n]*+")
SCALAR = re.compile(rb"[-+.0-9A-Za-z]*+")
STRING = re.compile(rb'[^"\\]*+(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])[^"\\]*+)*+')  # up to what is no whole character
CONTROL = re.compile(rb"[\x00-\x1f]")
ESCAPE = 6  # bytes of the longest
HIGH = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
DEPTH = 500  # json.loads gives up at about a thousand
SHORT = 1 << 12  # characters of a name or number that are kept
LEVELS = 5  # of lists and objects in one another that are passed over at once


class JsonStream:
    """The tokens of ``read()``, which gives the next bytes, and none at the end. All methods raise ``Flaw``."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._held, self._at = b"", 0
        self._passed = 0  # bytes before those held

    def peek(self) -> bytes:
        """The next byte that is not blank; none at the end."""
        while True:
            self._at = _end(BLANK, self._held, self._at)
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def take(self, *expected: bytes) -> bytes:
        """The next byte, which is to be one of these."""
        found = self.peek()
        if found not in expected:
            raise self.flaw(f"expected {' or '.join(byte.decode() for byte in expected)}")
        self._at += 1
        return found

    def name(self) -> str:
        """An object's key and the colon; the beginning of a long one."""
        self.take(b'"')
        name = self.short()
        self.take(b":")
        return name

    def short(self) -> str:
        """The rest of a string, or the beginning of that."""
        kept = ""
        for piece in self.string():
            kept += piece[: SHORT - len(kept)]
        return kept

    def string(self) -> Iterator[str]:
        """The rest of a string whose quotation mark has been taken, in pieces; pairs of surrogates stay together."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        while True:
            end = _end(STRING, self._held, self._at)
            closed = self._held[end : end + 1] == b'"'
            if not closed and len(self._held) - end >= ESCAPE:
                raise self.flaw("no such escape", end)
            if not closed:
                end = _before_high(self._held, self._at, end)
            yield self._decoded(decoder, end, closed)
            self._at = end + closed
            if closed:
                return
            if not self._more():
                raise self.flaw("it ends within a string")

    def scalar(self) -> Any:
        """A number or a word such as ``null``."""
        while (end := _end(SCALAR, self._held, self._at)) == len(self._held) and end - self._at <= SHORT:
            if not self._more():
                break
        token, place = self._held[self._at : end], self._at
        self._at = end
        if len(token) > SHORT:
            raise self.flaw("a number that is too long", place)
        try:
            return json.loads(token)
        except ValueError as error:
            raise self.flaw("expected a value", place) from error

    def skip(self) -> None:
        """Any value."""
        closers = list[bytes]()
        while True:
            first, whole = self.peek(), True
            if first == b'"':
                self.take(first)
                for _ in self.string():
                    pass
            elif first in (b"{", b"["):
                closers.append(b"}" if self.take(first) == b"{" else b"]")
                if len(closers) > DEPTH:
                    raise self.flaw(f"nested more than {DEPTH} deep")
                whole = self.peek() == closers[-1] or self._pass_small(closers)
            else:
                self.scalar()
            while whole and closers:
                if self.take(b",", closers[-1]) == closers[-1]:
                    closers.pop()
                else:
                    whole = self._pass_small(closers)
            if whole:
                return
            if closers[-1] == b"}":
                self.name()

    def flaw(self, reason: str, place: int | None = None) -> Flaw:
        """What is wrong, and at which byte."""
        return Flaw(f"not JSON: {reason} (byte {self._byte(place)} of the line)")

    def _pass_small(self, closers: list[bytes]) -> bool:
        """Go over small elements of the innermost list or object; whether its end comes next, or else an element."""
        self.peek()
        if len(closers) + LEVELS > DEPTH:  # so that it makes no difference where ``read`` cuts
            return False
        start, self._at = self._at, _end(_small(closers[-1]), self._held, self._at)
        if not (passed := self._held[start : self._at]).isascii():
            try:
                passed.decode()
            except UnicodeDecodeError as error:
                raise self._no_utf8(start + error.start) from error
        return bool(passed) and self._held[self._at : self._at + 1] == closers[-1]

    def _no_utf8(self, place: int) -> Flaw:
        return Flaw(f"not UTF-8 (byte {self._byte(place)} of the line)")

    def _byte(self, place: int | None = None) -> int:
        return self._passed + (self._at if place is None else place) + 1

    def _more(self) -> bool:
        chunk = self._read()
        self._passed += self._at
        self._held, self._at = self._held[self._at :] + chunk, 0
        return bool(chunk)

    def _decoded(self, decoder: codecs.IncrementalDecoder, end: int, closed: bool) -> str:
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(self._held[self._at : end], closed)
            return str(json.loads(f'"{text}"'))
        except UnicodeDecodeError as error:
            raise self._no_utf8(self._at - waiting + error.start) from error
        except ValueError as error:
            control = CONTROL.search(self._held, self._at, end)
            raise self.flaw("a control character in a string", control and control.start()) from error


@cache
def _small(closer: bytes) -> re.Pattern[bytes]:
    """Elements of a list or an object, each with the comma or before the end behind it, that are whole and nest up to
    ``LEVELS`` deep; some sixty times as fast as taking them one by one. Bytes of UTF-8 are not checked."""
    blank, plain = BLANK.pattern, rb"[ !#-[\]-\xff]*+"
    string = rb'"%b(?:\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])%b)*+"' % (plain, plain)
    number = rb"-?(?:0|[1-9][0-9]{0,99}+)(?:\.[0-9]{1,99}+)?(?:[eE][-+]?[0-9]{1,99}+)?"
    value = scalar = rb"%b|%b|null|true|false|NaN|-?Infinity" % (string, number)
    names = {b"]": b"", b"}": string + blank + b":" + blank}

    def elements(closer: bytes) -> bytes:
        form = rb"(?:%b(?:%b)%b(?:,%b(?!\%b)|(?=\%b)))*+"
        return form % (names[closer], value, blank, blank, closer, closer)

    for _ in range(LEVELS):
        lists, objects = (blank + elements(end) + b"\\" + end for end in names)
        value = rb"%b|\[%b|\{%b" % (scalar, lists, objects)
    return re.compile(elements(closer))


def _end(pattern: re.Pattern[bytes], held: bytes, at: int) -> int:
    found = pattern.match(held, at)
    assert found is not None, "it matches nothing too"
    return found.end()


def _before_high(held: bytes, at: int, end: int) -> int:
    """Before an escape at the end of which the next may be the second half."""
    high = HIGH.search(held, max(at, end - ESCAPE), end)
    if high is None:
        return end
    slashes = high.start() - len(held[at : high.start()].rstrip(b"\\")) - at
    return end if slashes % 2 else high.start()
