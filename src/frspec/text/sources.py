"""Documents out of files, folders and patterns, one at a time.

Knows: which field holds the text, how to speak of a bad record. Does not know: where files lie (``places``), their
formats (``readers``), tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from frspec.errors import UserError
from frspec.text.bad import Bad
from frspec.text.conversations import CONVERSATIONS, to_messages
from frspec.text.document import Document as Document
from frspec.text.document import View
from frspec.text.places import File, find_files, suffixes
from frspec.text.readers import records
from frspec.text.remote import Unreachable

DEFAULT_FIELD = "text"
LOGGED = 10  # bad records that are named; the rest are counted

log = logging.getLogger("frspec")


class Documents(Iterator[Document]):
    """The documents of ``files`` in order; at any moment one batch of one file is in memory.

    ``sources`` are the files, folders and patterns that were asked for. ``skipped`` counts the bad records, and the
    files given up, so far. ``size`` is all files' bytes. ``view`` chooses what is meant of each document.

    Raises while iterating:
        UserError: at a bad record, unless ``skip_bad``; at a place that stops answering; and at the end if there was
            no document at all.
    """

    def __init__(
        self, sources: Sequence[str], files: Sequence[File], field: str, skip_bad: bool, view: View | None
    ) -> None:
        self.sources = sources
        self.files = files
        self.view = view
        self.skipped = 0
        self.size = sum(file.size for file in files)
        self._done = 0
        self._file: BinaryIO | None = None
        self._fields = (field, *CONVERSATIONS) if field == DEFAULT_FIELD else (field,)
        self._skip_bad = skip_bad
        self._some = False
        self._documents = self._read()

    def __next__(self) -> Document:
        return next(self._documents)

    @property
    def position(self) -> int:
        """How many of the files' bytes have been read; compressed ones count as they lie on the disk."""
        return self._done + (self._file.tell() if self._file else 0)

    def _read(self) -> Iterator[Document]:
        for file in self.files:
            before = self.skipped
            try:
                yield from self._read_file(file)
            except Unreachable:
                raise
            except UserError as error:
                if not self._skip_bad:
                    raise UserError(f"{error} (--skip-bad leaves unreadable parts out)") from error
                self._skip(error)
            self._file, self._done = None, self._done + file.size
            if self.skipped > before:
                log.warning("%s: skipped %d unreadable in all", file, self.skipped - before)
        if not self._some:
            raise UserError(f"no documents in {', '.join(self.sources)}")

    def _read_file(self, file: File) -> Iterator[Document]:
        with file.open() as self._file:
            for line, record in records(self._file, file.name, self._fields):
                try:
                    document = _document(record, file.name, line, self._fields, self.view)
                except UserError as error:
                    if not self._skip_bad:
                        raise
                    self._skip(error)
                else:
                    self._some = True
                    yield document

    def _skip(self, error: UserError) -> None:
        if self.skipped < LOGGED:
            log.warning("skipped: %s", error)
        self.skipped += 1


def read_documents(
    sources: str | Path | Sequence[str | Path],
    field: str = DEFAULT_FIELD,
    skip_bad: bool = False,
    view: View | None = None,
) -> Documents:
    """The documents of ``sources``: files, folders (with all below them) and patterns such as ``data/*.jsonl.gz``,
    on this machine or behind URLs that fsspec has a driver for.

    JSON Lines (``.jsonl``, ``.ndjson``, ``.json``; also ``.gz``, ``.xz``, ``.zst``) and Parquet give one document a
    record: its ``field``, which may be a text or a conversation; without a ``text`` a conversation under
    ``messages`` or ``conversations``. Any other file is one text. Each file is read once, folders in the order of
    names; hidden files in them are left out.

    Raises:
        UserError: when a source matches nothing or cannot be reached.
    """
    if isinstance(sources, str | Path):
        sources = [sources]
    files = {file.key: file for source in sources for file in find_files(source)}
    if not files:
        raise UserError("no sources; name files, folders or patterns")
    return Documents([str(source) for source in sources], list(files.values()), field, skip_bad, view)


def _document(record: Any, name: str, line: int, fields: Sequence[str], view: View | None) -> Document:
    where = f"{name}, {'row' if '.parquet' in suffixes(name)[-1:] else 'line'} {line}"
    try:
        if isinstance(record, Bad):
            raise ValueError(record.reason)
        value = _value(record, fields) if isinstance(record, dict) else record
        document = Document(name, line, **_text_or_messages(value, fields[0]))
        if view is not None:
            document = replace(document, view=view(document))
        for text in document.texts() if view is None else [piece.text for piece in document.pieces()]:
            text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: holds a lone surrogate (\\ud800 to \\udfff), which is not Unicode") from error
    except (ValueError, UserError) as error:
        raise UserError(f"{where}: {error}") from error
    return document


def _value(record: dict[str, Any], fields: Sequence[str]) -> Any:
    for name in fields:
        if record.get(name) is not None:
            return record[name]
    if fields[0] in record:
        raise ValueError(f"field {fields[0]!r} is null")
    raise ValueError(f"no field {fields[0]!r}; it has {', '.join(record) or 'none'}; name one with --field")


def _text_or_messages(value: Any, field: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return {"messages": to_messages(value)}
    raise ValueError(f"field {field!r} is a {type(value).__name__}, not a text or a conversation")
