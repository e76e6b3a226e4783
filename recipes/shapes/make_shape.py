"""Write a checkpoint of a real model's shape with random weights, and what is needed to run and draft for it.

    python recipes/shapes/make_shape.py llama-3.2-1b OUT_FOLDER [--tokenizer tokenizer.json] [--seed 0]

OUT_FOLDER gets `target/` (bfloat16), `head/` (an untrained EAGLE head), `all.txt` (every id, the order of the merges)
and `prompts.jsonl`. Weights that mean nothing serve for timing alone: see README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from cut_tokenizer import cut_tokenizer, random_texts
from rich.progress import Progress
from safetensors.torch import save_file

from frspec import shipped
from frspec.artifacts import atomic_path, provenance
from frspec.models.config import load_config
from frspec.models.eagle import new_head, save_eagle
from frspec.ranking.formats import write_ids

SHARD_BYTES = 2_600_000_000
PROMPTS, PROMPT_TOKENS = 16, 256


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama, by the names of its config.json; the context is what fits beside the weights in a test."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    rope_theta: float
    max_position_embeddings: int = 8192
    rms_norm_eps: float = 1e-5


SHAPES = {
    "llama-3.2-1b": Shape(2048, 16, 32, 8, 64, 8192, 128_256, True, 5e5),
    "llama-3-8b": Shape(4096, 32, 32, 8, 128, 14_336, 128_256, False, 5e5),
}


def tensor_shapes(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor of the checkpoint, by its published name, in the order of the file."""
    hidden, inner = shape.hidden_size, shape.intermediate_size
    queries, keys = shape.num_attention_heads * shape.head_dim, shape.num_key_value_heads * shape.head_dim
    yield "model.embed_tokens.weight", (shape.vocab_size, hidden)
    for layer in range(shape.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        for name, rows in (("q", queries), ("k", keys), ("v", keys)):
            yield f"{prefix}self_attn.{name}_proj.weight", (rows, hidden)
        yield f"{prefix}self_attn.o_proj.weight", (hidden, queries)
        yield f"{prefix}mlp.gate_proj.weight", (inner, hidden)
        yield f"{prefix}mlp.up_proj.weight", (inner, hidden)
        yield f"{prefix}mlp.down_proj.weight", (hidden, inner)
        yield f"{prefix}input_layernorm.weight", (hidden,)
        yield f"{prefix}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    if not shape.tie_word_embeddings:
        yield "lm_head.weight", (shape.vocab_size, hidden)


def fill(name: str, size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """A bfloat16 tensor. Rows of matrices keep the size of what goes through them (deviation 1 / sqrt(inputs)), so
    every layer changes the features by as much as they are; the head's rows are three times that, so that logits have a
    deviation of three and the best one stands out."""
    if len(size) == 1:
        return torch.ones(size, dtype=torch.bfloat16)
    deviation = size[1] ** -0.5 * (3 if "embed_tokens" in name or "lm_head" in name else 1)
    return torch.empty(size, dtype=torch.bfloat16).normal_(0, deviation, generator=generator)


def shards(shape: Shape, most: int) -> list[list[tuple[str, tuple[int, ...]]]]:
    """The tensors in files of at most ``most`` bytes, one more than that allows where a tensor is larger."""
    parts: list[list[tuple[str, tuple[int, ...]]]] = [[]]
    held = 0
    for name, size in tensor_shapes(shape):
        held += 2 * torch.Size(size).numel()
        if parts[-1] and held > most:
            parts.append([])
            held = 2 * torch.Size(size).numel()
        parts[-1].append((name, size))
    return parts


def write_weights(shape: Shape, folder: Path, seed: int, most: int = SHARD_BYTES) -> None:
    """The tensors as safetensors, one file in memory at a time; more than one get an index."""
    generator, parts, places = torch.Generator().manual_seed(seed), shards(shape, most), dict[str, str]()
    total = sum(torch.Size(size).numel() * 2 for part in parts for _, size in part)
    with Progress() as progress:
        bar = progress.add_task(f"{total / 1e9:.1f} GB of weights", total=total)
        for number, part in enumerate(parts, 1):
            file = "model.safetensors" if len(parts) == 1 else f"model-{number:05}-of-{len(parts):05}.safetensors"
            tensors = {}
            for name, size in part:
                tensors[name], places[name] = fill(name, size, generator), file
                progress.advance(bar, 2 * tensors[name].numel())
            save_file(tensors, folder / file, {"format": "pt"})
    if len(parts) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": places}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def config_json(shape: Shape, stops: list[int]) -> dict[str, Any]:
    """The config.json of a Llama of that shape; every ordinary token may be written, ``stops`` end a text."""
    about: dict[str, Any] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
    about |= {"attention_bias": False, "mlp_bias": False, "bos_token_id": None, "eos_token_id": stops}
    return about | asdict(shape) | {"torch_dtype": "bfloat16"}


def write_head(folder: Path, target: Path, seed: int) -> None:
    """An untrained EAGLE head for the checkpoint in ``target``: the right work, no good guesses."""
    like: Any = SimpleNamespace(config=load_config(target), device=torch.device("cpu"))  # the weights are not needed
    config, tensors = new_head(like, torch.Generator().manual_seed(seed + 1))
    save_eagle(folder, config, tensors, torch.bfloat16, provenance(seed=seed + 1, trained=False))


def make_shape(shape: Shape, folder: Path, tokenizer: Path, seed: int, most: int = SHARD_BYTES) -> None:
    """Everything, or nothing."""
    with atomic_path(folder, folder=True) as temporary:
        target = temporary / "target"
        target.mkdir()
        stops = cut_tokenizer(tokenizer, target, shape.vocab_size)
        (target / "config.json").write_text(json.dumps(config_json(shape, stops), indent=1) + "\n")
        write_weights(shape, target, seed, most)
        write_head(temporary / "head", target, seed)
        write_ids(range(shape.vocab_size), temporary / "all.txt")
        texts = random_texts(target, PROMPTS, PROMPT_TOKENS, seed)
        (temporary / "prompts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json to cut down; if left out, demo's")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tokenizer = given.tokenizer or shipped.target() / "tokenizer.json"
    make_shape(SHAPES[given.shape], given.folder, tokenizer, given.seed)


if __name__ == "__main__":
    main()
