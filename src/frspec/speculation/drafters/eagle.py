"""Drafts with an EAGLE-1/2 head (arXiv 2401.15077, 2406.16858): one layer over the target's own features.

Knows: which features belong to which tokens, the head's cache. Does not know: how trees are chosen.
The head's cache keeps only positions built from true target features; tree rows are dropped each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.models.cache import KVCache
from frspec.models.eagle import EagleHead
from frspec.models.segments import Segment
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.drafters.tree import CHUNK, ROOM, TreeDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape

AT_ONCE = 32
"""Pairs that are read as they come, a prompt's, where a draft is awaited; others wait for the next draft, which may
never come. A pair takes a small part of what the target's cache keeps of its position."""


@dataclass
class _Memory:
    """Pairs (feature, next token) not yet read, and the head's output for the last pair read."""

    cache: KVCache
    tokens: list[int] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)
    last: Tensor | None = None

    def take(self) -> tuple[list[int], Tensor]:
        """The first pairs that are not yet read, as many as one pass may have."""
        tokens, features = self.tokens[:CHUNK], torch.cat(self.features)
        self.tokens = self.tokens[CHUNK:]
        self.features = [features[CHUNK:]] if self.tokens else []
        return tokens, features[:CHUNK]


class EagleDrafter(TreeDrafter):
    """See ``Drafter`` and ``Backbone``: this class is both."""

    name = "eagle"

    def __init__(self, eagle: EagleHead, head: DraftHead, shape: TreeShape) -> None:
        super().__init__(head, shape)
        self.eagle = eagle

    def costs_depend_on(self) -> Sequence[Any]:
        """See ``Adaptive``: the head's one layer."""
        return [str(self.eagle.config), str(self.head.held)]

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        """Keep pairs until the next draft needs them, or read them while the prompt is read."""
        memory = self._memory(state)
        memory.tokens.extend(tokens)
        memory.features.append(features)
        if state.awaited and len(tokens) >= AT_ONCE:
            self._read([memory])
            clock.lap("draft layer")

    @cached_property
    def row_bytes(self) -> int:
        """One layer's keys and values."""
        return self.eagle.new_cache(1).row_bytes

    def resume(self, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:
        """Keep the pairs already read, and of the others those that are shared."""
        if not isinstance(memory, _Memory):
            return None, 0
        read = min(rows, memory.cache.length)
        unread = min(rows - read, len(memory.tokens))
        features = [torch.cat(memory.features)[:unread]] if unread else []
        return _Memory(memory.cache.beginning(read, copy), memory.tokens[:unread], features), read + unread

    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        """Read the pairs seen since the last round; [B, H]."""
        memories = [self._memory(state) for state in states]
        while unread := [memory for memory in memories if memory.tokens]:
            self._read(unread)
        return torch.stack([memory.last for memory in memories if memory.last is not None])

    def extend(
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor | None
    ) -> Tensor:
        """Run the frontier of one depth; see ``Backbone``."""
        width = tokens.shape[1]
        caches = [self.cache(state) for state in states]
        places = [cache.length - 1 + depth for cache in caches for _ in range(width)]
        positions = torch.tensor(places, device=tokens.device)
        segments = [Segment(cache, width, None if masks is None else masks[row]) for row, cache in enumerate(caches)]
        out = self.eagle.forward(tokens.flatten(), features.flatten(0, 1), positions, segments)
        return out.view(features.shape)

    def cache(self, state: DraftState) -> KVCache:
        """The head's cache for this request."""
        return self._memory(state).cache

    def _read(self, memories: Sequence[_Memory]) -> None:
        taken = [memory.take() for memory in memories]
        segments = [Segment(memory.cache, len(tokens)) for memory, (tokens, _) in zip(memories, taken, strict=True)]
        starts = [memory.cache.length for memory in memories]
        positions = [torch.arange(s, s + g.count) for s, g in zip(starts, segments, strict=True)]
        device = self.eagle.device
        out = self.eagle.forward(
            torch.tensor([token for tokens, _ in taken for token in tokens], device=device),
            torch.cat([features for _, features in taken]),
            torch.cat(positions).to(device),
            segments,
        )
        end = 0
        for memory, segment in zip(memories, segments, strict=True):
            segment.cache.commit(segment.count)
            end += segment.count
            memory.last = out[end - 1]

    def _memory(self, state: DraftState) -> _Memory:
        if state.memory is None:
            state.memory = _Memory(self.eagle.new_cache(len(state.tokens) + ROOM))
        assert isinstance(state.memory, _Memory)
        return state.memory
