"""The merges behind a table of ranks: which two parts a byte-pair encoding joins last to make each token.

Knows: tiktoken's rule, followed for all tokens of a length at once. Does not know: files, what a character stands for.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

NEVER = np.iinfo(np.int64).max

Parts = npt.NDArray[np.int64]
"""Characters by their numbers; above all of these the longer tokens, by rank."""


def find_merges(ranks: Mapping[str, int]) -> list[tuple[str, str]]:
    """For each token of two characters or more, by rank, the two parts that give it; none where it never comes about.

    tiktoken joins the neighbours that together have the lowest rank, leftmost first. Whatever stands around them, two
    parts only ever lie beside each other where the characters of both, alone, would have come to just these two: what
    is joined among them is the same in both cases. So a token has one pair, and since all that is joined on the way is
    shorter, pairs are found length by length.
    """
    joined = sorted((token for token in ranks if len(token) > 1), key=ranks.__getitem__)
    names = [*map(chr, range(1 + max(map(ord, set("".join(joined))), default=0))), *joined]
    lengths = np.fromiter(map(len, joined), np.int64, len(joined))
    last = np.full((len(joined), 2), -1)
    pairs = _Pairs(len(names))
    for length in np.unique(lengths).tolist():
        places = np.flatnonzero(lengths == length)
        spelled = "".join(map(joined.__getitem__, places.tolist())).encode("utf-32-le")
        rows, parts = _join(np.frombuffer(spelled, "<u4").reshape(-1, length).astype(np.int64), pairs)
        last[places[rows]] = parts
        pairs.learn(parts, places[rows] + len(names) - len(joined))
    left, right = last[last[:, 0] >= 0].T.tolist()
    return list(zip(map(names.__getitem__, left), map(names.__getitem__, right), strict=True))


class _Pairs:
    """What two neighbours become; ``size``: how many different parts there are."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._keys = self._made = np.array([NEVER])

    def learn(self, parts: Parts, made: Parts) -> None:
        """``parts`` [N, 2] become ``made`` [N]."""
        keys = np.append(self._keys, parts @ [self._size, 1])
        order = np.argsort(keys, kind="stable")  # quick on what is nearly sorted
        self._keys, self._made = keys[order], np.append(self._made, made)[order]

    def of(self, left: Parts, right: Parts) -> Parts:
        """What they become, NEVER where nothing; arrays of one shape."""
        keys = left * self._size + right
        found = self._keys.searchsorted(keys)
        return np.where(self._keys[found] == keys, self._made[found], NEVER)


def _join(parts: Parts, pairs: _Pairs) -> tuple[Parts, Parts]:
    """Rows of ``parts`` [N, length] that are joined until two are left: which ones, and these two."""
    rows = np.arange(len(parts))
    made = pairs.of(parts[:, :-1], parts[:, 1:])
    while parts.shape[1] > 2:
        at = made.argmin(axis=1)  # the first of the lowest
        able = made[np.arange(len(rows)), at] < NEVER
        rows, parts, made, at = rows[able], parts[able], made[able], at[able]
        each = np.arange(len(rows))
        parts[each, at] = made[each, at]
        parts, made = _without(parts, at + 1), _without(made, at)
        for side in (at - 1, at):
            here = np.flatnonzero((side >= 0) & (side < made.shape[1]))
            place = side[here]
            made[here, place] = pairs.of(parts[here, place], parts[here, place + 1])
    return rows, parts


def _without(table: Parts, columns: Parts) -> Parts:
    """``table`` [N, M] without one column in each row: [N, M - 1]."""
    kept = np.ones(table.shape, np.bool_)
    kept[np.arange(len(table)), columns] = False
    return table[kept].reshape(len(table), table.shape[1] - 1)
