"""One decoder for every family. Knows: tokens in, features and logits out. Does not know: files, drafting.

Gradients and inference mode are the caller's business; both work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import ref

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

    ``embedding`` [V, H] and ``head`` [V, H] (the same tensor when tied) come in any type, such as mappings of the file
    they are in; ``dtype`` is what the weights are meant to be, by itself the embedding's own. ``project`` multiplies
    with the whole head. ``precision`` is that of ``blocks``, by itself ``dtype`` throughout.
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
        dtype: torch.dtype | None = None,
    ) -> None:
        self.config = config
        self.embedding = embedding
        self.blocks = list(blocks)
        self.norm = norm
        self.dtype = dtype or embedding.dtype
        self.precision = precision or Precision(self.dtype, self.dtype)
        self._stored_head = head
        self._converted: Callable[[], Tensor | None] = lambda: None
        rows = self.precision.hold(self.head)
        self.project = split(rows) if self.precision.light and isinstance(rows, Tensor) else Linear(rows)
        self.rope = rope

    @property
    def head(self) -> Tensor:
        """The LM head's own weights in ``dtype``, to be read, never written: drafters slice them, training reads them.

        Where the checkpoint has another type they are converted anew, unless somebody still holds them: a large
        matrix that few want, and then for a moment.
        """
        if self._stored_head.dtype == self.dtype:
            return self._stored_head
        head = self._converted()
        if head is None:
            head = self._stored_head.to(self.dtype)
            self._converted = ref(head)
        return head

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
