"""Blocks of JSON Lines files.

Knows: where lines end and which of them a shard owns. Does not know: what is in a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from frspec.text.block import BLOCK, Block, Mark
from frspec.text.packed import UNREADABLE, Stream
from frspec.text.shards import Shard


def go_to_start(stream: Stream, shard: Shard) -> None:
    """To the first line that begins at the shard's start or behind it."""
    stream.go_to(shard.start - 1)
    while chunk := stream.read():
        if at := chunk.find(b"\n") + 1:
            stream.put_back(chunk[at:])
            return


def line_blocks(stream: Stream, shard: Shard, line: int) -> Iterator[Block]:
    """The shard's lines from where ``stream`` is, which is behind ``line`` lines.

    What came before a place that cannot be read is given, then the error raised.
    """
    for content, position in _whole_lines(stream, shard.end):
        first, line = line + 1, line + content.count(b"\n") + (not content.endswith(b"\n"))
        after, raw = Mark(position, line), stream.raw - shard.start
        yield Block(shard.file, shard.part, "lines", first, content, after, raw, since=shard.start)


def _whole_lines(stream: Stream, end: int | None) -> Iterator[tuple[bytes, int]]:
    """Lines that begin before ``end``, about 1 MiB of them at a time, and the position behind them."""
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
        at = chunk.rfind(b"\n") + 1
        if end is not None and stream.position >= end:  # the line that holds the byte before it is the last one
            at = chunk.find(b"\n", max(0, end - 1 - stream.position + len(chunk))) + 1
            done = at > 0
        if at or not chunk:
            ready, size = [*ready, *tail, chunk[:at]], size + held + at
            tail, held = [], 0
        tail.append(chunk[at:])
        held += len(chunk) - at
        done = done or not chunk
        if size and (size >= BLOCK or done):
            yield b"".join(ready), stream.position - held
            ready, size = [], 0
