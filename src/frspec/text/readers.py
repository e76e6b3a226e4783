"""The records of one file, whatever its format.

Knows: JSON Lines (plain or compressed), Parquet, plain text, and how each can be broken. Does not know: which
record is a document, what happens to a bad one.
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from frspec.errors import UserError

JSON_LINES = {".jsonl", ".ndjson", ".json"}
PACKED = {".gz", ".xz", ".zst"}
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


@dataclass(frozen=True)
class Bad:
    """A record that cannot be read, and why."""

    reason: str


def records(file: BinaryIO, path: Path, fields: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """``(line, record)`` for each record of ``file``, which is ``path`` opened.

    A record is an object with the fields of a line or row, a whole text, or a ``Bad``. Lines and rows count from 1;
    blank lines are no records. Of a Parquet file only the columns in ``fields`` are read.

    Raises:
        UserError: when the file as a whole, or the rest of it, cannot be read.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes.pop() if suffixes and suffixes[-1] in PACKED else ""
    kind = suffixes[-1] if suffixes else ""
    if kind == ".parquet":
        yield from _parquet(file, path, fields)
        return
    try:
        stream = _decompressed(file, packed)
        _check_start(stream, path)
        yield from _json_lines(stream) if kind in JSON_LINES else _text(stream, path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UserError(f"{path}: cannot be read to its end: {error}; get the file again") from error


def _decompressed(file: BinaryIO, suffix: str) -> io.BufferedReader:
    if suffix == ".gz":
        return cast(io.BufferedReader, gzip.open(file))
    if suffix == ".xz":
        return cast(io.BufferedReader, lzma.open(file))
    if suffix == ".zst":
        import pyarrow as pa

        # Unlike zstandard's own reader, this one notices a truncated file.
        return io.BufferedReader(cast(Any, pa.CompressedInputStream(file, "zstd")))
    return cast(io.BufferedReader, file)


def _check_start(stream: io.BufferedReader, path: Path) -> None:
    """Refuse a file that is not UTF-8 text by its first bytes; step over a byte order mark."""
    start = stream.peek(4096)[:4096]
    if not start:
        raise UserError(f"{path} is empty; leave it out")
    for magic, name in MAGIC.items():
        if start.startswith(magic):
            raise UserError(f"{path} holds {name} data, not UTF-8 text; rename or convert it")
    if b"\x00" in start:
        raise UserError(f"{path} is a binary file, not UTF-8 text; leave it out")
    if start.startswith(UTF8_MARK):
        stream.read(len(UTF8_MARK))


def _json_lines(stream: BinaryIO) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(stream, 1):
        if line.isspace():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            yield number, Bad(f"not UTF-8 (byte {error.start + 1} of the line)")
        except (ValueError, RecursionError) as error:
            yield number, Bad(f"not JSON: {error}")
        else:
            fits = isinstance(record, dict)
            yield number, record if fits else Bad("not a JSON object; JSON Lines has one object on each line")


def _text(stream: BinaryIO, path: Path) -> Iterator[tuple[int, Any]]:
    content = stream.read()
    if content.startswith(b"{") and _is_object(content.partition(b"\n")[0]):
        raise UserError(f"{path} holds JSON Lines; rename it to end in .jsonl")
    try:
        yield 1, content.decode("utf-8")
    except UnicodeDecodeError as error:
        yield content.count(b"\n", 0, error.start) + 1, Bad("not UTF-8; convert the file")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _parquet(raw: BinaryIO, path: Path, fields: Sequence[str]) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(raw) as file:
            names = file.schema_arrow.names
            columns = [name for name in fields if name in names]
            if not columns:
                raise UserError(f"{path} has no column {fields[0]!r}; it has {', '.join(names)}; name one with --field")
            rows = (row for batch in file.iter_batches(256, columns=columns) for row in batch.to_pylist())
            empty = True
            for number, row in enumerate(rows, 1):
                empty = False
                yield number, row
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a readable Parquet file: {error}; get the file again") from error
    if empty:
        raise UserError(f"{path} is empty; leave it out")
