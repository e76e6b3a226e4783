"""Files behind URLs, by fsspec's drivers.

Knows: which package drives which protocol, and that a driver may fail in any way at any time. Does not know: what is
in the files.
"""

from __future__ import annotations

import io
import logging
import re
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from frspec.errors import UserError
from frspec.text.places import File, hidden

DRIVERS = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "http": "aiohttp",
    "https": "aiohttp",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
WEB = ("http", "https")
STAMPS = (
    *("ETag", "etag", "blob_id", "md5Hash", "Content-MD5", "Digest", "checksum"),
    *("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created"),
)
"""What places call that which changes when a file does, the surest first."""


class Unreachable(UserError):  # noqa: N818 - what it says of a place
    """A place that does not answer or stops answering: its files are not bad, so none is left out for it."""


def find_remote(source: str) -> list[File]:
    """The files a URL means, sorted. On the web a URL is one file; elsewhere also a folder or a pattern.

    Raises:
        UserError: when there is none, access is refused, or the driver is not installed.
    """
    try:
        protocol, password = urlsplit(source).scheme.lower(), urlsplit(source).password
    except ValueError as error:
        raise UserError(f"{source}: no URL: {error}") from error
    if password:
        raise UserError(f"a {protocol} source holds a password, which the ranking would keep; give it to the driver")
    try:
        system, path = _system(source, protocol)
        found = _list(system, path, protocol)
    except (UserError, KeyboardInterrupt):
        raise
    except Exception as error:  # of whichever library the driver is built on
        raise Unreachable(f"{source}: {_why(error)}") from error
    if not found:
        raise UserError(f"nothing is called {source}")
    return [_file(system, path, info, source if protocol in WEB else "") for path, info in sorted(found.items())]


def _system(source: str, protocol: str) -> tuple[Any, str]:
    import fsspec
    from fsspec.registry import get_filesystem_class

    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        package = DRIVERS.get(protocol)
        what = f"pip install {package}" if package else str(error)
        raise UserError(f"{source}: the driver for {protocol}:// is not installed; {what}") from error
    except ValueError as error:
        raise UserError(f"{source}: nothing drives {protocol}://; copy the files here") from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries, where one line says what came of them
    system, path = fsspec.core.url_to_fs(source)
    return system, path


def _list(system: Any, path: str, protocol: str) -> dict[str, dict[str, Any]]:
    """Paths and what the place says of them."""
    try:
        info = system.info(path)
    except FileNotFoundError as error:
        if protocol in WEB:
            cause = error.__cause__  # fsspec says so of every refusal and of hosts that do not answer
            if cause is not None and getattr(cause, "status", None) != 404:
                raise cause from error
            return {}
    else:
        return {path: info} if info["type"] == "file" else _below(system, path)
    found = dict[str, dict[str, Any]]()
    root = path[: re.search(r"[*?[]|$", path).start()].rpartition("/")[0]  # type: ignore[union-attr] # $ is somewhere
    for match, info in system.glob(path, detail=True).items():
        if "/." in path or not hidden(match[len(root) :]):  # as on this machine: * stands for no leading dot
            found.update({match: info} if info["type"] == "file" else _below(system, match))
    return found


def _below(system: Any, folder: str) -> dict[str, dict[str, Any]]:
    found = system.find(folder, detail=True)
    root = PurePosixPath(folder)
    return {
        path: info
        for path, info in found.items()
        if info["type"] == "file" and not hidden(str(PurePosixPath(path).relative_to(root)))
    }


def _file(system: Any, path: str, info: dict[str, Any], name: str) -> File:
    size = info.get("size") or 0
    seekable = bool(size) and (bool(info.get("partial")) if name else True)
    name = name or str(system.unstrip_protocol(path))
    told = next((str(info[key]) for key in STAMPS if info.get(key)), "")
    stamp = f"{size}-{told}" if size or told else ""
    return File(name, name, size, Opener(name, size, (system, path)), stamp, seekable)


class Opener:
    """Opens the file called ``name``. Sent to another process it looks for its driver once more: the one here would
    take along all that it has listed."""

    def __init__(self, name: str, size: int, found: tuple[Any, str] | None = None) -> None:
        self._name, self._size, self._found = name, size, found

    def __reduce__(self) -> tuple[type[Opener], tuple[str, int]]:
        return Opener, (self._name, self._size)

    def __call__(self) -> BinaryIO:
        try:
            self._found = self._found or _system(self._name, urlsplit(self._name).scheme.lower())
            system, path = self._found
            file = system.open(path, "rb")
        except UserError:
            raise
        except Exception as error:
            raise Unreachable(f"{self._name}: cannot be opened: {_why(error)}") from error
        return cast(BinaryIO, io.BufferedReader(Watched(file, self._name, self._size), 1 << 16))


class Watched(io.RawIOBase):
    """A driver's file whose failures are ``Unreachable`` with the byte they came at; an end too early is one."""

    def __init__(self, file: Any, name: str, size: int) -> None:
        self._file, self._name, self._size = file, name, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            self._at = self._file.seek(offset, whence)
        except Exception as error:
            raise Unreachable(f"{self._name}, byte {self._at:,}: cannot go to another place: {_why(error)}") from error
        return self._at

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._file.read(len(buffer))
        except Exception as error:
            raise Unreachable(f"{self._name}: broke off at byte {self._at:,}: {_why(error)}") from error
        if not content and self._at < self._size:
            raise Unreachable(f"{self._name}: ended at byte {self._at:,} of {self._size:,}; try again")
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _why(error: Exception) -> str:
    """The first line of what a driver says."""
    if isinstance(error, PermissionError):
        return f"access refused ({error})".splitlines()[0]
    if isinstance(error, FileNotFoundError):
        return f"no such file ({error})".splitlines()[0]
    return (str(error) or type(error).__name__).splitlines()[0]
