"""EAGLE-1/2 draft heads (arXiv 2401.15077, 2406.16858) in their published file format.

Knows: a head's tensors and its one layer. Does not know: trees, vocabularies, training.

At position t the head sees the token at t + 1 and the target's feature at t (after the target's final norm), and
predicts the feature at t + 1: ``layer(fc([embedding(token); feature]))``. The layer has no input norm, and nothing
follows it but the target's own LM head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frspec.artifacts import atomic_path
from frspec.models.cache import KVCache
from frspec.models.checkpoint import block_shapes, make_block, make_rope, read_tensor
from frspec.models.config import ModelConfig
from frspec.models.decoder import Decoder
from frspec.models.eagle_files import check_head, head_json, open_head, read_head_config
from frspec.models.layers.attention import Attend
from frspec.models.layers.linear import Linear
from frspec.models.precision import Precision
from frspec.models.rotary import RopeConfig
from frspec.models.segments import CachedAttention, Segment
from frspec.models.weights import Weights, save_tensors

PREFIX = "layers.0."
_DEVIATION = 0.02


class EagleHead:
    """A head bound to the target whose embedding it shares.

    ``tensors`` maps the published names to weights on the target's device; they are held in its precision, or in
    ``precision`` with the same activations, and gradients flow to those that want them.
    """

    def __init__(
        self, config: ModelConfig, tensors: Mapping[str, Tensor], target: Decoder, precision: Precision | None = None
    ) -> None:
        self.config = config
        self.target = target
        precision = precision or target.precision
        bias = tensors.get("fc.bias")
        self.fc = Linear(precision.hold(tensors["fc.weight"]), None if bias is None else precision.vector(bias))
        self.block = make_block(config, 0, tensors, PREFIX, precision)
        self.rope = make_rope(config, target.device)

    @property
    def device(self) -> torch.device:
        """Where the weights are, and where inputs must be: where the target's are."""
        return self.target.device

    def forward(self, tokens: Tensor, features: Tensor, positions: Tensor, segments: Sequence[Segment]) -> Tensor:
        """Predicted features [T, H]: row i from ``tokens[i]``, which follows ``features[i]``, at ``positions[i]``.

        ``tokens`` [T] int64, ``features`` [T, H] of the target or of this head, ``positions`` [T] int64 those of
        the features. Caches come from this head's ``new_cache`` and behave as in ``Decoder.forward``.
        """
        attend = CachedAttention(segments, self.target.precision.activations, self.device)
        predicted = self.run(tokens, features, positions, attend)
        attend.finish()
        return predicted

    def run(self, tokens: Tensor, features: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """``forward`` under any attention; with ``WholeAttention`` there is no cache."""
        pairs = torch.cat((self.target.embedding[tokens].to(features.dtype), features), -1)
        return self.block(self.fc(pairs).to(features.dtype), self.rope(positions), attend)

    def new_cache(self, rows: int) -> KVCache:
        """An empty cache of this head for one sequence, with room for ``rows`` positions at first."""
        config = self.config
        kind = self.target.precision.activations
        return KVCache(1, config.num_key_value_heads, config.head_dim, rows, kind, self.device)


def is_eagle(folder: Path) -> bool:
    """Whether ``folder`` holds a draft head of any EAGLE version rather than a model."""
    return "fc.weight" in Weights(Path(folder))


def head_shapes(config: ModelConfig, bias: bool) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a head file."""
    hidden = config.hidden_size
    shapes: dict[str, tuple[int, ...]] = {"fc.weight": (hidden, 2 * hidden)}
    if bias:
        shapes["fc.bias"] = (hidden,)
    return shapes | block_shapes(config, PREFIX)


def load_eagle(folder: Path, target: Decoder, quantize: str | None = None) -> EagleHead:
    """The head in ``folder`` (config.json beside model.safetensors or pytorch_model.bin), in the target's precision.

    quantize: "int8" for matrices of 8-bit integers whatever the target's are.

    Raises:
        UserError: when the head is another kind (EAGLE-3), made for another width or vocabulary, or its tensors are
            not exactly those its config describes.
    """
    folder = Path(folder)
    weights = open_head(folder)
    config, bias = read_head_config(folder)
    shapes = head_shapes(config, "fc.bias" in weights if bias is None else bias)
    check_head(folder, config, weights, shapes, target.config)
    tensors = {name: read_tensor(weights, name, target.dtype, target.device) for name in shapes}
    return EagleHead(config, tensors, target, target.precision.quantised(quantize, target.device))


def new_head(target: Decoder, generator: torch.Generator) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Config and float32 tensors of an untrained head for ``target``, drawn from ``generator`` (a CPU one).

    Its layer has the target's sizes, no biases, and plain rotary positions at the target's theta: the published
    loaders know no other. Matrices are normal with deviation 0.02.
    """
    config = replace(
        target.config,
        model_type="llama",
        num_hidden_layers=1,
        rope=RopeConfig(theta=target.config.rope.theta),
        qkv_bias=False,
        output_bias=False,
        mlp_bias=False,
        qk_norm=False,
    )
    tensors = {}
    for name, shape in head_shapes(config, bias=False).items():
        if len(shape) == 1:
            tensors[name] = torch.ones(shape, device=target.device)
        else:
            tensors[name] = (torch.randn(shape, generator=generator) * _DEVIATION).to(target.device)
    return config, tensors


def save_eagle(
    folder: Path, config: ModelConfig, tensors: Mapping[str, Tensor], dtype: torch.dtype, provenance: Mapping[str, Any]
) -> None:
    """Write a head in the published format, with ``provenance`` in frspec.json beside it, all at once or not at all."""
    stored = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()}
    with atomic_path(folder, folder=True) as temporary:
        save_tensors(temporary / "model.safetensors", stored, {"format": "pt"})
        published = head_json(config, bias="fc.bias" in tensors, dtype=str(dtype).removeprefix("torch."))
        (temporary / "config.json").write_text(json.dumps(published, indent=2) + "\n", encoding="utf-8")
        (temporary / "frspec.json").write_text(json.dumps(dict(provenance), indent=2) + "\n", encoding="utf-8")
