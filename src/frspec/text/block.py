"""Some records of a file as they lie there: what is handed from the process that reads to those that count.

Knows: what it takes to go on behind them. Does not know: how they are read or parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from frspec.text.places import File

BLOCK = 1 << 20  # bytes or characters of a block, about
LONG = 16 << 20  # bytes of a record that are held at once, where it can be cut

Cut = Callable[[Iterable[str]], Iterator[str]]
"""Cuts a long text, given in any pieces, where that changes no token."""


@dataclass(frozen=True)
class Mark:
    """Where to go on: before the record that begins at ``position`` (unpacked bytes, or rows), ``line`` lines or rows
    into the shard's file (from the shard's start), pieces of that record's text with so many ``characters`` having been
    read."""

    position: int = 0
    line: int = 0
    characters: int = 0


@dataclass(frozen=True)
class Block:
    """Whole records of one ``file``, about 1 MiB; or pieces of one record that is longer.

    ``kind`` says what ``content`` is: ``lines``, JSON Lines (bytes); ``rows``, an Arrow stream (bytes); ``text``, one
    text (bytes in UTF-8) or pieces of one, cut where that changes no token (list of str); ``bad``, why a record cannot
    be read (list of one str). ``first``: the number of its first line or row, from 1, counted from the byte ``since``
    of the file on. ``begins``: whether its first record begins in it. Reading goes on ``after`` it. ``raw``: bytes of
    the shard, as they lie there, that have been read.
    """

    file: File
    part: str
    kind: Literal["lines", "rows", "text", "bad"]
    first: int
    content: bytes | list[str]
    after: Mark
    raw: int
    begins: bool = True
    since: int = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self.file.name

    @property
    def size(self) -> int:
        """Bytes or characters of its content."""
        return sum(map(len, self.content)) if isinstance(self.content, list) else len(self.content)
