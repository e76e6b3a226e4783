"""Keys and values of one sequence. Knows: which rows are committed. Does not know: tokens, trees, layers' insides.

Rows [0, length) are committed text, rows [length, length + drafted) were written by passes that nobody has
judged yet. Committing moves the chosen drafted rows down and forgets the others; the prefix stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Views = tuple[Tensor, ...]


class KVCache:
    """Room for ``rows`` positions, doubled whenever it runs out.

    ``length`` committed rows, ``drafted`` rows written after them.
    """

    __slots__ = ("_rows", "drafted", "length")

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, rows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._rows = torch.empty(2 * layers, kv_heads, max(rows, 1), head_dim, dtype=dtype, device=device)
        self.length = 0
        self.drafted = 0

    @property
    def capacity(self) -> int:
        """Rows it can hold before it grows."""
        return self._rows.shape[2]

    def open(self, count: int) -> tuple[Views, Views]:
        """Views of room for ``count`` rows behind the drafted ones, and of all rows up to their end.

        Both hold keys and values of every layer in turn, [kv_heads, count, D] and [kv_heads, end, D]. What is written
        there counts as drafted only once ``drafted`` is raised, after the last layer.
        """
        start = self.length + self.drafted
        self._reserve(start, count)
        whole = self._rows[:, :, : start + count]
        return whole[:, :, start:].unbind(0), whole.unbind(0)

    def _reserve(self, used: int, count: int) -> None:
        if used + count <= self.capacity:
            return
        shape = list(self._rows.shape)
        shape[2] = max(used + count, 2 * self.capacity)
        grown = self._rows.new_empty(shape)
        grown[:, :, :used] = self._rows[:, :, :used]
        self._rows = grown

    def commit(self, kept: int | Sequence[int] | Tensor) -> None:
        """Keep the first ``kept`` drafted rows, or those at the given indices in that order; drop the others.

        Indices count from the first drafted row. The committed prefix is neither moved nor copied.
        """
        if isinstance(kept, Tensor):
            kept = kept.tolist()
        if not isinstance(kept, int):
            indices = list(kept)
            kept = len(indices)
            assert len(set(indices)) == kept, "a drafted row can be committed once"
            assert all(0 <= row < self.drafted for row in indices), "only drafted rows can be committed"
            if indices != list(range(kept)):
                source = torch.tensor(indices, device=self._rows.device) + self.length
                moved = self._rows.index_select(2, source)
                self._rows.narrow(2, self.length, kept).copy_(moved)
        assert 0 <= kept <= self.drafted, "only drafted rows can be committed"
        self.length += kept
        self.drafted = 0

    def truncate(self, length: int) -> None:
        """Forget all drafted rows and every committed row from ``length`` on."""
        assert 0 <= length <= self.length, "a cache cannot be truncated to more than it holds"
        self.length = length
        self.drafted = 0
