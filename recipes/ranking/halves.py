"""Documents for rankings and documents to try them on, none of which is both.

Knows: which files both sides name, how to halve them. Does not know: tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zlib import crc32

from frspec.text.sources import Document, read_documents

Named = Mapping[str, Sequence[str]]
"""Sources by the name of what they hold together."""


def shared_files(rankings: Named, texts: Named) -> set[str]:
    """The names of the files that both sides use."""
    one, other = (
        {file.name for sources in side.values() for file in read_documents(sources).files} for side in (rankings, texts)
    )
    return one & other


def write_side(named: Named, shared: set[str], half: int, together: str | None, folder: Path) -> dict[str, Path]:
    """JSON Lines by name, with ``half`` (0 or 1) of the documents of shared files and all of the others.

    Every other document is in a half. ``together``: a field; documents whose value ends alike, behind the last slash,
    stay in one half, such as one task in several programming languages.
    """
    files = {name: folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}.jsonl" for name in named}
    for name, sources in named.items():
        with files[name].open("w") as lines:
            for document, number in _numbered(sources, together):
                if document.source not in shared or number % 2 == half:
                    lines.writelines(json.dumps({"text": text}) + "\n" for text in document.texts())
    return files


def _numbered(sources: Sequence[str], together: str | None) -> Iterator[tuple[Document, int]]:
    if together is None:
        return ((document, document.line) for document in read_documents(sources))
    values = (document.text or "" for document in read_documents(sources, together))
    ends = (crc32(value.rpartition("/")[2].encode()) for value in values)
    return zip(read_documents(sources), ends, strict=True)
