"""Caches of finished texts, kept for the next text that begins alike: a conversation's next turn.

Knows: tokens, caches, a drafter's memory of them. Does not know: requests, conversations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frspec.models.cache import KVCache
from frspec.speculation.drafters.base import Drafter


@dataclass(frozen=True)
class Kept:
    """A text, the target's cache of its first ``cache.length`` tokens, and a drafter's memory of them."""

    tokens: list[int]
    cache: KVCache
    memory: Any


class Prefixes:
    """The last ``most`` finished texts; 0 keeps none."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: list[Kept] = []

    def keep(self, tokens: Sequence[int], cache: KVCache, memory: Any) -> None:
        """Take over a finished text's cache and memory."""
        self._kept.append(Kept(list(tokens), cache, memory))
        del self._kept[: -self.most or None]

    def take(self, tokens: Sequence[int], drafter: Drafter | None) -> Kept | None:
        """The longest common beginning with a kept text, cut to it, and no longer kept; None if there is none.

        The last shared token is left to be read again: what follows it is new, and an EAGLE head pairs its feature
        with the token that follows.
        """
        rows, best = 0, None
        for kept in self._kept:
            shared = min(_common(kept.tokens, tokens) - 1, kept.cache.length)
            if shared > rows:
                rows, best = shared, kept
        if best is None:
            return None
        memory = None
        if drafter is not None:
            memory, rows = drafter.resume(best.memory, rows)
            if rows == 0:
                return None
        self._kept.remove(best)
        best.cache.truncate(rows)
        return Kept(best.tokens[:rows], best.cache, memory)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
