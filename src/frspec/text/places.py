"""Where files lie: this machine's folders, and everything fsspec has a driver for.

Knows: what a source means, how to list and open it, how a connection breaks. Does not know: what is in the files.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from frspec import hub
from frspec.errors import UserError

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class File:
    """One file: the name to speak of it, its ``size`` in bytes (0 if its place does not tell), how to open it.

    ``key`` is the same for the same file under another name. ``stamp`` tells one content from another: size and time of
    change, or what else its place gives ("" where it gives nothing). ``seekable``: whether reading can begin anywhere.
    ``open`` raises ``UserError``; files can be pickled.
    """

    name: str
    key: str
    size: int
    open: Callable[[], BinaryIO] = field(compare=False, repr=False)
    stamp: str = ""
    seekable: bool = True

    def __str__(self) -> str:
        return self.name


def find_files(source: str | Path) -> list[File]:
    """The files ``source`` means, sorted: a file, a folder with all below it, a pattern; on this machine or a URL.

    Raises:
        UserError: when there is none, a folder cannot be listed, or a URL's driver is not installed.
    """
    if isinstance(source, str) and URL.match(source):
        from frspec.text.remote import find_remote

        return find_remote(source)
    if source == "":
        raise UserError("a source without a name (an empty shell variable?); write . for this folder")
    path = hub.local(source)
    try:
        paths = _find(path)
    except (OSError, ValueError) as error:  # unreadable folders, names no file can have
        where, why = getattr(error, "filename", None) or source, getattr(error, "strerror", None) or error
        raise UserError(f"{where}: cannot be listed: {why}") from error
    if not paths and path.exists() and not path.is_dir():
        raise UserError(f"{source} is a pipe or a device, and what is read must be there again; write it to a file")
    if not paths and source == "-":
        raise UserError("standard input is read once, and a source must be there again; write it to a file")
    if not paths:
        raise UserError(f"no files in {source}" if path.is_dir() else f"nothing is called {source}")
    return [_local(path) for path in paths]


def suffixes(name: str) -> list[str]:
    """The endings of a file's name in small letters; a URL's query is no part of it."""
    path = urlsplit(name).path if URL.match(name) else name
    return [suffix.lower() for suffix in PurePosixPath(path).suffixes]


def hidden(path: str) -> bool:
    """Whether a part of a path below a folder begins with a dot."""
    return any(part.startswith(".") for part in path.split("/"))


def _find(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [path] if path.is_dir() else [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    files = []
    for match in found:
        files += _below(match) if match.is_dir() else [match] if _is_file(match) else []
    return files


def _below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise error

    found = [Path(top, name) for top, _, names in os.walk(folder, onerror=refuse) for name in names]
    return sorted(file for file in found if not hidden(file.relative_to(folder).as_posix()) and _is_file(file))


def _is_file(path: Path) -> bool:
    """A link to nothing counts as one: it fails when it is opened, instead of being left out silently."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _local(path: Path) -> File:
    if not path.exists():
        return File(str(path), str(path.resolve()), 0, partial(_open, str(path)))
    about = path.stat()
    stamp = f"{about.st_size}-{about.st_mtime_ns}"
    return File(str(path), str(path.resolve()), about.st_size, partial(_open, str(path)), stamp)


def _open(path: str) -> BinaryIO:  # no Path, which takes as much memory as all the rest of a file
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be opened: {error.strerror}") from error
