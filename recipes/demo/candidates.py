"""Which table rows take part in one step's softmax: all that are frequent or at hand, and a few drawn for the rest.

Knows: how often each row occurs. Does not know: scores.
The sum over all rows that the softmax divides by is met in expectation: a drawn row counts for as many as it was
drawn from (importance sampling, as in arXiv 1412.2007).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FREQUENT, DRAWN = 4096, 512
"""Rows that always take part, and the fewest that are drawn: the number of all rows is a multiple of this, since
every new one makes oneDNN prepare new kernels."""


@dataclass(frozen=True)
class Choice:
    """``rows`` [C] int64 of the table, ``log_counts`` [C] float32 what each counts for, ``place`` [R] int64 where a
    row of the table is in ``rows`` (meaningless for the others).
    """

    rows: Tensor
    log_counts: Tensor
    place: Tensor


class Candidates:
    """``occurrences`` [R]: how often each row is a target; ``log_counts`` [R]: see ``cross_entropy``."""

    def __init__(self, occurrences: Tensor, log_counts: Tensor) -> None:
        self.log_counts = log_counts
        self.certain = torch.zeros(len(occurrences), dtype=torch.bool)
        self.certain[occurrences.topk(min(FREQUENT, len(occurrences))).indices] = True
        self.certain[-1] = True

    def choose(self, present: Tensor, draws: torch.Generator) -> Choice:
        """The frequent rows, those in ``present``, and at least ``DRAWN`` of the others, if there are so many."""
        certain = self.certain.clone()
        certain[present] = True
        others = (~certain).nonzero().squeeze(1)
        wanted = 2 * DRAWN - int(certain.sum()) % DRAWN
        drawn = others[torch.randperm(len(others), generator=draws)[:wanted]]
        rows = torch.cat((certain.nonzero().squeeze(1), drawn))
        weights = self.log_counts[rows]
        if len(drawn):
            weights[-len(drawn) :] += torch.tensor(len(others) / len(drawn)).log()
        return self._choice(rows, weights)

    def everything(self) -> Choice:
        """All rows: the exact softmax."""
        return self._choice(torch.arange(len(self.log_counts)), self.log_counts)

    def _choice(self, rows: Tensor, weights: Tensor) -> Choice:
        place = torch.zeros_like(self.certain, dtype=torch.int64)
        place[rows] = torch.arange(len(rows))
        return Choice(rows, weights, place)
