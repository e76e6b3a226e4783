"""A shard that is being read.

Knows: what all blocks of one have in common. Does not know: formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

from frspec.text.block import Block, Cut, Mark
from frspec.text.packed import Stream
from frspec.text.reading import Reading
from frspec.text.shards import Shard, form


class Opened:
    """``stream`` is where reading is. ``cut`` is None where each record is to be held whole."""

    def __init__(self, shard: Shard, reading: Reading, cut: Cut | None, stack: ExitStack) -> None:
        self.shard, self.reading, self.cut = shard, reading, cut
        self._stack = stack
        self._packed = form(shard.file.name)[1]
        self._ahead: Stream | None = None
        self.stream = self._open()

    def block(
        self,
        kind: Literal["lines", "text", "bad"],
        first: int,
        content: bytes | list[str],
        after: Mark,
        part: str = "",
        begins: bool = True,
    ) -> Block:
        """A block of this shard; it counts for the shard's part or for ``part``."""
        shard, raw = self.shard, self.stream.raw - self.shard.start
        return Block(shard.file, part or shard.part, kind, first, content, after, raw, begins, shard.start)

    def ahead(self, position: int) -> Stream:
        """The same file once more, at a byte."""
        if self._ahead is None or self._ahead.position > position:
            self._ahead = self._open()
        self._ahead.go_to(position)
        return self._ahead

    def _open(self) -> Stream:
        return Stream(self._stack.enter_context(self.shard.file.open()), self._packed)


@contextmanager
def opened(shard: Shard, reading: Reading, cut: Cut | None) -> Iterator[Opened]:
    """The shard, until reading ends."""
    with ExitStack() as stack:
        yield Opened(shard, reading, cut, stack)
