"""Records that are too long to be held: in pieces, cut where that changes no token.

Knows: how to go on in the middle of one. Does not know: formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from frspec.text.bad import Flaw, TooLong
from frspec.text.block import BLOCK, Block, Cut, Mark
from frspec.text.opened import Opened
from frspec.text.packed import Stream


class LongRecord(Protocol):
    """A record that begins where a stream is. ``part``, once all is read: what it says that it counts for, or ""."""

    part: str

    def pieces(self) -> Iterator[str]:
        """Its text; raises ``Flaw`` where it turns out to be bad."""
        ...

    def finish(self) -> None:
        """Take the stream behind it, or to where no other record begins."""
        ...


def long_blocks(shard: Opened, cut: Cut, mark: Mark, record: Callable[[Stream], LongRecord]) -> Iterator[Block]:
    """The text of the record that begins at ``mark``, where the shard's stream is, in pieces.

    Pieces that have been counted cannot be taken back. So where bad records are to be left out, or something in them
    says what they count for, it is read to its end before.
    """
    stream, reading, part = shard.stream, shard.reading, ""
    found = record(stream)
    try:
        if reading.skip_bad or reading.by is not None:
            check = record(shard.ahead(stream.position))
            for _ in check.pieces():
                pass
            part = check.part
        for content, before, given in cut_pieces(found.pieces(), cut, mark.characters):
            after = Mark(stream.position, mark.line + 1) if given is None else replace(mark, characters=given)
            yield shard.block("text", mark.line + 1, content, after, part, begins=not before)
    except TooLong as error:
        behind = f" behind byte {shard.shard.start:,}" if shard.shard.start else ""
        raise TooLong(f"{shard.shard.file}, line {mark.line + 1}{behind}: {error}") from error
    except Flaw as flaw:
        found.finish()
        after, line = Mark(stream.position, mark.line + 1), mark.line + 1 + flaw.line
        yield shard.block("bad", line, [str(flaw)], after) if str(flaw) else shard.block("lines", line, b"", after)


def cut_pieces(text: Iterable[str], cut: Cut, given: int) -> Iterator[tuple[list[str], int, int | None]]:
    """The pieces of ``text`` behind the first ones, which have ``given`` characters: about 1 MiB of them at a time, how
    many characters came before, and how many have come with them, None at the end."""
    ready, size = list[str](), 0
    for piece in _without(cut(text), given):  # what was cut goes missing in places, so cut it again
        if size >= BLOCK:
            yield ready, given, given + size
            given, ready, size = given + size, [], 0
        ready.append(piece)
        size += len(piece)
    yield ready, given, None


def _without(texts: Iterable[str], characters: int) -> Iterator[str]:
    """The texts without the first of them, which have so many characters."""
    for text in texts:
        if rest := text[characters:]:
            yield rest
        characters = max(0, characters - len(text))
