"""What a draft looks like.

Knows: what makes a tree of tokens whole. Does not know: who drafts it, who verifies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

INT64 = "torch.int64"


@dataclass(frozen=True)
class TokenTree:
    """A drafted tree, root first and every parent before its children.

    ``tokens`` [N] int64: node 0 is the last token of the text itself, the others are drafts.
    ``parents`` [N] int64: the index of each node's parent; the root's is 0.
    ``depths`` [N] int64: 0 for the root. At most one child per token under a node. A chain is a tree.
    """

    tokens: Tensor
    parents: Tensor
    depths: Tensor

    def __len__(self) -> int:
        return self.tokens.shape[0]

    @staticmethod
    def chain(tokens: Sequence[int]) -> TokenTree:
        """The tree whose only path is ``tokens`` (root first)."""
        import torch

        steps = torch.arange(len(tokens))
        return TokenTree(torch.tensor(tokens, dtype=torch.int64), (steps - 1).clamp_(min=0), steps)

    def is_chain(self) -> bool:
        """Whether every node is the child of the one before it."""
        return bool(self.depths[-1] == len(self) - 1)

    def ancestors(self) -> Tensor:
        """[N, N] bool: row i marks node i and all nodes above it."""
        import torch

        own = torch.eye(len(self), dtype=torch.bool, device=self.tokens.device)
        seen = own
        for _ in range(int(self.depths.max())):
            seen = own | seen[self.parents]
        return seen

    def check(self, root: int, vocab_size: int, room: int, max_nodes: int) -> None:
        """Make sure of the invariants above, and that the tree hangs from ``root`` and fits.

        Raises:
            ValueError: naming what is wrong; the target must never see such a tree.
        """
        for part in (self.tokens, self.parents, self.depths):
            if (part.dim(), part.shape, part.device.type) != (1, self.tokens.shape, "cpu") or str(part.dtype) != INT64:
                raise ValueError("tokens, parents and depths are three int64 vectors of one length on the CPU")
        parents, depths, tokens = self.parents.tolist(), self.depths.tolist(), self.tokens.tolist()
        if not tokens or (tokens[0], parents[0], depths[0]) != (root, 0, 0):
            raise ValueError(f"the tree does not begin with the text's last token {root}")
        if len(tokens) > max_nodes + 1 or max(depths) > room:
            raise ValueError(f"{len(tokens) - 1} nodes, {max(depths)} deep, do not fit in {max_nodes} and {room}")
        if min(tokens) < 0 or max(tokens) >= vocab_size:
            raise ValueError(f"a token lies outside the vocabulary of {vocab_size}")
        for node in range(1, len(tokens)):
            if not 0 <= parents[node] < node or depths[node] != depths[parents[node]] + 1:
                raise ValueError("a parent comes before its children, and a depth is its parent's plus one")
        edges = set(zip(parents[1:], tokens[1:], strict=True))
        if len(edges) != len(tokens) - 1:
            raise ValueError("a node has two children of the same token")
