"""Grows dynamic draft trees (EAGLE-2, arXiv 2406.16858) for several requests at once.

Knows: scores, frontiers, the plan that was made. Does not know: what model stands behind the features.
Each round expands the ``width`` best frontier nodes by cumulative log-probability to ``width`` children each;
at the end the best ``nodes`` of all candidates seen are kept, parents first. Width 1 is a chain, which may end early.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.head import DraftHead
from frspec.speculation.plan import Plan, Stop
from frspec.types import TokenTree

CLASSES = 16
"""Of how sure a draft head is of a token: sixteenths of its probability."""
SURENESS = tuple((kind + 0.5) / CLASSES for kind in range(CLASSES))
"""What a class says if the head is right about itself."""


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
    backbone: Backbone, head: DraftHead, states: Sequence[DraftState], plan: Plan, clock: Clock
) -> list[TokenTree]:
    """One tree per state. No node is deeper than its state's ``room``."""
    shape, rows = plan.shape, plan.rows
    batch, width = len(states), min(shape.width, rows or head.size, shape.nodes)
    deepest = min(shape.depth, shape.nodes, max(state.room for state in states))
    for state in states:
        state.guesses = []
    if width == 1:
        return _grow_chains(backbone, head, states, deepest, plan, clock)
    features = backbone.catch_up(states)
    clock.lap("draft layer")
    scores, tokens = (found[:, 0] for found in head.best(features[:, None], states, 1, width, rows))
    clock.lap("draft head")
    candidates, expanded = [(tokens, scores)], list[Tensor]()
    features = features[:, None].expand(-1, width, -1)
    own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(batch, width, width)
    masks = own
    for depth in range(1, deepest):
        features = backbone.extend(states, depth, tokens, features, masks)
        clock.lap("draft layer")
        child_scores, child_tokens = head.best(features, states, depth + 1, width, rows)
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
    backbone: Backbone, head: DraftHead, states: Sequence[DraftState], deepest: int, plan: Plan, clock: Clock
) -> list[TokenTree]:
    """Trees of width 1: nothing to choose from, so no scores but those that tell when to end."""
    features = backbone.catch_up(states)
    clock.lap("draft layer")
    drafted, reach = list[Tensor](), [[1.0] for _ in states]
    for depth in range(deepest):
        if depth:
            features = backbone.extend(states, depth, drafted[-1][:, None], features[:, None], None)[:, 0]
            clock.lap("draft layer")
        if plan.stop is None:
            drafted.append(head.likeliest(features, states, depth + 1, plan.rows))
        else:
            tokens, shares = head.surest(features, states, depth + 1, plan.rows)
            drafted.append(tokens)
            _note_guesses(states, tokens, shares, reach, plan.stop)
        clock.lap("draft head")
        if plan.stop is not None and not plan.stop.goes_on([chances[-1] for chances in reach], depth + 1):
            break
    backbone.drop(states)
    trees = []
    for state, row, chances in zip(states, torch.stack(drafted, 1).tolist(), reach, strict=True):
        worth = len(row) if plan.stop is None else _worth(chances[1:], plan.stop.node_price)
        trees.append(TokenTree.chain([state.tokens[-1], *row[: min(worth, state.room)]]))
    clock.lap("draft tree")
    return trees


def _note_guesses(
    states: Sequence[DraftState], tokens: Tensor, shares: Sequence[float], reach: list[list[float]], stop: Stop
) -> None:
    """Keep each state's new token, how sure the head was of it, and how likely its chain now holds so far."""
    for state, token, share, chances in zip(states, tokens.tolist(), shares, reach, strict=True):
        surety = min(int(share * CLASSES), CLASSES - 1)
        state.guesses.append((token, surety))
        chances.append(chances[-1] * stop.chances[surety])


def _worth(chances: Sequence[float], price: float) -> int:
    """How many tokens of a chain to verify; the chances that it holds so far only fall."""
    return sum(chance >= price for chance in chances)


def _select(
    candidates: Sequence[tuple[Tensor, Tensor]], expanded: Sequence[Tensor], states: Sequence[DraftState], nodes: int
) -> list[TokenTree]:
    """Keep the best ``nodes`` of all (tokens, scores) [B, n] seen, level by level; a tie goes to the parent.

    The first level's n = w candidates were all expanded, each to w of the next level; of a later one those at
    ``expanded`` [B, w], in that order.
    """
    width = candidates[0][0].shape[1]
    rooms = torch.tensor([[state.room] for state in states])
    tokens = torch.cat([tokens for tokens, _ in candidates], 1)
    scores = torch.cat([scores for _, scores in candidates], 1)
    depths = _depths(width, len(candidates), scores.device)
    if int(rooms.min()) < len(candidates):  # what is too deep to be accepted must not take another's place
        scores = scores.masked_fill(depths > rooms.to(scores.device), -torch.inf)
    # Candidates stand level by level, so a stable sort breaks ties for the parent and index order is tree order.
    chosen = scores.sort(dim=1, descending=True, stable=True).indices[:, :nodes].sort(1).values
    parents = torch.searchsorted(chosen, _parents(chosen, width, expanded)) + 1
    parents = parents.masked_fill_(chosen < width, 0)
    count = chosen.shape[1]
    found = torch.cat([tokens.gather(1, chosen), parents, depths[chosen]], 1).cpu()  # one transfer for everything
    return [_tree(row.view(3, count), state) for row, state in zip(found, states, strict=True)]


def _depths(width: int, levels: int, device: torch.device) -> Tensor:
    """[n]: the depth of each candidate."""
    below = torch.arange(2, levels + 1, device=device).repeat_interleave(width * width)
    return torch.cat([torch.ones(width, dtype=torch.int64, device=device), below])


def _parents(chosen: Tensor, width: int, expanded: Sequence[Tensor]) -> Tensor:
    """[B, n]: the candidates above ``chosen`` [B, n]; anything for those of the first level."""
    first = torch.arange(width, device=chosen.device).expand(len(chosen), -1)
    starts = [width + level * width * width for level in range(len(expanded))]
    opened = torch.cat([first, *(kept + start for kept, start in zip(expanded, starts, strict=True))], 1)
    below = (chosen - width).clamp_(min=0)
    return opened.gather(1, below // (width * width) * width + below % (width * width) // width)


def _tree(found: Tensor, state: DraftState) -> TokenTree:
    """The tree of tokens, parents and depths [3, n] under its root."""
    root = found.new_tensor([[state.tokens[-1]], [0], [0]])
    fitting = int(torch.searchsorted(found[2].contiguous(), state.room, right=True))  # depths ascend
    tokens, parents, depths = torch.cat([root, found[:, :fitting]], 1)
    return TokenTree(tokens, parents, depths)
