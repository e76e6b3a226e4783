"""A model of any sizes with random weights, which serves for timing as well as any.

Knows: how a decoder is put together. Does not know: what is timed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frspec.errors import UserError
from frspec.keys import Keys
from frspec.models.checkpoint import DTYPES, EMBEDDING, HEAD, NORM, decoder_shapes, make_block, make_rope
from frspec.models.config import ModelConfig, read_decoder
from frspec.models.decoder import Decoder
from frspec.models.families import FAMILIES
from frspec.models.layers.norm import RMSNorm
from frspec.models.precision import Precision, pick_precision

TILE = 1 << 22
"""Random numbers of which every matrix is laid; no product is quicker for numbers that come again."""


def shape_config(settings: Mapping[str, Any]) -> ModelConfig:
    """The model that the keys of a config.json describe."""
    keys = Keys(dict(settings), Path("config.json"))
    family = keys.raw("model_type")
    return read_decoder(keys, family, FAMILIES[family][1](keys))


def random_decoder(config: ModelConfig, dtype: str, quantize: str | None = None) -> Decoder:
    """A model of ``config`` on the CPU, made layer by layer; ``dtype`` "auto" is that of a bfloat16 checkpoint.

    The LM head has the embedding's numbers, tied or not, so that they lie in memory once beside the packed head.

    Raises:
        UserError: when there is no such dtype.
    """
    if dtype != "auto" and dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r} is not supported; use auto, {' or '.join(DTYPES)}")
    where, kind = torch.device("cpu"), DTYPES["bfloat16" if dtype == "auto" else dtype]
    tile = torch.randn(TILE, generator=torch.Generator().manual_seed(0)).to(kind)
    precision = pick_precision(kind, where, config.hidden_size, [tile]) if dtype == "auto" else Precision(kind, kind)
    precision = precision.quantised(quantize, where)
    shapes = decoder_shapes(config)

    def laid(name: str) -> Tensor:
        shape = shapes[name]
        if len(shape) == 1:
            return torch.ones(shape)
        rows, columns = shape
        scaled: Tensor = tile * columns**-0.5
        return scaled.repeat(-(-rows * columns // TILE))[: rows * columns].view(shape)

    blocks = []
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        tensors = {name: laid(name) for name in shapes if name.startswith(prefix)}
        blocks.append(make_block(config, layer, tensors, prefix, precision))
    embedding, norm = laid(EMBEDDING if EMBEDDING in shapes else HEAD), RMSNorm(laid(NORM), config.rms_norm_eps)
    return Decoder(config, embedding, blocks, norm, embedding, make_rope(config, where), precision)
