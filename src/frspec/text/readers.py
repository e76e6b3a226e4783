"""The records of one file, whatever its format.

Knows: JSON Lines and plain text, and how each can be broken. Does not know: which record is a document, what happens
to a bad one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from frspec.errors import UserError
from frspec.text.bad import Bad as Bad
from frspec.text.packed import PACKED, UNREADABLE, decompressed
from frspec.text.parquet import parquet_rows
from frspec.text.places import suffixes

JSON_LINES = {".jsonl", ".ndjson", ".json"}
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


def records(file: BinaryIO, name: str | Path, fields: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """``(line, record)`` for each record of ``file``, which is called ``name``.

    A record is an object with the fields of a line or row, a whole text, or a ``Bad``. Lines and rows count from 1;
    blank lines are no records. Of a Parquet file only the columns in ``fields`` are read.

    Raises:
        UserError: when the file as a whole, or the rest of it, cannot be read.
    """
    name = str(name)
    endings = suffixes(name)
    packed = endings.pop() if endings and endings[-1] in PACKED else ""
    kind = endings[-1] if endings else ""
    if kind == ".parquet" and not packed:
        yield from parquet_rows(file, name, fields)
        return
    line = 0
    try:
        stream = decompressed(file, packed)
        _check_start(stream, name)
        for line, record in _json_lines(stream) if kind in JSON_LINES else _text(stream, name):
            yield line, record
    except UNREADABLE as error:
        place = f"{name}, after line {line}" if line else name
        raise UserError(f"{place}: cannot be read to its end: {error}; get the file again") from error


def _check_start(stream: io.BufferedReader, name: str) -> None:
    """Refuse a file that is not UTF-8 text by its first bytes; step over a byte order mark."""
    start = stream.peek(4096)[:4096]
    if not start:
        raise UserError(f"{name} is empty; leave it out")
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            raise UserError(f"{name} holds {kind} data, not UTF-8 text; rename or convert it")
    if b"\x00" in start:
        raise UserError(f"{name} is a binary file, not UTF-8 text; leave it out")
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


def _text(stream: BinaryIO, name: str) -> Iterator[tuple[int, Any]]:
    content = stream.read()
    if content.startswith(b"{") and _is_object(content.partition(b"\n")[0]):
        raise UserError(f"{name} holds JSON Lines; rename it to end in .jsonl")
    if b"\x00" in content:  # what a download leaves that reserved its place and broke off
        yield content.count(b"\n", 0, content.index(b"\x00")) + 1, Bad(f"a zero byte (byte {content.index(0) + 1})")
        return
    try:
        yield 1, content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        yield line, Bad(f"not UTF-8 (byte {error.start + 1} of the file); convert it")


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
