"""Keys and values of one sequence. Knows: which rows are committed. Does not know: tokens, trees, layers' insides.

Rows [0, length) are committed text, rows [length, length + drafted) were written by passes that nobody has
judged yet. Committing moves the chosen drafted rows down and forgets the others; the prefix stays where it is.

Keys are held transposed, [kv_heads, D, rows], as the product with queries reads them: oneDNN would otherwise turn
all of them round in every pass, which takes three times the product itself (4,096 keys, one row: 760 µs and 210).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

STEP = 64
"""Rows by which room is measured. oneDNN makes a kernel for every length it meets, which takes half a millisecond;
lengths in steps of this many are few, so types that it multiplies see whole steps, the last one filled up with rows
that a mask hides. They hold zeros or what was once written: a hidden row may be anything but NaN."""


@dataclass(frozen=True, slots=True)
class Window:
    """The rows [start, end) of a cache that a pass is to write, and all that it may see, by layer.

    ``new_keys`` [kv_heads, D, count] and ``new_values`` [kv_heads, count, D] are the room; ``keys``
    [kv_heads, D, shown] and ``values`` [kv_heads, shown, D] begin with row 0, and ``shown`` is at least ``end``.
    """

    start: int
    end: int
    new_keys: Sequence[Tensor]
    new_values: Sequence[Tensor]
    keys: Sequence[Tensor]
    values: Sequence[Tensor]

    def write(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put ``k`` and ``v`` [count, kv_heads, D] into their room; the layer's keys and values, up to ``shown``."""
        self.new_keys[layer].copy_(k.permute(1, 2, 0))
        self.new_values[layer].copy_(v.transpose(0, 1))
        return self.keys[layer], self.values[layer]


class KVCache:
    """Room for ``rows`` positions, at least doubled whenever it runs out.

    ``length`` committed rows, ``drafted`` rows written after them. ``most``: how many it will ever need, if that is
    known; it then doesn't grow beyond without need.
    """

    __slots__ = ("_keys", "_step", "_values", "drafted", "length", "most")

    def __init__(
        self, layers: int, kv_heads: int, head_dim: int, rows: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        room = _whole_steps(max(rows, 1), STEP)
        self._keys = torch.zeros(layers, kv_heads, head_dim, room, dtype=dtype, device=device)
        self._values = torch.zeros(layers, kv_heads, room, head_dim, dtype=dtype, device=device)
        self._step = 1 if dtype == torch.float32 else STEP
        self.most: int | None = None
        self.length = 0
        self.drafted = 0

    @property
    def row_bytes(self) -> int:
        """What one position takes."""
        return (self._keys.nbytes + self._values.nbytes) // self.capacity

    @property
    def capacity(self) -> int:
        """Rows it can hold before it grows."""
        return self._values.shape[2]

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self._values.device

    def shown(self, rows: int) -> int:
        """How many rows products are to see for the first ``rows`` to be among them."""
        return _whole_steps(rows, self._step)

    def open(self, count: int) -> Window:
        """Room for ``count`` rows behind the drafted ones.

        What is written there counts as drafted only once ``drafted`` is raised, after the last layer.
        """
        start = self.length + self.drafted
        end = start + count
        if end > self.capacity:
            self._grow(start, self.room_for(end))
        shown = self.shown(end)
        return Window(
            start,
            end,
            self._keys[..., start:end].unbind(0),
            self._values[:, :, start:end].unbind(0),
            self._keys[..., :shown].unbind(0),
            self._values[:, :, :shown].unbind(0),
        )

    def room_for(self, end: int) -> int:
        """The capacity it has, or will have grown to, with ``end`` rows."""
        if end <= self.capacity:
            return self.capacity
        return _whole_steps(max(end, min(2 * self.capacity, self.most or 2 * self.capacity)), STEP)

    def beginning(self, length: int, copy: bool) -> KVCache:
        """The first ``length`` committed rows: in a cache of their own, or this one without the others."""
        if not copy:
            self.truncate(length)
            return self
        assert 0 <= length <= self.length, "only committed rows can be copied"
        layers, heads, rows, width = self._values.shape
        other = KVCache(layers, heads, width, min(rows, length + 256), self._values.dtype, self.device)
        other._keys[..., :length] = self._keys[..., :length]
        other._values[:, :, :length] = self._values[:, :, :length]
        other.length = length
        return other

    def _grow(self, used: int, rows: int) -> None:
        """Room for ``rows``, one tensor after the other, so that only one is held twice."""
        self._keys = _wider(self._keys, 3, used, _whole_steps(rows, STEP))
        self._values = _wider(self._values, 2, used, _whole_steps(rows, STEP))

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
                source = torch.tensor(indices, device=self._keys.device) + self.length
                for tensor, rows in ((self._keys, 3), (self._values, 2)):
                    tensor.narrow(rows, self.length, kept).copy_(tensor.index_select(rows, source))
        assert 0 <= kept <= self.drafted, "only drafted rows can be committed"
        self.length += kept
        self.drafted = 0

    def truncate(self, length: int) -> None:
        """Forget all drafted rows and every committed row from ``length`` on."""
        assert 0 <= length <= self.length, "a cache cannot be truncated to more than it holds"
        self.length = length
        self.drafted = 0


def _whole_steps(rows: int, step: int) -> int:
    return -(-rows // step) * step


def _wider(tensor: Tensor, dim: int, used: int, rows: int) -> Tensor:
    shape = list(tensor.shape)
    shape[dim] = rows
    wider = tensor.new_zeros(shape)
    wider.narrow(dim, 0, used).copy_(tensor.narrow(dim, 0, used))
    return wider
