"""Documents out of files, folders and patterns, one at a time.

Knows: which files a source means, which field holds the text, how to speak of a bad record. Does not know: file
formats (``readers``), tokens.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from frspec.errors import UserError
from frspec.text.conversations import CONVERSATIONS, to_messages
from frspec.text.readers import Bad, records

DEFAULT_FIELD = "text"
LOGGED = 10  # bad records that are named; the rest are counted

log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Document:
    """One text or one conversation, and where it comes from (line or row, from 1)."""

    source: str
    line: int
    text: str | None = None
    messages: list[dict[str, Any]] | None = None

    def texts(self) -> list[str]:
        """The text, or what each message says."""
        if self.text is not None:
            return [self.text]
        return [message["content"] for message in self.messages or []]


class Documents(Iterator[Document]):
    """The documents of ``files`` in order; at any moment one batch of one file is in memory.

    ``sources`` are the files, folders and patterns that were asked for. ``skipped`` counts the bad records, and the
    files given up, so far. ``size`` is all files' bytes.

    Raises while iterating:
        UserError: at a bad record, unless ``skip_bad``; and at the end if there was no document at all.
    """

    def __init__(self, sources: Sequence[str], files: Sequence[Path], field: str, skip_bad: bool) -> None:
        self.sources = sources
        self.files = files
        self.skipped = 0
        self.size = sum(file.stat().st_size for file in files)
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
        for path in self.files:
            before = self.skipped
            try:
                yield from self._read_file(path)
            except UserError as error:
                if not self._skip_bad:
                    raise UserError(f"{error} (--skip-bad leaves unreadable parts out)") from error
                self._skip(error)
            self._file, self._done = None, self._done + path.stat().st_size
            if self.skipped > before:
                log.warning("%s: skipped %d unreadable in all", path, self.skipped - before)
        if not self._some:
            raise UserError(f"no documents in {', '.join(self.sources)}")

    def _read_file(self, path: Path) -> Iterator[Document]:
        with _opened(path) as self._file:
            for line, record in records(self._file, path, self._fields):
                try:
                    document = _document(record, path, line, self._fields)
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
    sources: str | Path | Sequence[str | Path], field: str = DEFAULT_FIELD, skip_bad: bool = False
) -> Documents:
    """The documents of ``sources``: files, folders (with all below them) and patterns such as ``data/*.jsonl.gz``.

    JSON Lines (``.jsonl``, ``.ndjson``, ``.json``; also ``.gz``, ``.xz``, ``.zst``) and Parquet give one document a
    record: its ``field``, which may be a text or a conversation; without a ``text`` a conversation under
    ``messages`` or ``conversations``. Any other file is one text. Each file is read once, folders in the order of
    names; hidden files in them are left out.

    Raises:
        UserError: when a source matches nothing.
    """
    if isinstance(sources, str | Path):
        sources = [sources]
    files = {file.resolve(): file for source in sources for file in find_files(source)}
    if not files:
        raise UserError("no sources; name files, folders or patterns")
    return Documents([str(source) for source in sources], list(files.values()), field, skip_bad)


def find_files(source: str | Path) -> list[Path]:
    """The files ``source`` means, sorted."""
    path = Path(source).expanduser()
    if path.is_file():
        return [path]
    found = [path] if path.is_dir() else [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    files = []
    for match in found:
        below = sorted(match.rglob("*")) if match.is_dir() else [match]
        files += [file for file in below if file.is_file() and not _hidden(file, match)]
    if not files:
        raise UserError(f"no files in {source}" if path.is_dir() else f"nothing is called {source}")
    return files


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}") from error


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _document(record: Any, path: Path, line: int, fields: Sequence[str]) -> Document:
    where = f"{path}, line {line}"
    try:
        if isinstance(record, Bad):
            raise ValueError(record.reason)
        value = _value(record, fields) if isinstance(record, dict) else record
        document = Document(str(path), line, **_text_or_messages(value, fields[0]))
        for text in document.texts():
            text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{where}: holds a lone surrogate (\\ud800 to \\udfff), which is not Unicode") from error
    except ValueError as error:
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
