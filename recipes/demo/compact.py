"""The few ids that a corpus uses, as a vocabulary of their own, and one row that stands for all the others.

Knows: which id has which row. Does not know: models, losses.
All ids that never occur share one vector. Then the softmax over the whole vocabulary is the softmax over the compact
table in which the shared row counts as often as it is shared: training on the small table is training the whole
model, exactly, and ``expand`` writes the large table down at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Compact:
    """``ids`` [R] int64, ascending: the id of each row but the last, which is that of all other ids below ``size``."""

    ids: Tensor
    size: int

    @staticmethod
    def of(tokens: Tensor, always: list[int], size: int) -> Compact:
        """The ids in ``tokens``, and those of ``always``."""
        present = torch.zeros(size, dtype=torch.bool)
        present[tokens.long()] = True
        present[always] = True
        return Compact(present.nonzero().squeeze(1), size)

    @property
    def rows(self) -> int:
        """Rows of the compact table, the shared one included."""
        return len(self.ids) + 1

    @property
    def shared(self) -> int:
        """How many ids share the last row."""
        return self.size - len(self.ids)

    def shrink(self, tokens: Tensor) -> Tensor:
        """The row of each id, int64."""
        rows = torch.full((self.size,), len(self.ids))
        rows[self.ids] = torch.arange(len(self.ids))
        return rows[tokens.long()]

    def log_counts(self) -> Tensor:
        """[rows] float32: the logarithm of how many ids each row stands for."""
        counts = torch.zeros(self.rows)
        counts[-1] = torch.tensor(float(self.shared)).log()
        return counts

    def expand(self, table: Tensor) -> Tensor:
        """The whole table [size, H] out of the compact one [rows, H]."""
        return table[self.shrink(torch.arange(self.size))]
