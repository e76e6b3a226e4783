"""What drafters that grow trees with a model of their own have in common.

Knows: a draft head, a tree shape, one cache per request. Does not know: what kind of model it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor

from frspec.clock import Clock
from frspec.models.cache import KVCache
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.growth import SURENESS, grow
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import Plan, TreeShape
from frspec.types import TokenTree

CHUNK = 512
"""Rows of a long text that are read in one pass."""
ROOM = 64
"""Rows that a new cache has beyond the text."""


class TreeDrafter(ABC):
    """An ``Adaptive`` drafter that is its own ``Backbone``; a kind of model adds how it reads and how it extends."""

    widest = 16
    sureness = SURENESS

    def __init__(self, head: DraftHead, shape: TreeShape) -> None:
        self.head, self.shape = head, shape
        self.max_nodes = shape.nodes

    @property
    def sizes(self) -> tuple[int, ...]:
        """See ``Adaptive``."""
        return self.head.sizes

    def row_levels(self, vocab_size: int) -> Sequence[int]:
        """See ``Adaptive``."""
        return self.head.levels(vocab_size)

    def propose(self, states: Sequence[DraftState], clock: Clock, plan: Plan | None = None) -> list[TokenTree]:
        """One dynamic tree per state."""
        return grow(self, self.head, states, plan or Plan(self.shape), clock)

    def drop(self, states: Sequence[DraftState]) -> None:
        """Forget the tree rows."""
        for state in states:
            self.cache(state).commit(0)

    @abstractmethod
    def cache(self, state: DraftState) -> KVCache:
        """The model's cache for this request, made at first use."""

    @abstractmethod
    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        """See ``Backbone``."""

    @abstractmethod
    def extend(
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor | None
    ) -> Tensor:
        """See ``Backbone``."""
