"""Mistral: Llama's mathematics with grouped queries, no biases, and in early releases a sliding window."""

from __future__ import annotations

from frspec.keys import Keys
from frspec.models.families.variant import Variant, window_in_use


def read(keys: Keys) -> Variant:
    """Every layer slides when ``sliding_window`` is set."""
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    return Variant(num_key_value_heads=-1, window=window_in_use(keys))
