"""The model that comes inside the package, its draft head and its ranking, all under the name ``demo``.

Knows: where they lie, and the SHA-256 that each of their files must have. Does not know: what is in the files.
The name goes before a local file or folder called demo; ``./demo``, and any ``Path``, name that one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from frspec.errors import UserError

NAME = "demo"
FOLDER = Path(__file__).with_name(NAME)
SUMS = "SHA256SUMS"
TARGET, HEAD, RANKING = "target", "head", "demo.ranking"
_REPAIR = f"the model {NAME} cannot be used; install frspec again, or name another model"


def target() -> Path:
    """The folder of the model, every file in it as it was shipped.

    Raises:
        UserError: naming the file that is missing, damaged or foreign; likewise for the other parts.
    """
    return _checked(TARGET)


def head() -> Path:
    """The folder of its EAGLE head."""
    return _checked(HEAD)


def ranking() -> Path:
    """The file of its ranking."""
    return _checked(RANKING)


def sha256(file: Path) -> str:
    """64 hex digits."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _checked(part: str) -> Path:
    """``part`` of the folder, after its files were found to be exactly those that were shipped."""
    sums = {name: expected for name, expected in _sums().items() if name.split("/")[0] == part}
    if not sums:
        raise UserError(f"{FOLDER / SUMS} does not list {part}, so {_REPAIR}")
    for name, expected in sums.items():
        _check(FOLDER / name, expected)
    for file in (FOLDER / part).glob("[!.]*"):
        if f"{part}/{file.name}" not in sums:
            raise UserError(f"{file} was not shipped with frspec; remove it, or name another model")
    return FOLDER / part


def _sums() -> dict[str, str]:
    """The SHA-256 of each file by its name, from a list as ``sha256sum`` writes it."""
    try:
        lines = (FOLDER / SUMS).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{FOLDER / SUMS} is missing or unreadable, so {_REPAIR}") from error
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def _check(file: Path, expected: str) -> None:
    try:
        state, found = "damaged", sha256(file)
    except FileNotFoundError:
        state, found = "missing", "no file"
    except OSError as error:
        state, found = "unreadable", error.strerror or str(error)
    if found != expected:
        raise UserError(f"{file} is {state} (sha256 expected {expected}, found {found}), so {_REPAIR}")
