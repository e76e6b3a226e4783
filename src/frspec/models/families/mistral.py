"""Mistral: Llama's mathematics with grouped queries, no biases, and in early releases a sliding window."""

from __future__ import annotations

from frspec.models.families.variant import Variant, refuse_window
from frspec.models.keys import Keys


def read(keys: Keys) -> Variant:
    """Every layer slides when ``sliding_window`` is set, so only null or a window of the whole context will do."""
    refuse_window(keys)
    keys.only("attention_bias", False)
    keys.only("mlp_bias", False)
    return Variant(num_key_value_heads=-1)
