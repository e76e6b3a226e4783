"""From blocks to records and documents: the part of reading that processes share.

Knows: how records can be broken, which field holds the text, how to speak of a bad record. Does not know: files'
formats, tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from frspec.errors import UserError
from frspec.text.bad import Bad, Flaw
from frspec.text.block import Block
from frspec.text.conversations import to_messages
from frspec.text.document import Document, Piece
from frspec.text.packed import CHUNK
from frspec.text.parquet import rows_of
from frspec.text.places import File
from frspec.text.reading import Reading
from frspec.text.whole import decoded

NO_OBJECT = "not a JSON object; JSON Lines has one object on each line (jq -c '.[]' makes them of an array)"
NAME = 100  # characters of a part's name
LONE = "holds a lone surrogate (\\ud800 to \\udfff), which is not Unicode"


def records_of(block: Block) -> Iterator[tuple[int, Any]]:
    """``(line, record)`` for each record: an object with the fields of a line or row, a whole text, or a ``Bad``.

    Lines and rows count from 1 (lines from the shard's start); blank lines are no records.
    """
    content = block.content
    if isinstance(content, list):
        yield block.first, Bad(content[0]) if block.kind == "bad" else tuple(content)
    elif block.kind == "rows":
        yield from enumerate(rows_of(content), block.first)
    elif block.kind == "text":
        yield _text(content)
    else:
        for number, line in enumerate(content.split(b"\n"), block.first):
            if line and not line.isspace():
                yield number, _object(line)


def documents_of(block: Block, reading: Reading) -> Iterator[Document | Bad]:
    """The documents of ``block``; for each bad record a ``Bad`` that says where it stands and why it is one."""
    for number, record in records_of(block):
        try:
            yield _document(record, block, number, reading)
        except UnicodeEncodeError:
            yield _bad(block, number, LONE)
        except (ValueError, UserError) as error:
            yield _bad(block, number, str(error))


def _object(line: bytes) -> Any:
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Bad(f"not UTF-8 (byte {error.start + 1} of the line)")
    except (ValueError, RecursionError) as error:
        spread = line.lstrip()[:1] == b"[" or line.strip() == b"{"  # over many lines
        return Bad(NO_OBJECT if spread else f"not JSON: {error}")
    return record if isinstance(record, dict) else Bad(NO_OBJECT)


def _text(content: bytes) -> tuple[int, Any]:
    try:
        return 1, "".join(decoded([content]))
    except Flaw as flaw:
        return 1 + flaw.line, Bad(str(flaw))


def _document(record: Any, block: Block, number: int, reading: Reading) -> Document:
    """Raises ``ValueError`` or ``UserError`` with the reason why there is none."""
    if isinstance(record, Bad):
        raise ValueError(record.reason)
    if isinstance(record, tuple):  # pieces, which have been checked
        pieces = tuple(map(Piece, record))
        return Document(block.name, number, view=pieces, part=block.part, begins=block.begins)
    value = value_of(record, reading.fields) if isinstance(record, dict) else record
    part = block.part if reading.by is None else part_of(record, reading.by)
    document = Document(block.name, number, **text_or_messages(value, reading.field), part=part)
    if reading.view is not None:
        document = replace(document, view=reading.view(document))
    for text in document.texts() if document.view is None else [piece.text for piece in document.view]:
        text.isascii() or text.encode()
    return document


def value_of(record: dict[str, Any], fields: tuple[str, ...]) -> Any:
    """The first of the fields that is there; raises ``ValueError`` where none is."""
    for name in fields:
        if record.get(name) is not None:
            return record[name]
    if fields[0] in record:
        raise ValueError(f"field {fields[0]!r} is null")
    raise ValueError(f"no field {fields[0]!r}; it has {', '.join(record) or 'none'}; name one with --field")


def part_of(record: Any, by: str) -> str:
    """The part that the record counts for by its field ``by``; raises ``ValueError`` where that names none."""
    if not isinstance(record, dict):
        raise ValueError(f"is a text, which has no field {by!r} for --by")
    if by not in record:
        raise ValueError(f"no field {by!r} for --by; it has {', '.join(record)}")
    value = record[by]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"field {by!r} is a {type(value).__name__}, not a text or a number that names a part")
    name = str(value)
    name.encode()
    if not name.strip() or len(name) > NAME or not name.isprintable():
        raise ValueError(f"field {by!r} names no part: that takes 1 to {NAME} printable characters")
    return name


def text_or_messages(value: Any, field: str) -> dict[str, Any]:
    """A field's value as what a ``Document`` holds; raises ``ValueError`` where it is neither."""
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return {"messages": to_messages(value)}
    raise ValueError(f"field {field!r} is a {type(value).__name__}, not a text or a conversation")


def place_in(block: Block, number: int) -> str:
    """How to speak of the line or row of ``block`` that has this number there: by its number in the file."""
    if block.since:
        try:
            return f"line {number + _lines_before(block.file, block.since)}"
        except (UserError, OSError):
            return f"line {number} behind byte {block.since:,}"
    return f"{'row' if block.kind == 'rows' else 'line'} {number}"


def _bad(block: Block, number: int, reason: str) -> Bad:
    return Bad(f"{block.name}, {place_in(block, number)}: {reason}")


@lru_cache(64)
def _lines_before(file: File, end: int) -> int:
    """Lines that begin before the byte ``end``: counted only when a bad one behind it is told of."""
    lines, left, chunk = 0, end, b""
    with file.open() as stream:
        while left and (chunk := stream.read(min(CHUNK, left))):
            lines, left = lines + chunk.count(b"\n"), left - len(chunk)
    return lines + (not chunk.endswith(b"\n"))  # the line that holds that byte belongs to the shard before
