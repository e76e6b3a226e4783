"""Drafts with an EAGLE-1/2 head (arXiv 2401.15077, 2406.16858): one layer over the target's own features.

Knows: which features belong to which tokens, the head's cache. Does not know: how trees are chosen.
The head's cache keeps only positions built from true target features; tree rows are dropped each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.models.cache import KVCache
from frspec.models.eagle import EagleHead
from frspec.models.segments import Segment
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.growth import TreeShape, grow
from frspec.speculation.head import DraftHead
from frspec.types import TokenTree


@dataclass
class _Memory:
    cache: KVCache
    tokens: list[int] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)


class EagleDrafter:
    """See ``Drafter`` and ``Backbone``: this class is both."""

    name = "eagle"

    def __init__(self, eagle: EagleHead, head: DraftHead, shape: TreeShape) -> None:
        self.eagle, self.head, self.shape = eagle, head, shape
        self.max_nodes = shape.nodes

    def propose(self, states: Sequence[DraftState], clock: Clock) -> list[TokenTree]:
        """One dynamic tree per state."""
        return grow(self, self.head, states, self.shape, clock)

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor) -> None:
        """Keep the pairs (feature, next token) until the next draft needs them."""
        memory = self._memory(state)
        memory.tokens.extend(tokens)
        memory.features.append(features)

    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        """Run the pairs seen since the last round; [B, H]."""
        tokens, features, segments = list[int](), list[Tensor](), list[Segment]()
        for state in states:
            memory = self._memory(state)
            tokens += memory.tokens
            features += memory.features
            segments.append(Segment(memory.cache, len(memory.tokens)))
            memory.tokens, memory.features = [], []
        device = self.eagle.device
        starts = [segment.cache.length for segment in segments]
        positions = torch.cat([torch.arange(s, s + g.count) for s, g in zip(starts, segments, strict=True)])
        out = self.eagle.forward(
            torch.tensor(tokens, device=device), torch.cat(features), positions.to(device), segments
        )
        for segment in segments:
            segment.cache.commit(segment.count)
        ends = torch.tensor([segment.count for segment in segments], device=device).cumsum(0) - 1
        return out[ends]

    def extend(
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor
    ) -> Tensor:
        """Run the frontier of one depth; see ``Backbone``."""
        width = tokens.shape[1]
        caches = [self._memory(state).cache for state in states]
        positions = torch.tensor([cache.length - 1 + depth for cache in caches], device=tokens.device)
        segments = [Segment(cache, width, mask) for cache, mask in zip(caches, masks, strict=True)]
        out = self.eagle.forward(tokens.flatten(), features.flatten(0, 1), positions.repeat_interleave(width), segments)
        return out.view(features.shape)

    def drop(self, states: Sequence[DraftState]) -> None:
        """Forget the tree rows."""
        for state in states:
            self._memory(state).cache.commit(0)

    def _memory(self, state: DraftState) -> _Memory:
        if state.memory is None:
            state.memory = _Memory(self.eagle.new_cache(len(state.tokens) + self.shape.depth * self.shape.width))
        assert isinstance(state.memory, _Memory)
        return state.memory
