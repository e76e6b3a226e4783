"""One step of training: windows in, gradients of the head's tensors out.

Knows: which feature predicts which, where noise goes. Does not know: optimisers, schedules, files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.models import Decoder, EagleHead, ModelConfig, WholeAttention
from frspec.train.corpus import Corpus
from frspec.train.loss import Loss, feature_and_token_loss

GRAIN = 16
"""Rows of a window and of a batch are filled up to multiples of this: for every new shape oneDNN keeps kernels, which
for attention over 500 different lengths were 1.3 GB."""


def filled(tokens: int) -> int:
    """Rows that a window of so many tokens takes."""
    return -(-tokens // GRAIN) * GRAIN


@dataclass(frozen=True)
class Batch:
    """Windows end to end, each filled up, and filling behind them: ``tokens`` [T] int64; ``counted`` [T] bool, whether
    row t's pair (feature t, token t + 1) is trained; ``lengths``, which add up to T; ``used``: tokens of the windows.
    """

    tokens: Tensor
    counted: Tensor
    lengths: Sequence[int]
    used: int

    @staticmethod
    def of(corpus: Corpus, windows: Sequence[slice], total: int) -> Batch:
        """``windows`` of ``corpus`` in ``total`` rows, a multiple of ``GRAIN`` with room for them filled up.

        In every window the pair (feature t, token t + 1) predicts feature t + 1. It counts if the token that this
        feature stands for, t + 2, does; for the window's last pair that token is unknown, and t + 1 decides.
        """
        tokens, counted = torch.zeros(total, dtype=torch.int64), torch.zeros(total, dtype=torch.bool)
        lengths, start, used = list[int](), 0, 0
        for window in windows:
            marks, length = corpus.counted[window], window.stop - window.start
            tokens[start : start + length] = corpus.tokens[window]
            counted[start : start + length - 1] = torch.cat((marks[2:], marks[-1:]))
            lengths.append(filled(length))
            start, used = start + lengths[-1], used + length
        while start < total:  # in pieces: attention takes time with the square of their length
            lengths.append(min(max(lengths), total - start))
            start += lengths[-1]
        return Batch(tokens, counted, lengths, used)


def gradients(
    target: Decoder,
    config: ModelConfig,
    tensors: Mapping[str, Tensor],
    rows: Tensor,
    batch: Batch,
    pairs: int,
    noise: Tensor | None,
) -> tuple[Loss, Sequence[Tensor]]:
    """A batch' share of the loss over ``pairs`` counted pairs, and its gradients in the ``tensors`` of a head.

    ``rows`` [V', H]: the part of the LM head that the token loss is over. ``noise`` [T, H] float32 is added to input
    features. Products are in the type of the target's features, weights and their gradients in their own.
    """
    tokens = batch.tokens.to(target.device)
    positions = torch.cat([torch.arange(length) for length in batch.lengths]).to(target.device)
    attend = WholeAttention(batch.lengths)
    with torch.no_grad():
        features = target.run(tokens, positions, attend)
        seen = features if noise is None else (features + noise.to(target.device)).to(features.dtype)
    cast = {name: tensor.to(features.dtype) if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}
    # The last row of a window meets a token that is not its own. Nothing follows it, so nothing comes of it.
    predicted = EagleHead(config, cast, target).run(tokens.roll(-1), seen, positions, attend)
    counted = batch.counted.nonzero().squeeze(1).to(target.device)
    loss, slope = feature_and_token_loss(predicted.detach()[counted], features[counted + 1], rows, pairs)
    outer = torch.zeros_like(predicted).index_copy_(0, counted, slope.to(predicted.dtype))
    return loss, torch.autograd.grad(predicted, list(tensors.values()), outer)
