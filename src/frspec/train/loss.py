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
ROWS = 256
"""Rows whose scores are held at once; larger chunks leave the processor's cache and take twice as long."""


@dataclass(frozen=True)
class Loss:
    """Means over the weighted rows, and ``gradient`` [T, H] of their weighted sum in the predicted features."""

    feature: float
    token: float
    gradient: Tensor

    @property
    def total(self) -> float:
        """What is minimised."""
        return FEATURE_WEIGHT * self.feature + TOKEN_WEIGHT * self.token


def feature_and_token_loss(predicted: Tensor, wanted: Tensor, weights: Tensor, head: Tensor) -> Loss:
    """SmoothL1 between features, and cross-entropy between the distributions that ``head`` makes of them.

    ``predicted`` [T, H] float32, ``wanted`` [T, H] the target's, ``weights`` [T] float32 of which some are positive,
    ``head`` [V, H]. Rows count in proportion to their weights.
    """
    share = weights / weights.sum()
    gradient = torch.empty_like(predicted)
    feature = token = torch.zeros((), device=predicted.device)
    with torch.no_grad():
        for first in range(0, len(predicted), ROWS):
            part = slice(first, first + ROWS)
            near, near_slope = _smooth_l1(predicted[part], wanted[part].float())
            cross, cross_slope = _cross_entropy(predicted[part], wanted[part], head)
            feature, token = feature + near @ share[part], token + cross @ share[part]
            slope = near_slope.mul_(FEATURE_WEIGHT).add_(cross_slope, alpha=TOKEN_WEIGHT)
            torch.mul(slope, share[part, None], out=gradient[part])
    return Loss(feature.item(), token.item(), gradient)


def _smooth_l1(predicted: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row: the mean over its width [T], and its gradient in ``predicted`` [T, H]."""
    loss = F.smooth_l1_loss(predicted, wanted, reduction="none").mean(-1)
    return loss, (predicted - wanted).clamp_(-1, 1).div_(predicted.shape[-1])


def _cross_entropy(predicted: Tensor, wanted: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    """Of each row: -Σ p log q [T], and its gradient in ``predicted`` [T, H], which is (q - p) @ head."""
    p = product(wanted.to(head.dtype), head).float().softmax(-1)
    log_q = product(predicted.to(head.dtype), head).float().log_softmax(-1)
    loss = -torch.linalg.vecdot(p, log_q)
    slope = log_q.exp_().sub_(p)
    return loss, product(slope.to(head.dtype), head.t()).float()
