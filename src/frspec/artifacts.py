"""How every file the project makes is written, and what it says about its own origin.

Knows: atomic replacement, provenance. Does not know: what is inside the files.
"""

from __future__ import annotations

import contextlib
import datetime
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from frspec.errors import UserError


def provenance(**facts: Any) -> dict[str, Any]:
    """Where an artifact comes from: program version, UTC date, command line, and ``facts``."""
    return {
        "program": f"frspec {version('frspec')}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["frspec", *sys.argv[1:]]) if sys.argv[0].endswith("frspec") else None,
        **facts,
    }


@contextlib.contextmanager
def atomic_path(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` that becomes ``path`` only if the block succeeds.

    With ``folder`` the neighbour is an empty directory, and an existing ``path`` is replaced whole.

    Raises:
        UserError: when the place cannot be written (permissions, full disk); nothing is left behind.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from error
    inner = temporary / path.name
    try:
        if folder:
            inner.mkdir()
        yield inner
        if folder and path.exists():
            path.rename(temporary / "replaced")
        inner.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}; nothing was left under that name") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
