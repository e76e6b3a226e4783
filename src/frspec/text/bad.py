"""The marks of a record that cannot be read. Knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from frspec.errors import UserError

HINT = "(mend or remove it; frspec rank and frspec train leave such parts out with --skip-bad)"


@dataclass(frozen=True)
class Bad:
    """A record that cannot be read, and why."""

    reason: str


class Flaw(ValueError):  # noqa: N818 - what it says of a record
    """Why a record that is being read cannot be read, or "" if there is none; ``line``: how many lines behind the one
    it begins on."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.line = line


class TooLong(UserError):  # noqa: N818 - what it says of a text
    """A text that this machine has no memory for: it is not bad, and what is counted must not depend on the machine, so
    it is never left out."""
