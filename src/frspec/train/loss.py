"""How far predicted features are from the target's, in themselves and in the tokens they stand for.

Knows: EAGLE's two losses (arXiv 2401.15077, section 4.2). Does not know: heads, optimisers, sequences.
Scores over the vocabulary exist for a few rows at a time: their gradient has a closed form and is added to the
features' at once, so memory does not grow with tokens times vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.models.layers.linear import product

FEATURE_WEIGHT, TOKEN_WEIGHT = 1.0, 0.1
ROWS = 128
"""Features whose scores are held at once; larger chunks of a large vocabulary leave the processor's cache."""


@dataclass(frozen=True)
class Loss:
    """Means over pairs, or the part of such means that some of the pairs make up."""

    feature: float
    token: float

    @property
    def total(self) -> float:
        """What is minimised."""
        return FEATURE_WEIGHT * self.feature + TOKEN_WEIGHT * self.token

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.feature + other.feature, self.token + other.token)


def feature_and_token_loss(predicted: Tensor, wanted: Tensor, rows: Tensor, pairs: int) -> tuple[Loss, Tensor]:
    """SmoothL1 between features, and cross-entropy between the distributions that ``rows`` make of them.

    ``predicted`` and ``wanted`` [N, H], the target's; ``rows`` [V', H]: those of the LM head whose tokens the
    distributions are over, each softmax over these tokens alone. Returns the sums over N divided by ``pairs``, and
    the gradient of their weighted sum in ``predicted``, float32 [N, H].
    """
    count = len(predicted)
    whole = -(-count // ROWS) * ROWS  # one shape for all chunks: with oneDNN every new one costs memory for good
    predicted, wanted = (F.pad(x, (0, 0, 0, whole - count)) for x in (predicted, wanted))
    gradient = torch.empty(predicted.shape, device=predicted.device)
    feature, token = torch.zeros((2, whole), device=predicted.device)
    with torch.no_grad():
        for first in range(0, whole, ROWS):
            part = slice(first, first + ROWS)
            feature[part], near = _smooth_l1(predicted[part].float(), wanted[part].float())
            token[part], cross = _cross_entropy(predicted[part], wanted[part], rows)
            gradient[part] = near.mul_(FEATURE_WEIGHT).add_(cross, alpha=TOKEN_WEIGHT)
    loss = Loss(feature[:count].sum().item() / pairs, token[:count].sum().item() / pairs)
    return loss, gradient[:count].div_(pairs)


def _smooth_l1(predicted: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row: the mean over its width [n], and its gradient in ``predicted`` [n, H]."""
    loss = F.smooth_l1_loss(predicted, wanted, reduction="none").mean(-1)
    return loss, (predicted - wanted).clamp_(-1, 1).div_(predicted.shape[-1])


def _cross_entropy(predicted: Tensor, wanted: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row: -Σ p log q [n], and its gradient in ``predicted`` [n, H], which is (q - p) @ rows."""
    p = product(wanted.to(rows.dtype), rows).float().softmax(-1)
    log_q = product(predicted.to(rows.dtype), rows).float().log_softmax(-1)
    loss = -torch.linalg.vecdot(p, log_q)
    slope = log_q.exp_().sub_(p)
    return loss, product(slope.to(rows.dtype), rows.t()).float()
