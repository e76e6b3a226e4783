"""The best of very many scores, without a look at each by the slow road.

Knows: vectors of scores. Does not know: tokens, models.
PyTorch's maximum over a CPU vector runs at memory speed, its ``argmax``, ``topk`` and ``exp`` ten times slower: so the
maxima of blocks are taken first, and only the few blocks that can hold what is sought are looked into.
"""

from __future__ import annotations

from functools import lru_cache
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
    if len(tail) == 0 or bool(tail.max() <= scores[best]) or bool(scores[best].isnan()):
        return best
    return blocks * BLOCK + int(tail.argmax())


def noisy_argmax(scores: Tensor, bits: Tensor) -> int:
    """``(scores + gumbel_of(bits)).argmax()`` in float64 for scores [V] and bits [V] int32, bit for bit.

    A block's largest score plus its largest noise bounds what is in it, so the logarithms are those of the block
    maxima and of the few blocks whose bound reaches the best that the most promising block holds.
    """
    count = len(scores) // COLUMN
    if len(scores) <= FEW:
        return int((scores.double() + gumbel_of(bits)).argmax())
    tail = torch.arange(count * COLUMN, len(scores), device=scores.device)

    def exact(columns: Tensor) -> tuple[Tensor, Tensor]:
        places = (_steps(count, scores.device) + columns).flatten()  # ascending, so the first of equals wins
        places = torch.cat([places, tail]) if len(tail) else places
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
    largest = scores[:, : columns * COLUMN].view(rows, COLUMN, columns).amax(1)
    best = largest.topk(count).indices  # the largest scores lie in the blocks with the largest maxima
    places = (_steps(columns, scores.device) + best[:, None]).flatten(1)
    if size % COLUMN:
        tail = torch.arange(columns * COLUMN, size, device=scores.device).expand(rows, -1)
        places = torch.cat([places, tail], 1)
    values, found_in = scores.gather(1, places).topk(count)
    return values, places.gather(1, found_in)


@lru_cache(maxsize=16)
def _steps(columns: int, device: torch.device) -> Tensor:
    """[COLUMN, 1]: what leads from a block's first place to all of them, for blocks that take turns."""
    return torch.arange(0, columns * COLUMN, columns, device=device)[:, None]


def log_shares(scores: Tensor, values: Tensor) -> Tensor:
    """Log-probabilities [R, k] of ``values`` [R, k], best first, among finite scores [R, n] that hold them.

    ``scores`` is overwritten. Powers of two cost a quarter of those of e.
    """
    largest = values[:, :1]
    total = scores.sub_(largest).mul_(log2(EULER)).exp2_().sum(-1, keepdim=True)
    return (values - largest).sub_(total.log2_(), alpha=log(2))
