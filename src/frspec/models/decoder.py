"""One decoder for every family. Knows: tokens in, features and logits out. Does not know: files, drafting.

Gradients and inference mode are the caller's business; both work.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frspec.models.cache import KVCache
from frspec.models.config import ModelConfig
from frspec.models.layers.attention import Attend
from frspec.models.layers.block import Block
from frspec.models.layers.linear import Linear
from frspec.models.layers.norm import RMSNorm
from frspec.models.layers.rope import Rope
from frspec.models.layers.split import split
from frspec.models.precision import Precision
from frspec.models.segments import CachedAttention, Segment


class Decoder:
    """A causal language model on one device.

    ``embedding`` [V, H] and ``head`` [V, H] (the same tensor when tied) are its own weights, to be read, never
    written: drafters slice them. ``project`` multiplies with the whole head. ``precision`` is that of ``blocks``,
    by itself the embedding's type throughout.
    """

    def __init__(
        self,
        config: ModelConfig,
        embedding: Tensor,
        blocks: Sequence[Block],
        norm: RMSNorm,
        head: Tensor,
        rope: Rope,
        precision: Precision | None = None,
    ) -> None:
        self.config = config
        self.embedding = embedding
        self.blocks = list(blocks)
        self.norm = norm
        self.head = head
        self.precision = precision or Precision(embedding.dtype, embedding.dtype)
        rows = self.precision.hold(head)
        self.project = split(rows) if self.precision.light and isinstance(rows, Tensor) else Linear(rows)
        self.rope = rope

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights; features and cached keys are of ``precision.activations``."""
        return self.embedding.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where inputs must be."""
        return self.embedding.device

    def forward(self, tokens: Tensor, positions: Tensor, segments: Sequence[Segment]) -> Tensor:
        """Features [T, H], after the final norm, of ``tokens`` [T] int64 at ``positions`` [T] int64.

        The segments' counts add up to T. Each segment's keys and values are written behind its cache's drafted
        rows and counted in ``cache.drafted``; ``cache.commit`` decides what stays.
        """
        attend = CachedAttention(segments, self.precision.activations, self.device)
        features = self.run(tokens, positions, attend)
        attend.finish()
        return features

    def run(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """``forward`` under any attention; with ``WholeAttention`` there is no cache."""
        x = self.embedding[tokens].to(self.precision.activations)
        angles = self.rope(positions)
        for block in self.blocks:
            x = block(x, angles, attend)
        return self.norm(x)

    def logits(self, features: Tensor) -> Tensor:
        """Float32 scores [R, V] of ``features`` [R, H]."""
        return self.project(features).float()

    def new_cache(self, rows: int) -> KVCache:
        """An empty cache for one sequence with room for ``rows`` positions at first."""
        config, kind = self.config, self.precision.activations
        return KVCache(config.num_hidden_layers, config.num_key_value_heads, config.head_dim, rows, kind, self.device)
