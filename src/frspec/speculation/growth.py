"""Grows dynamic draft trees (EAGLE-2, arXiv 2406.16858) for several requests at once.

Knows: scores, frontiers, the shape that was asked for. Does not know: what model stands behind the features.
Each round expands the ``width`` best frontier nodes by cumulative log-probability to ``width`` children each;
at the end the best ``nodes`` of all candidates seen are kept, parents first. Width 1 is a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.errors import UserError
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.head import DraftHead
from frspec.types import TokenTree

LARGEST = 512
"""No tree is wider, deeper or has more nodes: its mask grows with the square, its use ends long before."""


@dataclass(frozen=True)
class TreeShape:
    """How large a draft may be: ``nodes`` drafted tokens, at most ``depth`` deep, ``width`` wide."""

    nodes: int = 15
    depth: int = 5
    width: int = 4

    def __post_init__(self) -> None:
        for name in ("nodes", "depth", "width"):
            if not 1 <= getattr(self, name) <= LARGEST:
                raise UserError(f"the tree's {name} is {getattr(self, name)}; it must be from 1 to {LARGEST}")


class Backbone(Protocol):
    """A draft model seen from its tree: features in, features out."""

    def catch_up(self, states: Sequence[DraftState]) -> Tensor:
        """Take in what was committed since the last round; [B, H]: the feature after each root."""
        ...

    def extend(
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor | None
    ) -> Tensor:
        """Run frontier nodes of one depth: tokens [B, k], their parents' features [B, k, H] -> [B, k, H].

        masks [B, k, rows]: which of the tree rows fed this round (these k last) each node sees; None: k is 1, and it
        sees them all.
        """
        ...

    def drop(self, states: Sequence[DraftState]) -> None:
        """Forget the tree rows."""
        ...


def grow(
    backbone: Backbone, head: DraftHead, states: Sequence[DraftState], shape: TreeShape, clock: Clock
) -> list[TokenTree]:
    """One tree per state. No node is deeper than its state's ``room``."""
    batch, width = len(states), min(shape.width, head.size, shape.nodes)
    if width == 1:
        return _grow_chains(backbone, head, states, min(shape.depth, shape.nodes), clock)
    features = backbone.catch_up(states)
    clock.lap("draft layer")
    scores, tokens = (found[:, 0] for found in head.best(features[:, None], states, 1, width))
    clock.lap("draft head")
    candidates, expanded = [(tokens, scores)], list[Tensor]()
    features = features[:, None].expand(-1, width, -1)
    own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(batch, width, width)
    masks = own
    for depth in range(1, min(shape.depth, max(state.room for state in states))):
        features = backbone.extend(states, depth, tokens, features, masks)
        clock.lap("draft layer")
        child_scores, child_tokens = head.best(features, states, depth + 1, width)
        clock.lap("draft head")
        child_scores, child_tokens = (child_scores + scores[..., None]).flatten(1), child_tokens.flatten(1)
        candidates.append((child_tokens, child_scores))
        scores, kept = child_scores.topk(width)
        expanded.append(kept)
        tokens, above = child_tokens.gather(1, kept), kept // width
        features = features.gather(1, above[..., None].expand(-1, -1, features.shape[-1]))
        masks = torch.cat([masks.gather(1, above[..., None].expand(-1, -1, masks.shape[-1])), own], 2)
    backbone.drop(states)
    trees = _select(candidates, expanded, states, shape.nodes)
    clock.lap("draft tree")
    return trees


def _grow_chains(
    backbone: Backbone, head: DraftHead, states: Sequence[DraftState], depth: int, clock: Clock
) -> list[TokenTree]:
    """Trees of width 1: nothing to choose from, so no scores."""
    features = backbone.catch_up(states)
    clock.lap("draft layer")
    drafted = [head.likeliest(features, states, 1)]
    clock.lap("draft head")
    for level in range(1, min(depth, max(state.room for state in states))):
        features = backbone.extend(states, level, drafted[-1][:, None], features[:, None], None)[:, 0]
        clock.lap("draft layer")
        drafted.append(head.likeliest(features, states, level + 1))
        clock.lap("draft head")
    backbone.drop(states)
    rows = torch.stack(drafted, 1).tolist()
    trees = [TokenTree.chain([state.tokens[-1], *row[: state.room]]) for state, row in zip(states, rows, strict=True)]
    clock.lap("draft tree")
    return trees


def _select(
    candidates: Sequence[tuple[Tensor, Tensor]], expanded: Sequence[Tensor], states: Sequence[DraftState], nodes: int
) -> list[TokenTree]:
    """Keep the best ``nodes`` of all (tokens, scores) [B, n] seen, level by level; a tie goes to the parent.

    The first level's n = w candidates were all expanded, each to w of the next level; of a later one those at
    ``expanded`` [B, w], in that order.
    """
    width = candidates[0][0].shape[1]
    rooms = [state.room for state in states]
    # A node below its state's room could never be accepted; it must not take the place of one that could.
    levels = [
        scores if min(rooms) > level else scores.masked_fill(_too_deep(rooms, level, scores), -torch.inf)
        for level, (_, scores) in enumerate(candidates)
    ]
    # Candidates stand level by level, so a stable sort breaks ties for the parent and index order is tree order.
    best = torch.cat(levels, 1).sort(dim=1, descending=True, stable=True).indices[:, :nodes].sort(1).values
    tokens = torch.cat([tokens for tokens, _ in candidates], 1)
    together = torch.cat([best, tokens.gather(1, best), *expanded], 1).tolist()  # one transfer for everything
    count = best.shape[1]
    trees = []
    for row, state in zip(together, states, strict=True):
        opened = [list(range(width)), *(row[at : at + width] for at in range(2 * count, len(row), width))]
        trees.append(_tree(row[:count], row[count : 2 * count], opened, state))
    return trees


def _too_deep(rooms: Sequence[int], level: int, like: Tensor) -> Tensor:
    return torch.tensor([[level + 1 > room] for room in rooms], device=like.device)


def _tree(
    chosen: Sequence[int], tokens: Sequence[int], opened: Sequence[Sequence[int]], state: DraftState
) -> TokenTree:
    """The tree of ``chosen`` candidates, which ascend, and their tokens.

    ``opened[i]``: which of level i have children. The next level has one candidate per opened one and per child.
    """
    width = len(opened[0])
    found, parents, depths = {-1: 0}, [0], [0]
    for candidate in chosen:
        if candidate < width:
            parent, depth = -1, 1
        else:
            level, place = divmod(candidate - width, width * width)
            start = 0 if level == 0 else width + (level - 1) * width * width
            parent, depth = start + opened[level][place // width], level + 2
        if depth > state.room:
            break
        found[candidate] = len(parents)
        parents.append(found[parent])
        depths.append(depth)
    return TokenTree(
        torch.tensor([state.tokens[-1], *tokens[: len(parents) - 1]]), torch.tensor(parents), torch.tensor(depths)
    )
