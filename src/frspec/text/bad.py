"""The mark of a record that cannot be read. Knows nothing else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bad:
    """A record that cannot be read, and why."""

    reason: str
