"""Caches that others can begin with: of finished texts, and of texts that are still being written.

Knows: tokens, caches, a drafter's memory of them. Does not know: conversations, slots.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from frspec.models.cache import KVCache
from frspec.speculation.drafters.base import Drafter

log = logging.getLogger("frspec")
TAIL = 16
"""What a finished text may have beyond the shared part for its cache to be taken over; otherwise that is copied, which
costs little against reading it, and the text itself may be gone on from another time."""


@dataclass(frozen=True)
class Kept:
    """A text, the target's cache of its first ``cache.length`` tokens, and a drafter's memory of them."""

    tokens: Sequence[int]
    cache: KVCache
    memory: Any


class Prefixes:
    """The last ``most`` finished texts; 0 keeps none."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: list[Kept] = []

    @property
    def rows(self) -> int:
        """Rows that all the kept caches have room for."""
        return sum(kept.cache.capacity for kept in self._kept)

    def keep(self, tokens: Sequence[int], cache: KVCache, memory: Any) -> None:
        """Take over a finished text's cache and memory; texts that only begin it are no longer worth keeping."""
        self._kept = [kept for kept in self._kept if min(common(kept.tokens, tokens), cache.length) < kept.cache.length]
        self._kept.append(Kept(list(tokens), cache, memory))
        del self._kept[: -self.most or None]

    def drop_oldest(self) -> bool:
        """Forget the text that was longest of no use; whether there was any."""
        if self._kept:
            del self._kept[0]
            return True
        return False

    def clear(self) -> None:
        """Forget all of them."""
        self._kept.clear()

    def take(self, tokens: Sequence[int], drafter: Drafter | None, running: Iterable[Kept] = ()) -> Kept | None:
        """The longest common beginning with a kept or ``running`` text, cut to it; None if there is none.

        The last shared token is left to be read again: what follows it is new, and an EAGLE head pairs its feature
        with the token that follows. A running text's cache is copied, a kept one's taken over where little is lost.
        """
        rows, best = 0, None
        for kept in [*self._kept, *running]:
            shared = min(common(kept.tokens, tokens) - 1, kept.cache.length)
            if shared > rows:
                rows, best = shared, kept
        if best is None:
            return None
        mine = any(best is kept for kept in self._kept)
        moved = mine and best.cache.length - rows <= TAIL
        memory = None
        if drafter is not None:
            memory, rows = _resumed(drafter, best.memory, rows, copy=not moved)
            if rows == 0:
                return None
        if mine:
            self._kept = [kept for kept in self._kept if kept is not best] + ([] if moved else [best])
        return Kept(best.tokens[:rows], best.cache.beginning(rows, copy=not moved), memory)


def _resumed(drafter: Drafter, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:
    """``Drafter.resume``, which may be wrong but can do no harm: where it breaks, the text is read from its start."""
    try:
        own, known = drafter.resume(memory, rows, copy)
        return own, max(0, min(known, rows))
    except Exception as error:
        log.warning("the drafter failed (%s: %s); a text is read as a whole", type(error).__name__, error)
        return None, 0


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    low, high = 0, size  # alike up to low, not up to high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
