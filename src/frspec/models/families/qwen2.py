"""Qwen2 and Qwen2.5: biases on queries, keys and values, none elsewhere."""

from __future__ import annotations

from frspec.keys import Keys
from frspec.models.families.variant import Variant, window_in_use


def read_window(keys: Keys) -> int | None:
    """Qwen's windows start at layer ``max_window_layers`` and exist only under ``use_sliding_window``."""
    first = keys.raw("max_window_layers", 28)
    if keys.flag("use_sliding_window"):
        return window_in_use(keys, 28 if first is None else first)
    keys.raw("sliding_window", None)
    return None


def read(keys: Keys) -> Variant:
    """The biases are part of the family; no key switches them."""
    keys.only("use_mrope", False)
    return Variant(qkv_bias=True, num_key_value_heads=-1, window=read_window(keys))
