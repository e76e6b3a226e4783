"""How often each token occurred, by part: what is added up, however the work was split.

Knows: sums. Does not know: where texts come from, how they became tokens, order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from frspec.errors import UserError
from frspec.ranking.ranking import Ids

MOST = 1000  # parts, of one or two megabytes each


@dataclass
class Part:
    """``by_id`` int64 [V]: how often each id occurred; ``documents`` and ``characters`` of the same texts; ``tokens``:
    the sum of ``by_id``, kept because whoever waits asks for it all the time."""

    by_id: Ids
    documents: int = 0
    characters: int = 0
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = int(self.by_id.sum())

    def add(self, sparse: Sparse) -> None:
        """Add what was counted elsewhere."""
        self.by_id[sparse.ids] += sparse.times
        self.documents += sparse.documents
        self.characters += sparse.characters
        self.tokens += int(sparse.times.sum())


@dataclass(frozen=True)
class Sparse:
    """The same of a few texts: ``ids`` that occur, ascending, and how many ``times``; int64 [N] both."""

    ids: Ids
    times: Ids
    documents: int
    characters: int


@dataclass(frozen=True)
class Tallied:
    """What some blocks or shards held, by part; ``bad``: what was wrong with each record that was left out."""

    parts: Mapping[str, Sparse]
    bad: tuple[str, ...] = ()


@dataclass
class Counts:
    """Parts by name, in the order their names were given or first met; one called "" where none has a name."""

    vocab_size: int
    parts: dict[str, Part] = field(default_factory=dict)
    skipped: int = 0

    def part(self, name: str) -> Part:
        """The part of that name; an empty one if nothing has been counted for it.

        Raises:
            UserError: when there are more than memory is for.
        """
        if name not in self.parts:
            if len(self.parts) >= MOST:
                raise UserError(
                    f"more than {MOST:,} parts, the last one {name!r}; --by is for few values, like languages"
                )
            self.parts[name] = Part(np.zeros(self.vocab_size, dtype=np.int64))
        return self.parts[name]

    def add(self, tallied: Tallied) -> None:
        """Add what was counted elsewhere; the order in which that happens makes no difference."""
        for name, sparse in tallied.parts.items():
            self.part(name).add(sparse)
        self.skipped += len(tallied.bad)

    def tallied(self, bad: Iterable[str] = ()) -> Tallied:
        """The same without the zeros, to be sent or kept."""
        return Tallied({name: _sparse(part) for name, part in self.parts.items()}, tuple(bad))

    @property
    def by_id(self) -> Ids:
        """Of all parts together, int64 [V]."""
        return sum((part.by_id for part in self.parts.values()), np.zeros(self.vocab_size, dtype=np.int64))

    @property
    def documents(self) -> int:
        """Of all parts together."""
        return sum(part.documents for part in self.parts.values())

    @property
    def characters(self) -> int:
        """Of all parts together."""
        return sum(part.characters for part in self.parts.values())

    @property
    def tokens(self) -> int:
        """Of all parts together."""
        return sum(part.tokens for part in self.parts.values())


def _sparse(part: Part) -> Sparse:
    used = np.flatnonzero(part.by_id)
    return Sparse(used, part.by_id[used], part.documents, part.characters)
