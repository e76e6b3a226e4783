"""How much of a text the draft vocabularies of one ranking cover, whatever their size.

Knows: counts by id, rank order, the ids that every draft vocabulary has. Does not know: texts, files, how it is shown.
A draft vocabulary of size n is the ranking's first n ids and those that speculation always adds (stop and control
tokens), as ``speculation.vocabulary`` builds it; so a few ids more than n.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from frspec.ranking.ranking import Ids


@dataclass(frozen=True, eq=False)
class Order:
    """``ids`` [N] int64 in rank order, N <= V; ``always`` [A]: in every vocabulary; ``vocab_size``: V."""

    ids: Ids
    always: Ids
    vocab_size: int

    def covered(self, by_id: Ids) -> Ids:
        """[N] int64: how many tokens of a text with counts ``by_id`` [V] the vocabulary of size i + 1 can propose."""
        inside, rest = self._split(by_id)
        covered: Ids = inside + np.cumsum(rest[self.ids])
        return covered

    def best(self, by_id: Ids) -> Ids:
        """[V] int64: the same of the ids that would have been best for just this text."""
        inside, rest = self._split(by_id)
        best: Ids = inside + np.cumsum(np.sort(rest)[::-1])
        return best

    def inside(self, size: int) -> npt.NDArray[np.bool_]:
        """[V] bool: which ids the vocabulary of that size has."""
        inside = np.zeros(self.vocab_size, dtype=np.bool_)
        inside[self.ids[:size]] = inside[self.always] = True
        return inside

    def positions(self) -> Ids:
        """[V] int64: the place of each id in the ranking, from 1; 0 where it has none."""
        positions = np.zeros(self.vocab_size, dtype=np.int64)
        positions[self.ids] = np.arange(1, len(self.ids) + 1)
        return positions

    def _split(self, by_id: Ids) -> tuple[int, Ids]:
        rest = by_id.copy()
        rest[self.always] = 0
        return int(by_id[self.always].sum()), rest


def needed(covered: Ids, total: int, share: float) -> int | None:
    """The smallest size that covers at least ``share`` (read as the decimal it is written as) of ``total`` tokens.

    None where even all ids do not.
    """
    wanted = int(-(-Fraction(str(share)) * total // 1))
    size = int(np.searchsorted(covered, wanted)) + 1
    return size if size <= len(covered) else None


def spread(n: int, points: int = 240) -> Ids:
    """Sizes from 1 to ``n``, as far from one another on a logarithmic axis as whole numbers allow."""
    places: Ids = np.unique(np.geomspace(1, n, points).round().astype(np.int64))
    return places
