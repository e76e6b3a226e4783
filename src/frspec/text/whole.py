"""Plain text files, each of which is one document.

Knows: UTF-8, and what is surely no text. Does not know: formats, tokens.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from frspec.errors import UserError
from frspec.text.bad import Flaw
from frspec.text.block import LONG, Block, Mark
from frspec.text.json_stream import JsonStream
from frspec.text.long import long_blocks
from frspec.text.opened import Opened
from frspec.text.packed import OneLine, Stream


def text_blocks(shard: Opened, after: Mark) -> Iterator[Block]:
    """The text, or what of it comes ``after`` the mark."""
    if after.position:
        return
    stream = shard.stream
    start = stream.start(None if shard.cut is None else LONG + 1)
    if start.startswith(b"{") and _holds_object(OneLine(shard.ahead(stream.position))):
        raise UserError(f"{shard.shard.file} holds JSON Lines; rename it to end in .jsonl")
    if shard.cut is None or len(start) <= LONG or shard.reading.by is not None:
        stream.go_to(stream.position + len(start))
        content = start if shard.reading.by is None else b""  # without fields it is bad, whatever is in it
        yield shard.block("text", 1, content, Mark(stream.position, 1))
    else:
        del start
        yield from long_blocks(shard, shard.cut, after, LongText)


def decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """UTF-8 in any chunks as text; raises ``Flaw`` where it is none."""
    decoder, begin, line = codecs.getincrementaldecoder("utf-8")(), 0, 0
    for chunk in chain(chunks, (b"",)):
        if (zero := chunk.find(0)) >= 0:  # what a download leaves that reserved its place and broke off
            raise Flaw(f"a zero byte (byte {begin + zero + 1})", line + chunk.count(b"\n", 0, zero))
        waiting = len(decoder.getstate()[0])
        try:
            yield decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            place = error.start - waiting
            reason = f"not UTF-8 (byte {begin + place + 1} of the file); convert it"
            raise Flaw(reason, line + chunk.count(b"\n", 0, max(0, place))) from error
        begin, line = begin + len(chunk), line + chunk.count(b"\n")


class LongText:
    """The rest of ``stream`` as a record; it has no fields."""

    part = ""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def pieces(self) -> Iterator[str]:
        """The text; raises ``Flaw`` where it is none."""
        return decoded(iter(self._stream.read, b""))

    def finish(self) -> None:
        """Behind its beginning; where a text has been begun there is nothing else."""
        self._stream.read()


def _holds_object(line: OneLine) -> bool:
    stream = JsonStream(line.read)
    try:
        stream.skip()
        return not stream.peek()
    except Flaw:
        return False
