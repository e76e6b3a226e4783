"""The best of very many scores, without a look at each by the slow road.

Knows: vectors of scores. Does not know: tokens, models.
PyTorch's maximum over a CPU vector runs at memory speed, its ``argmax``, ``topk`` and ``exp`` ten times slower: so the
maxima of blocks are taken first, and only the few blocks that can hold what is sought are looked into.
"""

from __future__ import annotations

from math import e as EULER
from math import log, log2

import torch
from torch import Tensor

from frspec.speculation.noise import gumbel_of

BLOCK, COLUMN = 256, 64
"""Scores in a block of ``argmax``, and in one of the others."""
FEW = 4096
"""Up to so many scores the plain functions are as fast."""


def argmax(scores: Tensor) -> int:
    """The place of the largest of scores [V], the first of equals."""
    blocks = len(scores) // BLOCK
    if len(scores) <= FEW or scores.device.type != "cpu":
        return int(scores.argmax())
    head, tail = scores[: blocks * BLOCK].view(blocks, BLOCK), scores[blocks * BLOCK :]
    block = int(head.amax(1).argmax())
    best = block * BLOCK + int(head[block].argmax())
    if len(tail) and tail.max() > scores[best]:
        return blocks * BLOCK + int(tail.argmax())
    return best


def noisy_argmax(scores: Tensor, bits: Tensor) -> int:
    """``(scores + gumbel_of(bits)).argmax()`` in float64 for scores [V] and bits [V] int32, bit for bit.

    A block's largest score plus its largest noise bounds what is in it, so the logarithms are those of the block
    maxima and of the few blocks whose bound reaches the best that the most promising block holds.
    """
    count = len(scores) // COLUMN
    if len(scores) <= FEW:
        return int((scores.double() + gumbel_of(bits)).argmax())
    tail = torch.arange(count * COLUMN, len(scores), device=scores.device)
    steps = torch.arange(0, count * COLUMN, count, device=scores.device)  # block i holds places i, i + count, ...

    def exact(columns: Tensor) -> tuple[Tensor, Tensor]:
        places = torch.cat([(steps[:, None] + columns).flatten(), tail])  # ascending, so the first of equals wins
        return places, scores[places].double() + gumbel_of(bits[places])

    grid = slice(0, count * COLUMN)
    bounds = scores[grid].view(COLUMN, count).amax(0).double() + gumbel_of(bits[grid].view(COLUMN, count).amax(0))
    least = exact(bounds.argmax()[None])[1].max()
    places, noisy = exact((~(bounds < least)).nonzero()[:, 0])
    return int(places[noisy.argmax()])


def top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of each row of scores [R, n], best first, and their places; both [R, count]."""
    rows, size = scores.shape
    columns = size // COLUMN
    if size <= FEW or scores.device.type != "cpu" or count > columns:
        found = scores.topk(count)
        return found.values, found.indices
    grid = scores[:, : columns * COLUMN].view(rows, COLUMN, columns)
    best = grid.amax(1).topk(count).indices  # the largest scores lie in the blocks with the largest maxima
    candidates = grid.gather(2, best[:, None].expand(-1, COLUMN, -1)).flatten(1)
    candidates = torch.cat([candidates, scores[:, columns * COLUMN :]], 1)
    values, places = candidates.topk(count)
    inside = (places // count) * columns + best.gather(1, places % count)
    return values, torch.where(places < COLUMN * count, inside, places + columns * COLUMN - COLUMN * count)


def logsumexp(scores: Tensor) -> Tensor:
    """``scores.logsumexp(-1, keepdim=True)`` of finite scores [..., n]; powers of two cost a quarter of those of e."""
    largest = scores.amax(-1, keepdim=True)
    total = scores.sub(largest).mul_(log2(EULER)).exp2_().sum(-1, keepdim=True)
    return total.log2_().mul_(log(2)).add_(largest)
