"""Drafts with any smaller model of the same vocabulary (Leviathan et al., arXiv 2211.17192), as a tree or a chain.

Knows: a decoder and its cache per request. Does not know: the target, how trees are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.models.cache import KVCache
from frspec.models.decoder import Decoder
from frspec.models.segments import Segment
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.drafters.tree import CHUNK, ROOM, TreeDrafter
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import TreeShape


class ModelDrafter(TreeDrafter):
    """See ``Drafter`` and ``Backbone``: this class is both."""

    name = "model"

    def __init__(self, decoder: Decoder, head: DraftHead, shape: TreeShape) -> None:
        super().__init__(head, shape)
        self.decoder = decoder

    def costs_depend_on(self) -> Sequence[Any]:
        """See ``Adaptive``: the model and its type."""
        return [str(self.decoder.config), str(self.decoder.precision), str(self.head.held)]

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        """Nothing to learn: this drafter reads the text itself."""

    @cached_property
    def row_bytes(self) -> int:
        """Keys and values of all its layers."""
        return self.decoder.new_cache(1).row_bytes

    def resume(self, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:
        """Keep what the cache has of these positions; the rest it reads itself."""
        if isinstance(memory, KVCache):
            memory = memory.beginning(min(rows, memory.length), copy)
        return memory, rows

    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        """Read the tokens committed since the last round, the root last; [B, H]."""
        for state in states:
            while len(state.tokens) - self.cache(state).length > CHUNK:
                self._read([state])
        return self._read(states)

    def extend(
        self,
        states: Sequence[DraftState],
        depth: int,
        tokens: Tensor,
        features: Tensor,  # noqa: ARG002 - a plain model needs only the tokens
        masks: Tensor | None,
    ) -> Tensor:
        """Run the frontier of one depth; see ``Backbone``."""
        width = tokens.shape[1]
        positions = torch.tensor([len(state.tokens) - 1 + depth for state in states], device=tokens.device)
        segments = [
            Segment(self.cache(state), width, None if masks is None else masks[row]) for row, state in enumerate(states)
        ]
        out = self.decoder.forward(tokens.flatten(), positions.repeat_interleave(width), segments)
        return out.view(*tokens.shape, -1)

    def cache(self, state: DraftState) -> KVCache:
        """The draft model's cache for this request."""
        if state.memory is None:
            state.memory = self.decoder.new_cache(len(state.tokens) + ROOM)
        assert isinstance(state.memory, KVCache)
        return state.memory

    def _read(self, states: Sequence[DraftState]) -> Tensor:
        """The next tokens of each text, at most ``CHUNK``; the feature of each one's last [B, H]."""
        tokens, positions, segments = list[int](), list[int](), list[Segment]()
        for state in states:
            cache = self.cache(state)
            new = state.tokens[cache.length : cache.length + CHUNK]
            tokens += new
            positions += range(cache.length, cache.length + len(new))
            segments.append(Segment(cache, len(new)))
        device = self.decoder.device
        out = self.decoder.forward(
            torch.tensor(tokens, device=device), torch.tensor(positions, device=device), segments
        )
        for segment in segments:
            segment.cache.commit(segment.count)
        ends = torch.tensor([segment.count for segment in segments], device=device).cumsum(0) - 1
        return out[ends]
