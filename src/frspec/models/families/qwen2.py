"""Qwen2 and Qwen2.5: biases on queries, keys and values, none elsewhere."""

from __future__ import annotations

from frspec.models.families.variant import Variant, refuse_window
from frspec.models.keys import Keys


def read_window(keys: Keys) -> None:
    """Qwen's windows start at layer ``max_window_layers`` and exist only under ``use_sliding_window``."""
    first = keys.raw("max_window_layers", 28)
    if keys.flag("use_sliding_window"):
        refuse_window(keys, 28 if first is None else first)
    else:
        keys.raw("sliding_window", None)


def read(keys: Keys) -> Variant:
    """The biases are part of the family; no key switches them."""
    read_window(keys)
    keys.only("use_mrope", False)
    return Variant(qkv_bias=True, num_key_value_heads=-1)
