"""Tiny random checkpoints of every family and variant, made by Hugging Face, and how to run ours against them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor

from frspec.models import Decoder, KVCache, Segment

VOCAB, CONTEXT = 96, 128
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e5,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama-mha-tied": ("llama", {"num_key_value_heads": 8, "tie_word_embeddings": True}),
    "llama-mqa": ("llama", {"num_key_value_heads": 1}),
    "llama-biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-head-dim": ("llama", {"head_dim": 24}),
    "llama-theta": ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}}),
    "llama-linear": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 3.0}}),
    "llama-llama3": ("llama", {"rope_parameters": LLAMA3}),
    "llama-yarn": ("llama", {"rope_parameters": YARN}),
    "llama-yarn-mscale": ("llama", {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 1.3}}),
    "llama-yarn-explicit": (
        "llama",
        {"rope_parameters": YARN | {"attention_factor": 1.2, "beta_fast": 16.0, "beta_slow": 2.0, "truncate": False}},
    ),
    "mistral": ("mistral", {"sliding_window": None}),
    "mistral-head-dim": ("mistral", {"sliding_window": None, "head_dim": 16}),
    "qwen2": ("qwen2", {}),
    "qwen2-tied-yarn": ("qwen2", {"tie_word_embeddings": True, "rope_parameters": YARN}),
    "qwen3": ("qwen3", {"head_dim": 8}),
    "qwen3-tied-head-dim": ("qwen3", {"head_dim": 32, "tie_word_embeddings": True}),
    "qwen3-biases": ("qwen3", {"head_dim": 8, "attention_bias": True}),
}
CLASSES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}


def make(name: str, dtype: torch.dtype = torch.float32, **more: Any) -> Any:
    """A Hugging Face model of a variant; every tensor is random, biases and norms too, which its own init is not."""
    family, settings = VARIANTS[name]
    config_class, model_class = CLASSES[family]
    torch.manual_seed(0)
    model = model_class(config_class(**{**SIZES, **settings, **more}, attn_implementation="eager")).eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.normal_(1.0 if "norm" in key else 0.0, 0.2)
    return model.to(dtype)


def save(model: Any, folder: Path, **options: Any) -> Path:
    """The checkpoint as Hugging Face writes it."""
    model.save_pretrained(folder, **options)
    return folder


def feed(decoder: Decoder, cache: KVCache, tokens: Sequence[int], chunks: Sequence[int]) -> Tensor:
    """Logits of ``tokens`` fed behind the cache in chunks of the given sizes, every row committed."""
    logits, start = [], 0
    for count in chunks:
        ids = torch.tensor(tokens[start : start + count])
        positions = torch.arange(cache.length, cache.length + count)
        logits.append(decoder.logits(decoder.forward(ids, positions, [Segment(cache, count)])))
        cache.commit(count)
        start += count
    assert start == len(tokens)
    return torch.cat(logits)


def random_ids(count: int, seed: int = 0) -> list[int]:
    """Token ids below the tiny vocabulary."""
    return torch.randint(0, VOCAB, (count,), generator=torch.Generator().manual_seed(seed)).tolist()
