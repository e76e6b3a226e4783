"""What may differ between two decoders of the same sizes.

Knows: where biases and norms sit, how windows are spelt. Does not know: sizes, tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frspec.keys import Keys


@dataclass(frozen=True)
class Variant:
    """The switches of one decoder.

    ``head_dim`` and ``num_key_value_heads`` are what the family means when its config leaves the key out:
    None for "hidden size over heads" and "one per query head", -1 for "it may not be left out".
    ``window``: keys that some layer is limited to, None for no limit.
    """

    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    qk_norm: bool = False
    head_dim: int | None = None
    num_key_value_heads: int | None = None
    window: int | None = None


Reader = Callable[[Keys], Variant]


def window_in_use(keys: Keys, first_layer: int = 0) -> int | None:
    """How many keys, its own included, a query of the layers from ``first_layer`` on may see; None for all.

    A config without the key means a window of 4,096 to transformers; null means none.
    """
    if keys.raw("sliding_window", 4096) is None or first_layer >= keys.count("num_hidden_layers"):
        return None
    return keys.count("sliding_window", 4096)
