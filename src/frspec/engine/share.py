"""One request's rows of a target pass.

Knows: which rows are whose and whose logits are needed. Does not know: how they were drafted or are judged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from frspec.engine.request import Request
from frspec.models.cache import KVCache
from frspec.models.segments import Segment
from frspec.types import TokenTree


@dataclass
class Share:
    """A drafted tree, or (``reading``) a chunk of what the request has yet to read, which is a chain.

    rows: its place in the flat batch; wanted: the rows of the tree whose logits are needed.
    """

    request: Request
    tree: TokenTree
    reading: bool
    rows: slice = field(default_factory=lambda: slice(0))

    @property
    def cache(self) -> KVCache:
        """The request's cache."""
        assert self.request.cache is not None
        return self.request.cache

    @property
    def samples(self) -> bool:
        """Whether the target's next token comes out of this pass."""
        return not self.reading or (len(self.tree) == self.request.unread and not self.request.output.token_ids)

    @property
    def wanted(self) -> range:
        """Rows of the tree whose logits are needed."""
        rows = range(len(self.tree))
        if not self.reading or self.request.params.prompt_logprobs is not None:
            return rows
        return rows[-1:] if self.samples else rows[:0]

    @property
    def positions(self) -> Tensor:
        """[N] int64 absolute positions."""
        return self.tree.depths + self.cache.length

    def segment(self, device: torch.device) -> Segment:
        """The share as the target sees it."""
        chain = self.reading or self.tree.is_chain()
        return Segment(self.cache, len(self.tree), None if chain else self.tree.ancestors().to(device))
