"""What a config says about rotary positions, and the frequencies that follow from it.

Knows: the rope types default, linear, llama3 and yarn, in both spellings. Does not know: tensors of a model.

Sources: RoFormer (arXiv 2104.09864), position interpolation (2306.15595), Llama 3.1's reference code,
YaRN (2309.00071); defaults and corner cases as in transformers' rope functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log, pi

import torch
from torch import Tensor

from frspec.keys import Keys


@dataclass(frozen=True)
class RopeConfig:
    """One rope type with everything it needs; fields of other types keep their neutral values.

    ``attention_factor`` multiplies cosines and sines. ``original_context`` is in positions.
    """

    kind: str = "default"
    theta: float = 10000.0
    factor: float = 1.0
    original_context: int = 0
    attention_factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


def read_rope(keys: Keys, context: int) -> RopeConfig:
    """Read ``rope_theta`` + ``rope_scaling`` (transformers 4) or ``rope_parameters`` (transformers 5)."""
    old, new = keys.nested("rope_scaling"), keys.nested("rope_parameters")
    if old and new:
        raise keys.refuse("rope_scaling", "stands beside rope_parameters; keep one of the two")
    rope = new or old or Keys({}, keys.file)
    theta = keys.number("rope_theta", 10000.0)
    if "rope_theta" in keys and "rope_theta" in rope and rope.number("rope_theta") != theta:
        raise keys.refuse("rope_theta", "differs from the one beside the rope type; keep one of the two")
    theta = rope.number("rope_theta", theta)
    kind = rope.raw("rope_type", None) or rope.raw("type", None) or "default"
    if rope.raw("type", None) not in (None, kind):
        raise rope.refuse("type", f"contradicts rope_type={kind!r}")
    if not isinstance(kind, str) or kind not in _READERS:
        raise rope.refuse("rope_type", f"is not implemented (only {', '.join(_READERS)}); choose another checkpoint")
    rope.only("partial_rotary_factor", 1, 1.0)
    result = _READERS[kind](rope, theta, _original_context(keys, rope, context), context)
    rope.finish()
    return result


def _original_context(keys: Keys, rope: Keys, context: int) -> int:
    key = "original_max_position_embeddings"
    outer = keys.count(key, context)
    if key in keys and key in rope and rope.count(key) != outer:
        raise keys.refuse(key, "differs from the one beside the rope type; keep one of the two")
    return rope.count(key, outer)


def _read_default(rope: Keys, theta: float, original: int, context: int) -> RopeConfig:  # noqa: ARG001 - one signature
    return RopeConfig(theta=theta)


def _read_linear(rope: Keys, theta: float, original: int, context: int) -> RopeConfig:  # noqa: ARG001
    return RopeConfig("linear", theta, rope.number("factor"), original)


def _read_llama3(rope: Keys, theta: float, original: int, context: int) -> RopeConfig:  # noqa: ARG001
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if high <= low:
        raise rope.refuse("high_freq_factor", f"must be above low_freq_factor={low}")
    return RopeConfig("llama3", theta, rope.number("factor"), original, low_freq_factor=low, high_freq_factor=high)


def _read_yarn(rope: Keys, theta: float, original: int, context: int) -> RopeConfig:
    factor = rope.number("factor", context / original)
    return RopeConfig(
        "yarn",
        theta,
        factor,
        original,
        attention_factor=_yarn_attention(rope, factor),
        beta_fast=rope.number("beta_fast", 32.0),
        beta_slow=rope.number("beta_slow", 1.0),
        truncate=rope.flag("truncate", True),
    )


def _yarn_attention(rope: Keys, factor: float) -> float:
    """The explicit factor, or YaRN's 0.1·ln(factor) + 1, or DeepSeek's quotient of two such when both are given."""
    mscale, over_all = rope.raw("mscale", None), rope.raw("mscale_all_dim", None)

    def scale(weight: float) -> float:
        return 0.1 * weight * log(factor) + 1.0 if factor > 1 else 1.0

    inferred = scale(rope.number("mscale")) / scale(rope.number("mscale_all_dim")) if mscale and over_all else scale(1)
    return rope.number("attention_factor", inferred)


_READERS = {"default": _read_default, "linear": _read_linear, "llama3": _read_llama3, "yarn": _read_yarn}


def reach(rope: RopeConfig, context: int) -> int:
    """Positions that the scaling is for, given ``max_position_embeddings``; the rules are vLLM's.

    Linear and yarn stretch the original context, which configs give as their ``max_position_embeddings`` when they
    name no other; llama3's configs already give the stretched one.
    """
    return int(rope.original_context * rope.factor) if rope.kind in ("linear", "yarn") else context


def inverse_frequencies(rope: RopeConfig, head_dim: int) -> Tensor:
    """[head_dim / 2] float32: radians per position of each rotated pair, fastest first."""
    powers = rope.theta ** (torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    plain = 1.0 / powers
    if rope.kind == "linear":
        return plain / rope.factor
    if rope.kind == "llama3":
        return _llama3(rope, plain)
    if rope.kind == "yarn":
        share = _yarn_ramp(rope, head_dim)
        return share / (rope.factor * powers) + (1 - share) * plain
    return plain


def _llama3(rope: RopeConfig, plain: Tensor) -> Tensor:
    """Slow frequencies are divided by the factor, fast ones kept, those between blended."""
    wavelengths = 2 * pi / plain
    turns = rope.original_context / wavelengths
    smooth = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor)
    blended = (1 - smooth) * plain / rope.factor + smooth * plain
    slow = wavelengths > rope.original_context / rope.low_freq_factor
    fast = wavelengths < rope.original_context / rope.high_freq_factor
    return torch.where(slow, plain / rope.factor, torch.where(fast, plain, blended))


def _yarn_ramp(rope: RopeConfig, head_dim: int) -> Tensor:
    """[head_dim / 2] from 0 (keep the frequency) to 1 (interpolate it)."""

    def pair_that_turns(rotations: float) -> float:
        return head_dim * log(rope.original_context / (rotations * 2 * pi)) / (2 * log(rope.theta))

    low, high = pair_that_turns(rope.beta_fast), pair_that_turns(rope.beta_slow)
    if rope.truncate:
        low, high = floor(low), ceil(high)
    low, high = max(low, 0), min(high, head_dim - 1)
    width = high - low or 0.001
    return ((torch.arange(head_dim // 2, dtype=torch.float32) - low) / width).clamp_(0, 1)
