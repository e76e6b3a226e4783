"""Documents out of files, folders and patterns, one at a time.

Knows: what happens to bad records. Does not know: where files lie (``places``), their formats (``blocks``), tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from frspec.errors import UserError
from frspec.text.bad import HINT, Bad
from frspec.text.blocks import blocks
from frspec.text.document import Document as Document
from frspec.text.document import View
from frspec.text.places import File, find_files
from frspec.text.reading import DEFAULT_FIELD, Reading
from frspec.text.records import documents_of
from frspec.text.remote import Unreachable
from frspec.text.shards import Shard

LOGGED = 10  # bad records that are named; the rest are counted

log = logging.getLogger("frspec")


class Documents(Iterator[Document]):
    """The documents of ``files`` in order; at any moment one block of one file is in memory.

    ``sources`` are the files, folders and patterns that were asked for. ``skipped`` counts the bad records, and the
    files given up, so far. ``size`` is all files' bytes. ``view`` chooses what is meant of each document.
    ``position``: how many of the files' bytes have been read; compressed ones count as they lie on the disk.

    Raises while iterating:
        UserError: at a bad record, unless ``skip_bad``; at a place that stops answering; and at the end if there was
            no document at all.
    """

    def __init__(self, sources: Sequence[str], files: Sequence[File], reading: Reading) -> None:
        self.sources = sources
        self.files = files
        self.view = reading.view
        self.skipped = 0
        self.size = sum(file.size for file in files)
        self.position = 0
        self._reading = reading
        self._documents = self._read()

    def __next__(self) -> Document:
        return next(self._documents)

    def _read(self) -> Iterator[Document]:
        done, some = 0, False
        for file in self.files:
            before = self.skipped
            for found in self._read_file(file, done):
                if isinstance(found, Bad):
                    self._skip(found.reason)
                else:
                    some = True
                    yield found
            self.position = done = done + file.size
            if self.skipped > before:
                log.warning("%s: skipped %d unreadable in all", file, self.skipped - before)
        if not some:
            raise UserError(f"no documents in {', '.join(self.sources)}")

    def _read_file(self, file: File, done: int) -> Iterator[Document | Bad]:
        try:
            for block in blocks(Shard("", file, size=file.size), self._reading):
                self.position = done + block.raw
                yield from documents_of(block, self._reading)
        except Unreachable:
            raise
        except UserError as error:
            yield Bad(str(error))

    def _skip(self, reason: str) -> None:
        if not self._reading.skip_bad:
            raise UserError(f"{reason} {HINT}")
        if self.skipped < LOGGED:
            log.warning("skipped: %s", reason)
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
    reading = Reading(field, skip_bad=skip_bad, view=view)
    return Documents([str(source) for source in sources], list(files.values()), reading)
