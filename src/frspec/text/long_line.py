"""A line of JSON Lines that is too long to be held.

Knows: which of an object's fields is the text. Does not know: JSON's grammar.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from frspec.text.bad import Flaw
from frspec.text.json_stream import JsonStream
from frspec.text.packed import OneLine, Stream
from frspec.text.reading import Reading
from frspec.text.records import LONE, NO_OBJECT, part_of, text_or_messages, value_of

HELD = "in a line that is too long to be held"
NAMED = 20  # fields that are named where the one that is looked for is missing


class LongLine:
    """The line that begins where ``stream`` is. Once its pieces are read ``part`` is what its field ``by`` says."""

    def __init__(self, stream: Stream, reading: Reading) -> None:
        self.part = ""
        self._line = OneLine(stream)
        self._json = JsonStream(self._line.read)
        self._field, self._fields, self._by = reading.field, reading.fields, reading.by
        self._found = dict[str, Any]()  # by name: what is short of what counts; and the first of the other fields

    def pieces(self) -> Iterator[str]:
        """The text. Raises ``Flaw`` wherever the line turns out to hold none, to be no JSON, or blank."""
        json = self._json
        if (first := json.peek()) != b"{":
            raise Flaw(NO_OBJECT if first else "")
        json.take(b"{")
        last = json.take(b"}") if json.peek() == b"}" else b","
        while last == b",":
            yield from self._value(json.name())
            last = json.take(b",", b"}")
        if json.peek():
            raise json.flaw("more behind the object")
        self._check()

    def finish(self) -> None:
        """Take the stream behind the line."""
        self._line.finish()

    def _value(self, name: str) -> Iterator[str]:
        first, counts = self._json.peek(), name in (*self._fields, self._by)
        if counts and name in self._found:
            raise Flaw(f"field {name!r} stands twice {HELD}")
        if name == self._field and first == b'"':
            self._found[name] = ""
            self._json.take(first)
            yield from map(_unicode, self._json.string())
        elif counts:
            self._found[name] = self._short(first)
        else:
            self._json.skip()
            if len(self._found) < NAMED:
                self._found[name] = None

    def _short(self, first: bytes) -> Any:
        """The value of a short text, a number or a word; an empty one of any list or object."""
        if first == b'"':
            self._json.take(first)
            return self._json.short()
        if first in (b"{", b"["):
            self._json.skip()
            return {} if first == b"{" else []
        return self._json.scalar()

    def _check(self) -> None:
        """Whether there was all that is needed."""
        try:
            value = value_of(self._found, self._fields)
            if isinstance(value, list):
                raise Flaw(f"a conversation {HELD}; put fewer turns into one")
            text_or_messages(value, self._field)
            if self._found.get(self._field) is None:
                raise Flaw(f"a text under another name than {self._field!r}, {HELD}")
            self.part = "" if self._by is None else part_of(self._found, self._by)
        except UnicodeEncodeError as error:
            raise Flaw(LONE) from error
        except ValueError as error:
            raise Flaw(str(error)) from error


def _unicode(piece: str) -> str:
    try:
        piece.isascii() or piece.encode()
    except UnicodeEncodeError as error:
        raise Flaw(LONE) from error
    return piece
