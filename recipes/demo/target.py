"""The demo model: its sizes, its first weights, the decoder made of them, and its checkpoint.

Knows: the Llama layout in Hugging Face's names. Does not know: training.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from frspec.artifacts import atomic_path
from frspec.keys import Keys
from frspec.models import Decoder, ModelConfig
from frspec.models.checkpoint import EMBEDDING, NORM, decoder_shapes, make_block, make_rope
from frspec.models.config import read_decoder
from frspec.models.families import Variant
from frspec.models.layers.norm import RMSNorm
from frspec.models.precision import Precision

STD = 0.02
"""Of the first weights; matrices that write to the stream get less, by the root of how many there are (GPT-2)."""


def target_json(vocabulary: int, layers: int, hidden: int, stops: list[int]) -> dict[str, Any]:
    """The config.json of a tied Llama with heads of 32, a key head per three query heads, and no bias."""
    heads = hidden // 32
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": hidden * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": max(1, heads // 3),
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,
        "eos_token_id": stops,
        "torch_dtype": "bfloat16",
    }


def read_config(settings: Mapping[str, Any]) -> ModelConfig:
    """What ``target_json`` says."""
    return read_decoder(Keys(dict(settings), Path("config.json")), "llama", Variant())


def first_tensors(config: ModelConfig, rows: int, draws: torch.Generator) -> dict[str, Tensor]:
    """Float32 weights in the published names; the embedding has ``rows`` rows."""
    tensors = {}
    for name, shape in decoder_shapes(config).items():
        if name.endswith("norm.weight"):
            tensors[name] = torch.ones(shape)
            continue
        writes = name.endswith(("o_proj.weight", "down_proj.weight"))
        std = STD / (2 * config.num_hidden_layers) ** 0.5 if writes else STD
        tensors[name] = torch.randn((rows, shape[1]) if name == EMBEDDING else shape, generator=draws) * std
    return tensors


def decoder_of(config: ModelConfig, tensors: Mapping[str, Tensor]) -> Decoder:
    """The decoder of ``tensors``; gradients flow to them."""
    norm, table = RMSNorm(tensors[NORM], config.rms_norm_eps), tensors[EMBEDDING]
    precision = Precision(table.dtype, table.dtype)
    prefixes = [f"model.layers.{layer}." for layer in range(config.num_hidden_layers)]
    blocks = [make_block(config, layer, tensors, prefix, precision) for layer, prefix in enumerate(prefixes)]
    return Decoder(config, table, blocks, norm, table, make_rope(config, table.device))


def save_target(folder: Path, settings: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Path) -> None:
    """A Hugging Face checkpoint in bfloat16 with the tokenizer's files beside it."""
    stops = settings["eos_token_id"]
    generation = {"do_sample": False, "eos_token_id": stops, "pad_token_id": stops[-1]}
    with atomic_path(folder, folder=True) as temporary:
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(tokenizer / file, temporary / file)
        for name, content in (("config.json", settings), ("generation_config.json", generation)):
            (temporary / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
        stored = {name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in tensors.items()}
        save_file(stored, temporary / "model.safetensors", metadata={"format": "pt"})
