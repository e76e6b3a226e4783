"""One step of training: a batch of windows in, gradients in the head's tensors out.

Knows: which feature predicts which, where noise goes. Does not know: optimisers, schedules, files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.models import Decoder, EagleHead, ModelConfig, WholeAttention
from frspec.train.loss import Loss, feature_and_token_loss


@dataclass(frozen=True)
class Batch:
    """Windows end to end: ``tokens`` [T] int64, ``counted`` [T] bool, and their ``lengths``, which add up to T."""

    tokens: Tensor
    counted: Tensor
    lengths: Sequence[int]


def backward(
    target: Decoder,
    config: ModelConfig,
    tensors: Mapping[str, Tensor],
    batch: Batch,
    noise: float,
    draws: torch.Generator,
) -> Loss:
    """Add the loss' gradients to the ``tensors`` of a head.

    In every window the pair (feature t, token t + 1) predicts feature t + 1. It counts if the token that this
    feature stands for, t + 2, does; for the window's last feature that token is unknown, and t + 1 decides.
    ``noise``: half the width of the uniform noise on input features, drawn from ``draws`` on the CPU.
    """
    device, ends = target.device, torch.tensor(batch.lengths).cumsum(0)
    last = torch.zeros(len(batch.tokens), dtype=torch.bool)
    last[ends - 1] = True
    inputs = (~last).nonzero().squeeze(1)
    positions = torch.cat([torch.arange(length) for length in batch.lengths]).to(device)
    following = torch.where(last[inputs + 1], inputs + 1, (inputs + 2).clamp_(max=len(last) - 1))
    weights = batch.counted[following].float().to(device)
    tokens = batch.tokens.to(device)
    with torch.no_grad():
        features = target.run(tokens, positions, WholeAttention(batch.lengths))
    inputs = inputs.to(device)
    seen = features[inputs].float()
    seen += (torch.rand(seen.shape, generator=draws) * 2 - 1).mul_(noise).to(device)
    head = EagleHead(config, tensors, target)
    pairs = WholeAttention([length - 1 for length in batch.lengths])
    predicted = head.run(tokens[inputs + 1], seen, positions[inputs], pairs)
    loss = feature_and_token_loss(predicted, features[inputs + 1], weights, target.head)
    torch.autograd.backward(predicted, loss.gradient)
    return loss
