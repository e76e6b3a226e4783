"""What is to be read, and how records become documents.

Knows: sources with names (``de=law.jsonl``), which fields count. Does not know: formats, tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frspec import hub
from frspec.errors import UserError
from frspec.text.conversations import CONVERSATIONS
from frspec.text.document import View
from frspec.text.places import File, find_files

DEFAULT_FIELD = "text"
NAMED = re.compile(r"([A-Za-z][\w.-]*)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Reading:
    """How records become documents.

    ``field`` holds the text or the conversation. ``by`` names the field whose value is the part a record counts for.
    With ``skip_bad`` bad records are left out. ``view`` chooses what is meant of each document.
    """

    field: str = DEFAULT_FIELD
    by: str | None = None
    skip_bad: bool = False
    view: View | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Where the text or conversation may be, the first one that is there."""
        return (self.field, *CONVERSATIONS) if self.field == DEFAULT_FIELD else (self.field,)


@dataclass(frozen=True)
class Sources:
    """What was ``asked`` for, and the files that it means, by the name of the part they count for ("" without names).

    A file counts once in a part, however often it is named.
    """

    asked: tuple[str, ...]
    groups: tuple[tuple[str, tuple[File, ...]], ...]
    reading: Reading

    @property
    def files(self) -> tuple[File, ...]:
        """All of them, part by part."""
        return tuple(file for _, files in self.groups for file in files)

    def without(self, *paths: Path) -> Sources:
        """The same but for these files: what is written into a folder is not read from it."""
        keys = {str(path.resolve()) for path in paths}
        groups = tuple((name, tuple(file for file in files if file.key not in keys)) for name, files in self.groups)
        return replace(self, groups=groups)

    def seen_by(self, view: View | None) -> Sources:
        """The same, of which ``view`` chooses what is meant."""
        return replace(self, reading=replace(self.reading, view=view))


def find_sources(asked: Sequence[str | Path], reading: Reading = Reading()) -> Sources:
    """The files of ``asked``: files, folders, patterns and URLs as ``find_files`` takes them, or NAME=SOURCE.

    A NAME begins with a letter; letters, digits, ``_``, ``.`` and ``-`` follow. Several sources may share one. What
    lies here under a name with ``=`` in it as a whole is that file.

    Raises:
        UserError: when a source matches nothing or cannot be reached, some have names and some have none, or they have
            names although ``reading.by`` tells the parts.
    """
    groups = dict[str, dict[str, File]]()
    for source in asked:
        name, place = _named(source)
        groups.setdefault(name, {}).update({file.key: file for file in find_files(place)})
    if not groups:
        raise UserError("no sources; name files, folders or patterns")
    if "" in groups and len(groups) > 1:
        bare = next(str(source) for source in asked if not _named(source)[0])
        raise UserError(f"some sources have a name and {bare} has none; give all of them one (NAME=SOURCE), or none")
    if reading.by is not None and "" not in groups:
        raise UserError(
            f"the field {reading.by!r} tells which part a record counts for; give sources no names, or no --by"
        )
    found = tuple((name, tuple(files.values())) for name, files in groups.items())
    return Sources(tuple(map(str, asked)), found, reading)


def _named(source: str | Path) -> tuple[str, str | Path]:
    """The name before a source, or "", and the source without it."""
    match = NAMED.fullmatch(source) if isinstance(source, str) else None
    if match is None or hub.local(match[0]).exists():
        if isinstance(source, str) and _misnamed(source):
            raise UserError(f"{source}: a NAME begins with a letter from A to Z; letters, digits, _, . and - follow")
        return "", source
    if not match[2]:
        raise UserError(f"{source} names no source; write NAME=SOURCE")
    return match[1], match[2]


def _misnamed(source: str) -> bool:
    """Whether what stands behind a ``=`` is there, and the whole is not."""
    name, mark, place = source.partition("=")
    return bool(mark and name and place) and Path(place).exists() and not Path(source).exists()
