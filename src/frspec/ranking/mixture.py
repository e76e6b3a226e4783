"""Several parts' counts made one: added up, or each with a weight of its own.

Knows: sums and shares. Does not know: order, files, whose the counts are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from frspec.ranking.ranking import Ids

UNIT = 10**12
"""What the counts of a weighted mixture add up to, but for rounding: they are shares, in so many parts of the whole."""


def mixture(parts: Mapping[str, Ids], weights: Mapping[str, float] | None) -> Ids:
    """[V] int64 by id: the sum of the ``parts`` [V] each, or with ``weights`` the share of every id per ``UNIT``.

    A share is the sum over the parts of weight x count / the part's total, rounded to a whole number, and at least 1
    for an id that occurred anywhere. So a count is less than 1 from the exact value, ids whose shares differ by
    2 / ``UNIT`` stand in the exact order, and what n ids cover is exact to n / ``UNIT``. The order in which parts are
    named makes no difference.
    """
    total = sum(parts.values(), np.zeros_like(next(iter(parts.values()))))
    if weights is None:
        return total
    shares = normalised(weights)
    found = np.zeros(len(total))
    for name in sorted(parts):
        found += parts[name] * (UNIT * shares[name] / int(parts[name].sum()))
    return np.maximum(np.rint(found).astype(np.int64), total > 0)


def normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """The same weights adding up to 1; all are above 0 and finite."""
    largest = max(weights.values())
    scaled = {name: weight / largest for name, weight in weights.items()}
    total = math.fsum(scaled.values())
    return {name: weight / total for name, weight in scaled.items()}


def balanced(names: Iterable[str]) -> dict[str, float]:
    """The same weight for each part, so that a small one is not drowned."""
    return normalised(dict.fromkeys(names, 1.0))
