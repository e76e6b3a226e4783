"""A matrix of which only the first rows may be wanted, how many being decided from product to product.

Knows: rows in blocks. Does not know: what the rows stand for. Blocks end where sizes end, so a smaller size is made of
the first blocks of a larger one and every row is held once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from frspec.models.layers.linear import Linear, Matrix
from frspec.models.layers.split import Split, cores_for

FINEST = 4096
"""Rows of a block where cores share a product: so many that a call's cost is small beside it, so few that the cores'
shares come out equal."""


class Joined:
    """The products of several matrices with the same rows, side by side."""

    def __init__(self, parts: Sequence[Linear]) -> None:
        self.parts = list(parts)
        self.rows = sum(part.rows for part in parts)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.cat([part(x) for part in self.parts], 1)


Product = Linear | Split | Joined


def prefixes(weight: Matrix, sizes: Sequence[int], on_cores: bool) -> dict[int, Product]:
    """For each of ``sizes`` the product with the first so many rows of ``weight`` [out, in], all over the same memory.

    sizes: ascending, the last is ``out``. on_cores: share large products between cores (see ``split``).
    """
    ends = [0, *sizes]
    if on_cores:
        ends = sorted({*ends, *range(FINEST, sizes[-1], FINEST)})
    blocks = [(end, Linear(_own(weight[start:end]))) for start, end in pairwise(ends)]
    found: dict[int, Product] = {}
    for size in sizes:
        parts = [block for end, block in blocks if end <= size]
        cores = min(cores_for(size * weight.shape[1]), len(parts)) if on_cores else 1
        shares = [_joined(share) for share in _shares(parts, cores)]
        found[size] = Split(shares) if cores > 1 else shares[0]
    return found


def _own(rows: Matrix) -> Matrix:
    """A copy: small blocks are kept as they are, and a view of them would keep the whole matrix."""
    return rows.clone() if isinstance(rows, Tensor) else rows.contiguous()


def _joined(parts: Sequence[Linear]) -> Linear | Joined:
    return parts[0] if len(parts) == 1 else Joined(parts)


def _shares(parts: Sequence[Linear], cores: int) -> list[Sequence[Linear]]:
    """``parts`` in ``cores`` runs of about as many rows."""
    total, done, shares = sum(part.rows for part in parts), 0, list[list[Linear]]()
    for place, part in enumerate(parts):
        left = len(parts) - place
        if len(shares) < cores and (not shares or done >= total * len(shares) / cores or left <= cores - len(shares)):
            shares.append([])
        shares[-1].append(part)
        done += part.rows
    return list(shares)
