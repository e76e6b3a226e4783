"""What was quickest for a model, a drafter and a ranking on this machine, kept for later runs.

Knows: where choices lie and what they are only good for. Does not know: how they were found (``frspec tune``).
A choice made for other names, another machine, type or number of threads is not found; none can change a text.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frspec import kept
from frspec.errors import UserError
from frspec.machine import processor
from frspec.ranking.naming import MARK, split_part

KIND, SCHEMA = "tuned", 1


@dataclass(frozen=True)
class Choice:
    """``draft_vocab`` and ``shape`` (nodes, depth, width), None where the controller does best; ``ratio``: how many
    times as fast as plain decoding it was on ``date``."""

    draft_vocab: str | None
    shape: tuple[int, int, int] | None
    ratio: float
    date: str


@dataclass(frozen=True)
class Subject:
    """What a choice is for, as it was named: folders and files count by their place. noisy: at a temperature."""

    model: str
    draft: str
    ranking: str | None
    dtype: str = "auto"
    device: str = "auto"
    quantize: str | None = None
    draft_quantize: str | None = None
    revision: str | None = None
    exact: bool = False
    noisy: bool = False

    def key(self) -> dict[str, Any]:
        """All that a choice depends on."""
        import torch

        places = {name: _place(getattr(self, name)) for name in ("model", "draft", "ranking")}
        return asdict(self) | places | {"processor": processor(), "threads": torch.get_num_threads(), "schema": SCHEMA}


def keep(subject: Subject, choice: Choice, result: dict[str, Any]) -> Path:
    """Write the choice, and the ``result`` it was made from.

    Raises:
        UserError: when the place cannot be written.
    """
    return kept.keep(KIND, subject.key(), choice=asdict(choice), result=result)


def find(subject: Subject) -> Choice | None:
    """The choice for ``subject``, if there is one that can be read."""
    try:
        found = kept.find(KIND, subject.key())
        if found is None:
            return None
        shape = found["choice"]["shape"]
        return Choice(**{**found["choice"], "shape": None if shape is None else (shape[0], shape[1], shape[2])})
    except (KeyError, TypeError, IndexError):
        return None


def forget(subject: Subject) -> None:
    """Keep no choice for ``subject`` any longer.

    Raises:
        UserError: when the place cannot be written.
    """
    file = kept.place(KIND, subject.key())
    try:
        if file.exists():
            file.unlink()
    except OSError as error:
        raise UserError(f"cannot remove {file}: {error.strerror}; what was tuned before stays in use") from error


def _place(value: str | None) -> str | None:
    if value is None:
        return None
    file, part = split_part(value)
    place = str(Path(file).resolve()) if Path(file).exists() else file
    return place if part is None else f"{place}{MARK}{part}"
