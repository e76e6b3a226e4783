"""How often each token occurred, without a word on whose tokens: speculators' ``token_freq.pt``.

Source: ``save_token_frequency_distribution`` of speculators 0.9 saves ``{token id: count}`` with torch, ids that never
occurred left out. A tensor or array of counts by token id is read too, when ``--from token-freq`` or the name says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frspec.errors import UserError
from frspec.ranking.formats.containers import Held, write_torch
from frspec.ranking.formats.lists import whole_numbers
from frspec.ranking.ranking import Ids, Ranking
from frspec.text.tokenizer import LARGEST


def read_counts(held: Held) -> Ranking:
    """Ids by descending count, ties by id, up to the largest id that was counted; ``fingerprint`` is None.

    Raises:
        UserError: when the file holds no counts by token id.
    """
    by_id = _by_id(held.value, held.path)
    if by_id.min() < 0:
        raise UserError(f"{held.path} holds a negative count ({by_id.min()}), so it is no count of tokens")
    counted = Ranking.from_counts(by_id, "", {"counts": str(held.path)})
    return Ranking(counted.ids, counted.counts, None, counted.provenance)


def _by_id(value: Any, path: Path) -> Ids:
    if isinstance(value, np.ndarray | list):
        return whole_numbers(value, path)
    if not is_counts(value):
        raise UserError(f"{path} holds no counts by token id; speculators' token_freq.pt is a dict of whole numbers")
    if min(value) < 0 or max(value) >= LARGEST:  # damage, and would make an array that long
        raise UserError(f"{path} counts token {min(value) if min(value) < 0 else max(value)}, which no vocabulary has")
    by_id = np.zeros(max(value) + 1, dtype=np.int64)
    try:
        by_id[list(value)] = list(value.values())
    except OverflowError as error:
        raise UserError(f"{path} holds a count beyond 64 bits; it is damaged") from error
    return by_id


def is_counts(value: Any) -> bool:
    """Whether ``value`` is a dict from whole numbers to whole numbers, and not empty."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(type(id) is int and type(count) is int for id, count in value.items())
    )


def write_counts(ids: Ids, counts: Ids, path: Path) -> None:
    """Write the counts of those ``ids`` that occurred, in rank order, as speculators does.

    Raises:
        UserError: when none occurred, or the place cannot be written.
    """
    seen = {id: count for id, count in zip(ids.tolist(), counts.tolist(), strict=True) if count}
    if not seen:
        raise UserError("none of these ids ever occurred, so there are no counts to write")
    write_torch(seen, path)
