"""The rows of Parquet files.

Knows: how Parquet can be broken. Does not know: what the columns mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from frspec.errors import UserError
from frspec.text.bad import Bad

ROWS = 256  # read at once


def parquet_rows(raw: BinaryIO, name: str, fields: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """``(row, record)`` for each row of the file called ``name``, with those of its columns that are in ``fields``.

    Raises:
        UserError: when it is no Parquet file, a checksum does not fit, or it holds fewer rows than it says.
    """
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(raw, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            columns = [field for field in fields if field in names]
            if not columns:
                raise UserError(f"{name} has no column {fields[0]!r}; it has {', '.join(names)}; name one with --field")
            for batch in file.iter_batches(ROWS, columns=columns):
                for number, row in enumerate(_rows(batch), number + 1):  # noqa: B020
                    yield number, row
            expected = file.metadata.num_rows
    except (OSError, ValueError, OverflowError, MemoryError, pa.ArrowException) as error:
        place = f"{name}, after row {number}" if number else name
        raise UserError(f"{place}: not a readable Parquet file: {_line(error)}; get the file again") from error
    if number < expected:
        raise UserError(f"{name}, after row {number}: ends although it has {expected} rows; get the file again")
    if not number:
        raise UserError(f"{name} is empty; leave it out")


def _rows(batch: Any) -> Iterator[Any]:
    """Rows as objects; one that Python cannot hold (a text that is not UTF-8) costs no other."""
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):
        for place in range(len(batch)):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except (ValueError, OverflowError) as error:
                reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else _line(error)
                yield Bad(reason)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
