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
        self, states: Sequence[DraftState], depth: int, tokens: Tensor, features: Tensor, masks: Tensor
    ) -> Tensor:
        """Run frontier nodes of one depth: tokens [B, k], their parents' features [B, k, H] -> [B, k, H].

        masks [B, k, rows]: which of the tree rows fed this round (these k last) each node sees.
        """
        ...

    def drop(self, states: Sequence[DraftState]) -> None:
        """Forget the tree rows."""
        ...


@dataclass
class _Level:
    """Candidates of one depth: tokens, scores, parents [B, n]; parents index all candidates, root = 0."""

    tokens: Tensor
    scores: Tensor
    parents: Tensor


def grow(
    backbone: Backbone, head: DraftHead, states: Sequence[DraftState], shape: TreeShape, clock: Clock
) -> list[TokenTree]:
    """One tree per state. No node is deeper than its state's ``room``."""
    features = backbone.catch_up(states)
    clock.lap("draft layer")
    batch, width = len(states), min(shape.width, head.size, shape.nodes)
    scores, tokens = head.best(features[:, None], states, 1, width)
    clock.lap("draft head")
    device = tokens.device
    levels = [_Level(tokens[:, 0], scores[:, 0], torch.zeros(batch, width, dtype=torch.int64, device=device))]
    frontier = torch.arange(1, width + 1, device=device).expand(batch, width)
    tokens, scores, features = tokens[:, 0], scores[:, 0], features[:, None].expand(-1, width, -1)
    own = torch.eye(width, dtype=torch.bool, device=device).expand(batch, width, width)
    masks, first = own, 1 + width
    for depth in range(1, min(shape.depth, max(state.room for state in states))):
        features = backbone.extend(states, depth, tokens, features, masks)
        clock.lap("draft layer")
        child_scores, child_tokens = head.best(features, states, depth + 1, width)
        clock.lap("draft head")
        child_scores = (child_scores + scores[..., None]).flatten(1)
        child_tokens = child_tokens.flatten(1)
        levels.append(_Level(child_tokens, child_scores, frontier.repeat_interleave(width, 1)))
        scores, kept = child_scores.topk(width)
        tokens, above = child_tokens.gather(1, kept), kept // width
        frontier = first + kept
        features = features.gather(1, above[..., None].expand(-1, -1, features.shape[-1]))
        masks = torch.cat([masks.gather(1, above[..., None].expand(-1, -1, masks.shape[-1])), own], 2)
        first += width * width
    backbone.drop(states)
    trees = _select(levels, states, shape.nodes)
    clock.lap("draft tree")
    return trees


def _select(levels: list[_Level], states: Sequence[DraftState], nodes: int) -> list[TokenTree]:
    """Keep the best ``nodes`` candidates; a tie goes to the parent, so what is kept is a tree."""
    scores = torch.cat([level.scores for level in levels], 1)
    parents = torch.cat([level.parents for level in levels], 1)
    tokens = torch.cat([level.tokens for level in levels], 1)
    batch, count = scores.shape
    depths = torch.cat([torch.full((level.tokens.shape[1],), i + 1) for i, level in enumerate(levels)])
    # A node below its state's room could never be accepted; it must not take the place of one that could.
    rooms = torch.tensor([[state.room] for state in states])
    scores = scores.masked_fill((depths > rooms).to(scores.device), -torch.inf)
    # Candidates stand level by level, so a stable sort breaks ties for the parent and index order is tree order.
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :nodes].sort(1).values
    place = torch.zeros(batch, count + 1, dtype=torch.int64, device=scores.device)
    steps = torch.arange(1, best.shape[1] + 1, device=scores.device).expand_as(best)
    place.scatter_(1, best + 1, steps)
    parents = place.gather(1, parents.gather(1, best)).cpu()
    tokens, depths = tokens.gather(1, best).cpu(), depths[best.cpu()]
    zero = torch.zeros(1, dtype=torch.int64)
    trees = []
    for row, state in enumerate(states):
        fits = slice(0, int((depths[row] <= state.room).sum()))
        root = torch.tensor(state.tokens[-1:])
        trees.append(
            TokenTree(
                torch.cat([root, tokens[row, fits]]),
                torch.cat([zero, parents[row, fits]]),
                torch.cat([zero, depths[row, fits]]),
            )
        )
    return trees
