"""The files of an EAGLE head: its config in both directions, and what makes a head unfit for a target.

Knows: published keys and names, and how an EAGLE-3 head looks. Does not know: what the tensors compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frspec.errors import UserError
from frspec.keys import Keys, read_object
from frspec.models.checkpoint import check_names
from frspec.models.config import ModelConfig, read_decoder
from frspec.models.families import Variant
from frspec.models.harmless import HARMLESS
from frspec.models.weights import Weights

IGNORED = {"embed_tokens.weight"}
"""Published heads carry a copy of the target's embedding; the target's own is used."""


def open_head(folder: Path) -> Weights:
    """The head's tensors; an EAGLE-3 head is recognised here, before its config is read."""
    weights = Weights(folder)
    wide = "fc.weight" in weights and _is_eagle3_width(weights.shape("fc.weight"))
    if wide or any(name in ("d2t", "t2d") or name.startswith("midlayer.") for name in weights):
        raise UserError(f"{folder} is an EAGLE-3 head, which is not supported yet; use an EAGLE-1 or EAGLE-2 head")
    return weights


def read_head_config(folder: Path) -> tuple[ModelConfig, bool | None]:
    """The head's layer, and whether ``fc`` has a bias (None: the config does not say)."""
    keys = Keys(read_object(folder / "config.json"), folder / "config.json")
    keys.only("model_type", "llama", "mistral", "qwen2", "qwen3", "eagle")
    biased = keys.flag("attention_bias")
    variant = Variant(keys.flag("qkv_bias", biased), output_bias=biased, mlp_bias=keys.flag("mlp_bias"))
    bias = keys.flag("bias", keys.flag("eagle_fc_bias")) if "bias" in keys or "eagle_fc_bias" in keys else None
    for window in ("sliding_window", "use_sliding_window", "max_window_layers"):
        keys.raw(window, None)
    keys.only("num_hidden_layers", 1)
    config = read_decoder(keys, "eagle", variant)
    keys.finish(HARMLESS)
    return config, bias


def check_head(
    folder: Path, config: ModelConfig, weights: Weights, shapes: Mapping[str, tuple[int, ...]], target: ModelConfig
) -> None:
    """Refuse a head that was made for another model, or whose tensors are not exactly ``shapes``."""
    for what in ("hidden_size", "vocab_size"):
        own, wanted = getattr(config, what), getattr(target, what)
        if own != wanted:
            raise UserError(f"{folder} is a head for another model: its {what} is {own}, the target's {wanted}")
    check_names(weights, shapes, IGNORED)


def head_json(config: ModelConfig, bias: bool, dtype: str) -> dict[str, Any]:
    """The config.json with which published EAGLE loaders build this head."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": config.output_bias,
        "bias": bias,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": list(config.stop_token_ids),
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "max_position_embeddings": config.max_position_embeddings,
        "mlp_bias": config.mlp_bias,
        "num_attention_heads": config.num_attention_heads,
        "num_hidden_layers": 1,
        "num_key_value_heads": config.num_key_value_heads,
        "qkv_bias": config.qkv_bias,
        "rms_norm_eps": config.rms_norm_eps,
        "rope_scaling": None,
        "rope_theta": config.rope.theta,
        "tie_word_embeddings": False,
        "torch_dtype": dtype,
        "use_cache": True,
        "vocab_size": config.vocab_size,
    }


def _is_eagle3_width(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and shape[1] == 3 * shape[0]
