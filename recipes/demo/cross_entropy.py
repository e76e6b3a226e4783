"""Cross-entropy over a table some of whose rows stand for many tokens, without ever holding all scores.

Knows: features, targets, a table. Does not know: models, vocabularies.
Scores exist for a few rows at a time; their gradient has a closed form, so nothing is kept for later.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.models.layers.linear import product

ROWS = 512
"""Features whose scores are held at once."""


@dataclass(frozen=True)
class Slopes:
    """The mean loss in nats, and its gradients in the features [T, H] and in the table [R, H] (float32)."""

    loss: float
    features: Tensor
    table: Tensor


def cross_entropy(features: Tensor, table: Tensor, targets: Tensor, weights: Tensor, log_counts: Tensor) -> Slopes:
    """Of ``features`` [T, H] against the rows ``targets`` [T] int64 of ``table`` [R, H], both of one dtype.

    Features count in proportion to ``weights`` [T], of the same dtype. Row r of the table stands for
    exp(``log_counts`` [R]) tokens with the same score each.
    """
    size = weights.sum(dtype=torch.float32)
    shares = weights.float() / size
    by_features, by_table = torch.empty_like(features), torch.zeros_like(table, dtype=torch.float32)
    total = torch.zeros(())
    with torch.no_grad():
        for first in range(0, len(features), ROWS):
            part = slice(first, first + ROWS)
            rows, wanted = features[part], targets[part, None]
            chances, loss = _chances(rows, table, wanted, log_counts)
            total += loss @ shares[part]
            slope = chances.scatter_add_(1, wanted, chances.new_full(wanted.shape, -1.0)).to(table.dtype)
            by_features[part] = product(slope, table.t())
            by_table += product(slope.t(), (rows * weights[part, None]).t())
    return Slopes(total.item(), by_features * shares[:, None].to(by_features.dtype), by_table / size)


def losses(features: Tensor, table: Tensor, targets: Tensor, log_counts: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row the loss and the share of probability on the table's last row, [T] float32 both; no gradient."""
    found, shares = list[Tensor](), list[Tensor]()
    with torch.no_grad():
        for first in range(0, len(features), ROWS):
            part = slice(first, first + ROWS)
            chances, loss = _chances(features[part], table, targets[part, None], log_counts)
            found.append(loss)
            shares.append(chances[:, -1].clone())
    return torch.cat(found), torch.cat(shares)


def _chances(rows: Tensor, table: Tensor, wanted: Tensor, log_counts: Tensor) -> tuple[Tensor, Tensor]:
    """The probability that each table row's tokens have together [n, R], and the loss of each feature [n]."""
    chances = product(rows, table).float().add_(log_counts).softmax(1)
    own = chances.gather(1, wanted).clamp_min_(torch.finfo(torch.float32).tiny).log_()
    return chances, log_counts[wanted.squeeze(1)] - own.squeeze(1)
