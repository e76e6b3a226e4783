"""The sizes of some published models, by the keys of their config.json.

Knows: numbers. Does not know: weights.
"""

from __future__ import annotations

from typing import Any

_LLAMA3: dict[str, Any] = {
    "model_type": "llama", "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256,
    "rope_theta": 5e5, "rms_norm_eps": 1e-5, "max_position_embeddings": 32_768,
}  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": _LLAMA3 | {
        "hidden_size": 2048, "num_hidden_layers": 16, "head_dim": 64, "intermediate_size": 8192,
        "tie_word_embeddings": True,
    },
    "llama-3-8b": _LLAMA3 | {
        "hidden_size": 4096, "num_hidden_layers": 32, "head_dim": 128, "intermediate_size": 14_336,
    },
    "qwen3-0.6b": {
        "model_type": "qwen3", "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 151_936,
        "rope_theta": 1e6, "rms_norm_eps": 1e-6, "max_position_embeddings": 32_768, "hidden_size": 1024,
        "num_hidden_layers": 28, "head_dim": 128, "intermediate_size": 3072, "tie_word_embeddings": True,
    },
}  # fmt: skip
