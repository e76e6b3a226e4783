"""Blocks of JSON Lines files.

Knows: where lines end and which of them a shard owns. Does not know: what is in a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from frspec.text.block import BLOCK, LONG, Block, Mark
from frspec.text.long import long_blocks
from frspec.text.long_line import LongLine
from frspec.text.opened import Opened
from frspec.text.packed import UNREADABLE, OneLine, Stream


def line_blocks(shard: Opened, after: Mark) -> Iterator[Block]:
    """The shard's lines ``after`` the mark, where its stream is.

    What came before a place that cannot be read is given, then the error raised.
    """
    line, given = after.line, after.characters
    for content, position in _whole_lines(shard.stream, shard.shard.end, None if shard.cut is None else LONG):
        before, line = line, line + content.count(b"\n") + (not content.endswith(b"\n"))
        if content:
            yield shard.block("lines", before + 1, content, Mark(position, line))
        elif shard.cut is not None:
            mark = Mark(position, before, given)
            yield from long_blocks(shard, shard.cut, mark, lambda stream: LongLine(stream, shard.reading))
        given = 0


def go_to_line(stream: Stream, position: int) -> None:
    """To the first line that begins at ``position`` or behind it."""
    stream.go_to(position - 1)
    OneLine(stream).finish()


def _whole_lines(stream: Stream, end: int | None, long: int | None) -> Iterator[tuple[bytes, int]]:
    """Lines that begin before ``end``, about 1 MiB of them at a time, and the position behind them.

    For a line of more than ``long`` bytes nothing, and the position before it; the stream is to be taken behind it.
    """
    ready, size = list[bytes](), 0  # whole lines
    tail, held = list[bytes](), 0  # the beginning of one
    done = end is not None and stream.position >= end
    while not done:
        try:
            chunk = stream.read()
        except UNREADABLE:
            if ready:
                yield b"".join(ready), stream.position - held
            raise
        first, at = chunk.find(b"\n"), chunk.rfind(b"\n") + 1
        is_long = long is not None and held + (len(chunk) if first < 0 else first) > long
        done = not chunk
        if end is not None and stream.position >= end:  # the line that holds the byte before it is the last one
            last = chunk.find(b"\n", max(0, end - 1 - stream.position + len(chunk))) + 1
            at, done = last or at, done or last > 0
        if is_long:  # whatever comes behind it
            at, done = 0, False
        if at or done:
            ready, size = [*ready, *tail, chunk[:at]], size + held + at
            tail, held = [], 0
        tail.append(chunk[at:])
        held += len(chunk) - at
        if size and (size >= BLOCK or done or is_long):
            yield b"".join(ready), stream.position - held
            ready, size = [], 0
        if is_long:
            for part in reversed(tail):
                stream.put_back(part)
            tail, held = [], 0
            yield b"", stream.position
            done = end is not None and stream.position >= end
