"""A shard's records in blocks, whatever its format: the part of reading that cannot be shared among processes.

Knows: what no file of text begins with, and how a stream that breaks is told of. Does not know: records' meaning.
"""

from __future__ import annotations

from collections.abc import Iterator

from frspec.errors import UserError
from frspec.text.block import Block as Block
from frspec.text.block import Cut as Cut
from frspec.text.block import Mark as Mark
from frspec.text.lines import go_to_line, line_blocks
from frspec.text.opened import Opened, opened
from frspec.text.packed import UNREADABLE, Stream
from frspec.text.parquet import row_blocks
from frspec.text.reading import Reading
from frspec.text.records import documents_of as documents_of
from frspec.text.shards import Shard, form
from frspec.text.whole import text_blocks

MAGIC = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PAR1": "Parquet",
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
UTF8_MARK = b"\xef\xbb\xbf"


def blocks(shard: Shard, reading: Reading, cut: Cut | None = None, after: Mark = Mark()) -> Iterator[Block]:  # noqa: B008
    """The records of ``shard`` that come ``after`` a mark, in order.

    With ``cut`` a text or a line of any length takes little memory: long ones are given in pieces. Otherwise each
    record is held whole.

    Raises:
        UserError: when the file as a whole, or the rest of it, cannot be read. What came before has been given.
    """
    kind = form(shard.file.name)[0]
    if kind == "rows":
        with shard.file.open() as file:
            yield from row_blocks(file, shard, reading, cut if reading.view is None else None, after)
        return
    line = after.line
    try:
        with opened(shard, reading, cut if reading.view is None else None) as reader:
            if not _begin(reader, after):
                return
            for block in line_blocks(reader, after) if kind == "lines" else text_blocks(reader, after):
                line = block.after.line
                yield block
    except UNREADABLE as error:
        behind = f" behind byte {shard.start:,}" if shard.start else ""
        place = f"{shard.file}, after line {line}{behind}" if line else shard.file.name
        raise UserError(f"{place}: cannot be read to its end: {error}; get the file again") from error


def _begin(reader: Opened, after: Mark) -> bool:
    """Go where reading begins; False if there is nothing to read, which of a large file its first shard explains."""
    stream, shard = reader.stream, reader.shard
    if after.position:
        stream.go_to(after.position)
        return True
    try:
        _check_start(stream, shard.file.name)
    except UserError:
        if shard.start:
            return False
        raise
    if shard.start:
        go_to_line(stream, shard.start)
    return True


def _check_start(stream: Stream, name: str) -> None:
    """Refuse a file that is not UTF-8 text by its first bytes; step over a byte order mark."""
    start = stream.start(4096)
    if not start:
        raise UserError(f"{name} is empty; leave it out")
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            raise UserError(f"{name} holds {kind} data, not UTF-8 text; rename or convert it")
    if b"\x00" in start[:4096]:
        raise UserError(f"{name} is a binary file, not UTF-8 text; leave it out")
    if start.startswith(UTF8_MARK):
        stream.go_to(len(UTF8_MARK))
