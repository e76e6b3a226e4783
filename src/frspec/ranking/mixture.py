"""Several parts' counts made one: added up, or each with a weight of its own; and what parts know of each other.

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
GRAIN = 10**9
"""The same for what parts have in common, where sums of products have to stay within 64 bits."""
MILLION = 10**6
BY_ID = "by-id"
"""What the part of a smoothed mixture is called in which ids stand by number."""


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


def by_id(vocab_size: int) -> Ids:
    """[V] int64: a made-up count for each id, falling as 1 / (id + 1) does.

    Zipf's law for ids by number: in BPE vocabularies an earlier id is an earlier merge, which was more frequent in what
    the tokenizer was made from.
    """
    return MILLION // np.arange(1, vocab_size + 1, dtype=np.int64) + 1


def backoff(name: str, parts: Mapping[str, Ids]) -> Ids:
    """[V] int64 by id: what ids that a part counted equally often, above all those it never saw, stand by; most first.

    Two lists in turns: all ids by number, for in BPE vocabularies an earlier id is an earlier merge, which was more
    frequent where the tokenizer was made; and by their shares in the other parts, each weighed by the cube of what it
    has in common with this one (the sum over the ids of the smaller share). An id's number here is V less its better
    place in the two. Measured against either list alone in docs/experiments.md. All in whole numbers, so the same
    everywhere; a part with nothing counted has as much in common with every other.
    """
    own = _shares(parts[name])
    found = np.zeros_like(own)
    for other in parts:
        if other != name:
            share = _shares(parts[other])
            common = int(np.minimum(own, share).sum()) if own.any() else GRAIN
            found += share * (common**3 * MILLION // GRAIN**3)
    ids = np.arange(len(own))
    places = np.empty_like(ids)
    places[np.argsort(-found, kind="stable")] = ids
    return len(ids) - np.minimum(ids, places)


def _shares(counts: Ids) -> Ids:
    """Per ``GRAIN``, at least 1 for what occurred."""
    share: Ids = np.rint(counts * float(GRAIN) / max(1, int(counts.sum()))).astype(np.int64)
    return np.maximum(share, counts > 0)
