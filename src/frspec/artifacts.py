"""How every file the project makes is written, and what it says about its own origin.

Knows: atomic replacement, one writer at a time, provenance. Does not know: what is inside the files.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from glob import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

from frspec.errors import UserError


def provenance(**facts: Any) -> dict[str, Any]:
    """Where an artifact comes from: program version, UTC date, command line, and ``facts``."""
    return {
        "program": f"frspec {version('frspec')}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["frspec", *sys.argv[1:]]) if sys.argv[0].endswith("frspec") else None,
        **facts,
    }


@contextlib.contextmanager
def atomic_path(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` that becomes ``path`` only if the block succeeds.

    With ``folder`` the neighbour is an empty directory, and an existing ``path`` is replaced whole.

    Raises:
        UserError: when the place cannot be written (permissions, full disk); what was there stays as it was.
    """
    path = Path(path)
    temporary = _neighbour(path, folder)
    inner, old = temporary / path.name, temporary / f"{path.name}.replaced"
    try:
        if folder:
            inner.mkdir()
        yield inner
        _replace(path, inner, old if folder else None)
    except OSError as error:
        why = error.strerror or f"the disk may be full ({error})"  # other writers than Python's own do not say
        raise UserError(f"cannot write {path}: {why}; nothing under that name has changed") from error
    finally:
        if path.exists() or not old.exists():
            shutil.rmtree(temporary, ignore_errors=True)


def check_place(path: Path, *, folder: bool = False) -> None:
    """Find out before long work whether ``atomic_path`` could begin.

    Raises:
        UserError: when it could not.
    """
    shutil.rmtree(_neighbour(Path(path), folder), ignore_errors=True)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold ``path``, which is to be written, against other processes that ask for the same.

    What is held is the empty hidden file ``.NAME.lock`` beside it, which goes away at the end. A process that was
    killed holds nothing, and nobody does where a file system or a platform knows no locks. What one that was killed
    had begun to write of this file is removed.

    Raises:
        UserError: when another process holds it, or the place cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        file = _hold(lock)
    except BlockingIOError as error:
        raise UserError(f"another process is writing {path}; wait for its end, or choose another name") from error
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another place") from error
    try:
        _remove_begun(path)
        yield
    finally:
        lock.unlink(missing_ok=True)
        file.close()


def _hold(lock: Path) -> BinaryIO:
    """The file, locked; raises ``BlockingIOError`` when another process has it."""
    while True:
        file = lock.open("ab")
        try:
            import fcntl  # not on Windows

            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # forked processes, which may live longer, do not hold it
        except ImportError:
            return file
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):  # a file system without locks
                return file
            file.close()
            raise BlockingIOError from error
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                return file
        file.close()  # whoever held it has just taken it away


def _remove_begun(path: Path) -> None:
    """Take away ``atomic_path``'s neighbours of the file ``path``, of which it was the only writer."""
    for neighbour in path.parent.glob(f".{escape(path.name)}.????????"):
        with contextlib.suppress(OSError):  # it holds something else
            (neighbour / path.name).unlink(missing_ok=True)
            neighbour.rmdir()


def _neighbour(path: Path, folder: bool) -> Path:
    try:
        with contextlib.suppress(FileExistsError):  # of a file, which is said more clearly by whoever needs a folder
            path.parent.mkdir(parents=True, exist_ok=True)
        if path == Path("-"):
            raise OSError("what is written is a file, not a stream")
        if path.exists() and (there := _irreplaceable(path, folder)):
            raise OSError(f"there is a {there} of that name")
        return Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; choose another place") from error


def _irreplaceable(path: Path, folder: bool) -> str | None:
    """What is at ``path``, unless it may be replaced. A rename goes over devices too: root would lose ``/dev/null``."""
    if path.is_dir():
        return None if folder else "folder"
    stream = path.is_symlink() and path.readlink().is_relative_to("/proc")  # /dev/stdout, wherever it leads just now
    if stream or not path.is_file():
        return "device or pipe"
    return "file" if folder else None


def _replace(path: Path, new: Path, old: Path | None) -> None:
    """Move ``new`` to ``path``. A folder cannot be moved over another: that goes to ``old``, and back on failure."""
    if old is None or not path.exists():
        new.replace(path)
        return
    path.rename(old)
    try:
        new.replace(path)
    except BaseException:
        old.rename(path)
        raise
