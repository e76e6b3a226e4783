"""Blocks of Parquet files, and the rows in them.

Knows: how Parquet can be broken, how to keep little of it in memory. Does not know: what the columns mean.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

from frspec.errors import UserError
from frspec.text.bad import Bad, TooLong
from frspec.text.block import BLOCK, LONG, Block, Cut, Mark
from frspec.text.long import cut_pieces
from frspec.text.packed import CHUNK
from frspec.text.places import File
from frspec.text.reading import Reading
from frspec.text.remote import Unreachable
from frspec.text.shards import Shard

ROWS = 64  # read at once, at most


def row_blocks(raw: BinaryIO, shard: Shard, reading: Reading, cut: Cut | None, after: Mark) -> Iterator[Block]:
    """The shard's rows that come ``after`` a row of the file; with ``cut`` long texts in pieces.

    Raises:
        UserError: when it is no Parquet file, a checksum does not fit, or it holds fewer rows than it says.
    """
    name, number = shard.file.name, after.position
    try:
        with _opened(raw) as file:
            about = file.metadata
            columns = _columns(name, file.schema_arrow.names, reading)
            groups = range(about.num_row_groups)[shard.start : shard.end]
            start = sum(about.row_group(group).num_rows for group in range(shard.start))
            rows = sum(about.row_group(group).num_rows for group in groups)
            end = start + rows if shard.end is not None else about.num_rows
            for some in _rows(file, groups, columns, start, number):
                first, number = max(start, number), max(start, number) + sum(map(len, some))
                read = shard.size * (number - start) // (rows or 1)
                text = None if cut is None else _long_text(some, reading)
                if cut is None or text is None:
                    yield Block(shard.file, shard.part, "rows", first + 1, _packed(some), Mark(number, number), read)
                    continue
                given = after.characters if first == after.position else 0
                for content, before, behind in cut_pieces(text, cut, given):
                    mark = Mark(number, number) if behind is None else Mark(first, first, behind)
                    yield Block(shard.file, shard.part, "text", number, content, mark, read, not before)
    except TooLong as error:
        raise TooLong(f"{name}, row {number}: {error}") from error
    except _broken() as error:
        place = f"{name}, after row {number}" if number else name
        raise UserError(f"{place}: not a readable Parquet file: {_line(error)}; get the file again") from error
    if not about.num_rows:
        raise UserError(f"{name} is empty; leave it out")
    if max(start, number) < end:
        raise UserError(f"{name}, after row {number}: ends although it has {end} rows; get the file again")


def rows_of(content: bytes) -> Iterator[Any]:
    """The rows of a block as objects; one that Python cannot hold (a text that is not UTF-8) costs no other."""
    import pyarrow as pa

    for batch in pa.ipc.open_stream(content):
        try:
            yield from batch.to_pylist()
        except (ValueError, OverflowError):
            yield from (_row(batch, place) for place in range(len(batch)))


def row_group_sizes(file: File) -> list[int]:
    """Bytes of each row group as they lie there; none where the file is no readable Parquet file."""
    unreadable: tuple[type[Exception], ...] = (UserError, *_broken())
    try:
        with file.open() as raw:
            about = _opened(raw).metadata
            groups = [about.row_group(number) for number in range(about.num_row_groups)]
            return [sum(group.column(c).total_compressed_size for c in range(group.num_columns)) for group in groups]
    except Unreachable:
        raise
    except unreadable:  # reading it will say why
        return []


def _rows(file: Any, groups: range, columns: list[str], start: int, row: int) -> Iterator[list[Any]]:
    """The rows behind ``row``, about 1 MiB at a time, long ones alone; ``start`` come before the first group."""
    about, left = file.metadata, [*groups]
    while left and start + about.row_group(left[0]).num_rows <= row:
        start += about.row_group(left.pop(0)).num_rows
    ready, size = list[Any](), 0
    try:
        for batch in _batches(file, left, columns):
            wanted, start = batch.slice(max(0, row - start)), start + len(batch)
            for rows in _sliced(wanted):
                if ready and rows.nbytes > LONG:
                    yield ready
                    ready, size = [], 0
                ready.append(rows)
                size += rows.nbytes
                if size >= BLOCK:
                    yield ready
                    ready, size = [], 0
    except _broken():
        if ready:
            yield ready
        raise
    if ready:
        yield ready


def _batches(file: Any, groups: list[int], columns: list[str]) -> Iterator[Any]:
    """The rows of the groups, up to one that holds fewer than it says. No batch holds rows of two groups: what a broken
    page takes along is to be the same wherever reading begins."""
    for group in groups:
        about = file.metadata.row_group(group)
        left = about.num_rows
        for batch in file.iter_batches(_batch_size(about, columns), [group], columns, False):
            left -= len(batch)
            yield batch
        if left:
            return


def _long_text(some: list[Any], reading: Reading) -> Iterator[str] | None:
    """The text of a row alone that is long and surely good, in pieces; None of all others."""
    import pyarrow as pa

    rows, names = some[0], some[0].schema.names
    if len(some) > 1 or len(rows) > 1 or rows.nbytes <= LONG or reading.by is not None or len({*names}) < len(names):
        return None
    values = (rows.column(name)[0] for name in reading.fields if name in names)
    value = next((value for value in values if value.is_valid), None)
    if not isinstance(value, pa.StringScalar | pa.LargeStringScalar):
        return None
    try:
        rows.validate(full=True)  # UTF-8 too
    except pa.ArrowInvalid:
        return None
    held = memoryview(value.as_buffer())
    return codecs.iterdecode((bytes(held[at : at + CHUNK]) for at in range(0, len(held), CHUNK)), "utf-8")


def _sliced(batch: Any) -> Iterator[Any]:
    """The rows, about 1 MiB at a time: a dictionary makes a file look as if they were smaller."""
    step = max(1, len(batch) * BLOCK // max(1, batch.nbytes)) if batch.nbytes <= LONG else 1
    return (batch.slice(place, step) for place in range(0, len(batch), step))


def _packed(batches: list[Any]) -> bytes:
    import pyarrow as pa

    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batches[0].schema) as stream:
        for batch in batches:
            stream.write_batch(batch)
    return bytes(out.getvalue().to_pybytes())


def _batch_size(group: Any, columns: list[str]) -> int:
    """Rows that are about 1 MiB, by what the file says of the group."""
    chunks = [group.column(number) for number in range(group.num_columns)]
    size = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.partition(".")[0] in columns)
    most: int = max(1, size // max(1, group.num_rows))
    return max(1, min(ROWS, BLOCK // most))


def _columns(name: str, names: list[str], reading: Reading) -> list[str]:
    columns = [field for field in reading.fields if field in names]
    if not columns:
        raise UserError(f"{name} has no column {reading.field!r}; it has {', '.join(names)}; name one with --field")
    if reading.by is not None and reading.by not in names:
        raise UserError(f"{name} has no column {reading.by!r} for --by; it has {', '.join(names)}")
    return columns if reading.by is None or reading.by in columns else [*columns, reading.by]


def _opened(raw: BinaryIO) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(raw, buffer_size=BLOCK, pre_buffer=False, page_checksum_verification=True)


def _row(batch: Any, place: int) -> Any:
    try:
        return batch.slice(place, 1).to_pylist()[0]
    except (ValueError, OverflowError) as error:
        return Bad("not UTF-8" if isinstance(error, UnicodeDecodeError) else _line(error))


def _broken() -> tuple[type[Exception], ...]:
    """What reading damaged Parquet raises."""
    import pyarrow as pa

    return OSError, ValueError, OverflowError, MemoryError, pa.ArrowException


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
