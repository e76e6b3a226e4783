"""Gumbel noise keyed by (seed, position, token id): the reason why speculation never changes a token.

Knows: integers and logarithms. Does not know: logits, trees, requests.

The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
read at random: a position's key is one output of the stream that the seed starts, and token ``v`` takes
output ``v`` of the stream that the key starts. All of it is 64-bit integer arithmetic, so every device and
every subset of the vocabulary sees the same integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_WORD = (1 << 64) - 1


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * _FIRST) & _WORD
    word = ((word ^ (word >> 27)) * _SECOND) & _WORD
    return word ^ (word >> 31)


def position_key(seed: int, position: int) -> int:
    """The 64-bit key of one absolute position of one request."""
    return _mix((_mix(seed & _WORD) + (position + 1) * _GOLDEN) & _WORD)


def token_bits(key: int, ids: Tensor) -> Tensor:
    """64 random bits per token id: output ``ids`` of the SplitMix64 stream with seed ``key``.

    ids: [...] int64, at least 0. Returns [...] int64 holding the unsigned words.
    """
    word = ids * _signed(_GOLDEN) + _signed((key + _GOLDEN) & _WORD)
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        word.bitwise_xor_((word >> shift).bitwise_and_((1 << (64 - shift)) - 1)).mul_(_signed(factor))
    return word.bitwise_xor_((word >> 31).bitwise_and_((1 << 33) - 1))


def gumbel(seed: int, position: int, ids: Tensor) -> Tensor:
    """Standard Gumbel noise G(seed, position, id), [...] float64 on the device of ``ids``.

    52 of the 64 bits become a number strictly between 0 and 1, so the noise is always finite (below 37).
    """
    bits = (token_bits(position_key(seed, position), ids) >> 12).bitwise_and_((1 << 52) - 1)
    uniform = bits.to(torch.float64).add_(0.5).mul_(2.0**-52)
    return uniform.log_().neg_().log_().neg_()
