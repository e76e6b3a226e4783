"""What makes arrays no ranking, in words. Each function returns the first flaw it finds, or None."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from frspec.ranking.mixture import mixture

if TYPE_CHECKING:
    from frspec.ranking.ranking import Ids

MOST = 2.0**62
"""More tokens than anybody counts; sums stay far from the end of 64 bits."""


def flaw_of_ids(ids: Ids) -> str | None:
    """Of a list of ids: another type, a negative one, one twice."""
    if ids.dtype != np.int64 or ids.ndim != 1 or len(ids) == 0:
        return f"ids are {ids.dtype}{list(ids.shape)}"
    if ids.min() < 0:
        return f"a negative id ({ids.min()})"
    values, times = np.unique(ids, return_counts=True)
    if times.max() > 1:
        return f"the id {values[times.argmax()]} stands in it {times.max()} times"
    return None


def flaw_of_counts(ids: Ids, counts: Ids, backoff: Ids | None) -> str | None:
    """Of ids without a flaw and their counts: no such numbers, or another order than by count, ``backoff`` and id."""
    if counts.dtype != np.int64 or counts.shape != ids.shape:
        return f"{len(ids)} ids but counts are {counts.dtype}{list(counts.shape)}"
    if ids.max() >= len(ids):
        return f"the id {ids.max()} is outside a vocabulary of {len(ids)}"
    if flaw := _flaw_of_numbers(counts):
        return flaw
    if backoff is None:
        backoff = np.zeros_like(counts)
    elif backoff.dtype != np.int64 or backoff.shape != ids.shape:
        return f"{len(ids)} ids but backoff is {backoff.dtype}{list(backoff.shape)}"
    second = backoff[ids]
    fell, tied = counts[1:] < counts[:-1], counts[1:] == counts[:-1]
    fell |= tied & (second[1:] < second[:-1])
    tied &= second[1:] == second[:-1]
    return None if np.all(fell | (tied & (ids[1:] > ids[:-1]))) else "its ids are not in rank order"


def flaw_of_parts(parts: Mapping[str, Ids], weights: Mapping[str, float] | None) -> str | None:
    """Of counts by part, by id: none, of different lengths, or weights that do not belong to them."""
    if not parts:
        return "there are no parts"
    size = len(next(iter(parts.values())))
    for name, part in parts.items():
        if not name:
            return "a part without a name"
        if part.dtype != np.int64 or part.shape != (size,) or size == 0:
            return f"the part {name} is {part.dtype}{list(part.shape)} where int64[{size}] is expected"
        if flaw := _flaw_of_numbers(part):
            return f"{flaw} in the part {name}"
    if sum(float(part.sum(dtype=np.float64)) for part in parts.values()) > MOST:
        return "more counts than 64 bits hold"
    return None if weights is None else _flaw_of_weights(parts, weights)


def _flaw_of_weights(parts: Mapping[str, Ids], weights: Mapping[str, float]) -> str | None:
    if parts.keys() != weights.keys():
        return f"weights of {', '.join(weights)} for the parts {', '.join(parts)}"
    for name, weight in weights.items():
        if not parts[name].any():
            return f"the part {name} has counted no tokens, so it has no shares to weigh"
        if not (math.isfinite(weight) and weight > 0):
            return f"a weight of {weight} for {name}; weights are above 0"
    return None


def flaw_of_mixture(by_id: Ids, parts: Mapping[str, Ids], weights: Mapping[str, float] | None) -> str | None:
    """Whether counts are not what parts without a flaw come to. Sums are exact, shares as good as their rounding."""
    far = 0 if weights is None else 1
    same = len(by_id) == len(next(iter(parts.values()))) and np.abs(by_id - mixture(parts, weights)).max() <= far
    return None if same else "its counts are not what its parts come to"


def _flaw_of_numbers(counts: Ids) -> str | None:
    if counts.min() < 0:
        return "a negative count"
    return "more counts than 64 bits hold" if counts.sum(dtype=np.float64) > MOST else None
