"""Qwen3 (dense): each head's query and key pass an RMS norm before the rotation; heads of 128 by default."""

from __future__ import annotations

from frspec.keys import Keys
from frspec.models.families.qwen2 import read_window
from frspec.models.families.variant import Variant


def read(keys: Keys) -> Variant:
    """``attention_bias`` puts a bias on all four attention matrices."""
    bias = keys.flag("attention_bias")
    return Variant(bias, bias, qk_norm=True, head_dim=128, num_key_value_heads=-1, window=read_window(keys))
