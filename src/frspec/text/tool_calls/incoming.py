"""Text that comes in pieces, read as if it were all there.

Knows: which characters have come, which are read, where markers begin. Does not know: what anything means.

Its methods are generators that pause where they need a character that has not come, and so are the parsers made of
them: how the text was cut into pieces cannot matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")
Reading = Generator[None, None, T]


class Markers:
    """Texts to look for, the longest first where two begin at the same place."""

    def __init__(self, texts: Iterable[str]) -> None:
        longest_first = sorted({text for text in texts if text}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._starts = {text[:size] for text in longest_first for size in range(1, len(text))}
        self._longest = max(map(len, self._starts), default=0)

    def find(self, text: str, start: int) -> tuple[int, str] | None:
        """Where the first one is, and which."""
        found = self._pattern.search(text, start)
        return (found.start(), found.group()) if found else None

    def begun(self, text: str, start: int) -> int:
        """How many characters at the end of ``text`` may be the beginning of one."""
        most = min(self._longest, len(text) - start)
        return next((size for size in range(most, 0, -1) if text[-size:] in self._starts), 0)


@lru_cache(64)
def markers(*texts: str) -> Markers:
    """``Markers``, made once."""
    return Markers(texts)


class Incoming:
    """The text between what has come and what is read."""

    def __init__(self) -> None:
        self.ended = False
        self._text = ""
        self._at = 0
        self._record: list[str] = []

    def feed(self, text: str) -> None:
        """More text."""
        self._text = self._text[self._at :] + text
        self._at = 0

    def record(self, before: str = "") -> None:
        """From here on remember what is read, after ``before``."""
        self._record = [before]

    @property
    def recorded(self) -> str:
        """What has been read since ``record``."""
        return "".join(self._record)

    def take(self, size: int) -> str:
        """The next ``size`` characters, or what has come of them."""
        taken = self._text[self._at : self._at + size]
        self._at += len(taken)
        self._record.append(taken)
        return taken

    def fill(self) -> Reading[bool]:
        """Wait for more; False when the text has ended."""
        size = len(self._text) - self._at
        while len(self._text) - self._at == size and not self.ended:
            yield
        return len(self._text) - self._at > size

    def peek(self) -> Reading[str]:
        """The next character; "" at the end."""
        while self._at == len(self._text):
            if not (yield from self.fill()):
                return ""
        return self._text[self._at]

    def expect(self, wanted: str) -> Reading[bool]:
        """Whether ``wanted`` comes next; if so it is read."""
        while len(self._text) - self._at < len(wanted) and wanted.startswith(self._text[self._at :]):
            if not (yield from self.fill()):
                return False
        if not self._text.startswith(wanted, self._at):
            return False
        self.take(len(wanted))
        return True

    def skip_space(self) -> Reading[None]:
        """Read white space."""
        while (yield from self.peek()).isspace():
            self.take(1)

    def follow(self, scan: Callable[[str, int], int], send: Callable[[str], None]) -> Reading[None]:
        """Pass on what ``scan(text, start) -> end`` wants, until it wants less than has come or the text ends."""
        while True:
            end = scan(self._text, self._at)
            more = end == len(self._text)
            if end > self._at:
                send(self.take(end - self._at))
            if not more or not (yield from self.fill()):
                return

    def until(self, wanted: Markers, send: Callable[[str], None], take: bool = True) -> Reading[str]:
        """Pass on the text before the first of ``wanted`` and return that, or "" when the text ends first.

        take: it counts as read.
        """
        while True:
            found = wanted.find(self._text, self._at)
            end = found[0] if found else len(self._text) - wanted.begun(self._text, self._at)
            if end > self._at:
                send(self.take(end - self._at))
            if found:
                return self.take(len(found[1])) if take else found[1]
            if not (yield from self.fill()):
                if self._at < len(self._text):
                    send(self.take(len(self._text) - self._at))
                return ""
