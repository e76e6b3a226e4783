"""Llama 1, 2, 3 and what shares their shape: no biases unless the config asks for them."""

from __future__ import annotations

from frspec.keys import Keys
from frspec.models.families.variant import Variant


def read(keys: Keys) -> Variant:
    """``attention_bias`` puts a bias on all four attention matrices, ``mlp_bias`` on all three of the MLP."""
    bias = keys.flag("attention_bias")
    return Variant(qkv_bias=bias, output_bias=bias, mlp_bias=keys.flag("mlp_bias"))
