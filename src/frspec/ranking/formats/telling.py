"""Which format a file's content is. What could be two things is refused: the wrong one would make nonsense drafts."""

from __future__ import annotations

import numpy as np

from frspec.errors import UserError
from frspec.ranking.formats.containers import MAPPINGS, Held
from frspec.ranking.formats.counts import is_counts
from frspec.ranking.formats.lists import whole_numbers

NAMED = {"token_freq": "token-freq", "d2t": "d2t", "t2d": "t2d", "freq_": "token-map"}
"""What bare numbers are by the beginning of the file's name, where a program always names its files so."""


def tell(held: Held) -> str:
    """The name of the format.

    Raises:
        UserError: when it could be several, and which.
    """
    if held.kind == "gguf":
        return "gguf"
    if held.kind == "text":
        return "json" if held.path.suffix == ".json" else "text"
    if isinstance(held.value, dict):
        return _tell_dict(held)
    if isinstance(held.value, np.ndarray) and held.value.dtype == np.bool_:
        return "t2d"
    for beginning, name in NAMED.items():
        if held.path.name.startswith(beginning):
            return name
    return _tell_numbers(held)


def _tell_dict(held: Held) -> str:
    if any(name in held.value for name in MAPPINGS):
        return "eagle3"
    if is_counts(held.value):
        return "token-freq"
    raise UserError(f"{held.path} holds a dict that is neither counts by token id nor has d2t or t2d")


def _tell_numbers(held: Held) -> str:
    """Bare numbers under a name that says nothing: ids unless they could as well be offsets or counts."""
    numbers = whole_numbers(held.value, held.path)
    repeats = len(np.unique(numbers)) < len(numbers)
    rises = bool((numbers[1:] >= numbers[:-1]).all())
    if numbers.min() < 0 or not (repeats or rises):
        return "token-map"
    if not repeats:
        could = "ids in ascending order (--from token-map) or offsets (--from d2t)"
    elif rises:
        could = "offsets (--from d2t) or counts by token id (--from token-freq)"
    else:
        could = "counts by token id (--from token-freq), or a list that names an id twice, which is damaged"
    raise UserError(
        f"{held.path} holds numbers that could be {could}; say which to `frspec convert {held.path.name} -o ids.json`"
    )
