"""Gumbel noise keyed by (seed, position, token id): the reason why speculation never changes a token.

Knows: integers and logarithms. Does not know: logits, trees, requests.

SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), read at random, turns
seed and position into two 32-bit keys. A token's 32 bits are its id through a 32-bit integer hash, "lowbias32" of
Wellons' hash prospector (16 21f0aaad 15 d35a2d97 15) on the Weyl sequence that the first key starts, the second key
added between the rounds, so that no two positions walk through the same sequence. All of it is 32-bit arithmetic
modulo 2^32, so every device and every subset of the vocabulary sees the same integers.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_LONG = (1 << 64) - 1
_WEYL, _ROUND, _LAST = 0x9E3779B9, 0x21F0AAAD, 0xD35A2D97
ROUGH = 2.0**-32 * (1 - 2.0**-22)
"""Scale of the integers in ``rough_gumbel``: it keeps float32 from rounding a number near 1 to 1."""


def _signed(word: int) -> int:
    """The lower 32 bits of ``word`` as int32 has them."""
    return ((word & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _mix(word: int) -> int:
    word = ((word ^ (word >> 30)) * _FIRST) & _LONG
    word = ((word ^ (word >> 27)) * _SECOND) & _LONG
    return word ^ (word >> 31)


def position_key(seed: int, position: int) -> int:
    """The 64-bit key of one absolute position of one request: an output of the stream that the mixed seed starts."""
    return _mix((_mix(seed & _LONG) + (position + 1) * _GOLDEN) & _LONG)


def token_bits(key: int, ids: Tensor) -> Tensor:
    """32 random bits per token id under a 64-bit key.

    ids: [...] int32, at least 0. Returns [...] int32: every bit pattern is equally likely, so the numbers are uniform
    from -2^31 to 2^31 - 1.
    """
    word = ids * _signed(_WEYL)
    word.add_(_signed(key))
    word.bitwise_xor_((word >> 16).bitwise_and_(0xFFFF)).mul_(_signed(_ROUND)).add_(_signed(key >> 32))
    word.bitwise_xor_((word >> 15).bitwise_and_(0x1FFFF)).mul_(_signed(_LAST))
    return word.bitwise_xor_((word >> 15).bitwise_and_(0x1FFFF))


def gumbel_of(bits: Tensor) -> Tensor:
    """Standard Gumbel noise of bits [...] int32, [...] float64; it grows with ``bits``, from -3.2 to 23."""
    uniform = bits.to(torch.float64).add_(2.0**31 + 0.5).mul_(2.0**-32)
    return uniform.log_().neg_().log_().neg_()


def rough_gumbel(bits: Tensor) -> Tensor:
    """``gumbel_of`` in float32, for guesses: right to 1 % below 10, which one id in 22,000 exceeds, and below 16.6."""
    uniform = bits.to(torch.float32).mul_(ROUGH).add_(0.5)
    return uniform.log_().neg_().log_().neg_()


def gumbel(seed: int, position: int, ids: Tensor) -> Tensor:
    """The noise G(seed, position, id) of ids [...] of any integer type, [...] float64 on their device."""
    return gumbel_of(token_bits(position_key(seed, position), ids.to(torch.int32)))
