"""From a checkpoint folder to a decoder. Knows: the published tensor names. Does not know: file formats.

Tensors are read layer by layer and fused as they arrive, so that no more than one layer is held twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from frspec.errors import UserError
from frspec.models.config import ModelConfig, load_config
from frspec.models.decoder import Decoder
from frspec.models.layers.attention import Attention
from frspec.models.layers.block import Block
from frspec.models.layers.linear import Linear
from frspec.models.layers.mlp import MLP
from frspec.models.layers.norm import RMSNorm
from frspec.models.layers.rope import Rope
from frspec.models.precision import Precision, pick_precision
from frspec.models.rotary import inverse_frequencies
from frspec.models.weights import Weights

EMBEDDING, NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Shape = tuple[int, ...]

log = logging.getLogger("frspec")


def load_decoder(folder: Path, dtype: str = "auto", device: str = "auto", quantize: str | None = None) -> Decoder:
    """The decoder in ``folder``, in ``dtype`` on ``device`` ("auto" prefers cuda).

    ``dtype`` "auto" is the checkpoint's own, and float32 for float16, which that holds exactly. Under "auto" a small
    bfloat16 model on a CPU keeps its 16 bits a weight but computes in float32 (``precision``), and one on a CPU without
    bfloat16 instructions is float32. ``quantize`` "int8" makes its matrices integers, but not the embedding; ``dtype``
    is then that of what flows between them.

    Raises:
        UserError: naming the file and the key or tensor, when anything is missing, unexpected, of another shape,
            damaged, or not implemented.
    """
    folder = Path(folder)
    config = load_config(folder)
    weights = Weights(folder)
    shapes = decoder_shapes(config)
    if config.tie_word_embeddings:
        _settle_tied(weights, shapes)
    check_names(weights, shapes, {HEAD} if config.tie_word_embeddings else set())
    where = pick_device(device)
    kind = pick_dtype(dtype, config, weights)
    precision = Precision(kind, kind)
    if dtype == "auto":
        matrices = (read_tensor(weights, name, kind, where) for name, shape in shapes.items() if len(shape) > 1)
        precision = pick_precision(kind, where, config.hidden_size, matrices)
    precision = precision.quantised(quantize, where)
    kind = torch.float32 if precision.matrices == torch.float32 else kind

    def read(prefix: str) -> dict[str, Tensor]:
        return {name: read_tensor(weights, name, kind, where) for name in shapes if name.startswith(prefix)}

    blocks = []
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        blocks.append(make_block(config, layer, read(prefix), prefix, precision))
    norm = RMSNorm(precision.vector(read(NORM)[NORM]), config.rms_norm_eps)
    # On a CPU the tables stay mappings of the file: few of their rows are read, and those are converted then.
    tables = {
        name: read_tensor(weights, name, None if where.type == "cpu" else kind, where)
        for name in (EMBEDDING, HEAD)
        if name in shapes
    }
    embedding = tables[EMBEDDING if EMBEDDING in tables else HEAD]
    head = tables[HEAD if HEAD in tables else EMBEDDING]
    return Decoder(config, embedding, blocks, norm, head, make_rope(config, where), precision, kind)


def decoder_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name and shape of every tensor that a checkpoint of ``config`` must hold."""
    vocabulary = (config.vocab_size, config.hidden_size)
    shapes: dict[str, Shape] = {EMBEDDING: vocabulary, NORM: (config.hidden_size,)}
    if not config.tie_word_embeddings:
        shapes[HEAD] = vocabulary
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        shapes[f"{prefix}input_layernorm.weight"] = (config.hidden_size,)
        shapes |= block_shapes(config, prefix)
    return shapes


def block_shapes(config: ModelConfig, prefix: str) -> dict[str, Shape]:
    """The tensors of one layer, without ``input_layernorm``, which an EAGLE head lacks."""
    hidden, inner, width = config.hidden_size, config.intermediate_size, config.head_dim
    queries, keys = config.num_attention_heads * width, config.num_key_value_heads * width
    matrices = {
        "self_attn.q_proj": (queries, hidden, config.qkv_bias),
        "self_attn.k_proj": (keys, hidden, config.qkv_bias),
        "self_attn.v_proj": (keys, hidden, config.qkv_bias),
        "self_attn.o_proj": (hidden, queries, config.output_bias),
        "mlp.gate_proj": (inner, hidden, config.mlp_bias),
        "mlp.up_proj": (inner, hidden, config.mlp_bias),
        "mlp.down_proj": (hidden, inner, config.mlp_bias),
    }
    shapes: dict[str, Shape] = {f"{prefix}post_attention_layernorm.weight": (hidden,)}
    for name, (rows, columns, biased) in matrices.items():
        shapes[f"{prefix}{name}.weight"] = (rows, columns)
        if biased:
            shapes[f"{prefix}{name}.bias"] = (rows,)
    if config.qk_norm:
        shapes[f"{prefix}self_attn.q_norm.weight"] = shapes[f"{prefix}self_attn.k_norm.weight"] = (width,)
    return shapes


def check_names(weights: Weights, shapes: Mapping[str, Shape], allowed: set[str]) -> None:
    """Refuse a checkpoint whose tensors are not exactly ``shapes``, rotary tables and ``allowed`` names aside."""
    for name, shape in shapes.items():
        if name not in weights:
            raise UserError(f"{weights.folder} lacks the tensor {name}; fetch the checkpoint again")
        if weights.shape(name) != shape:
            found = list(weights.shape(name))
            raise UserError(f"{weights.file(name)}: {name} has shape {found}, but config.json asks for {list(shape)}")
    for name in weights:
        if name not in shapes and name not in allowed and not name.endswith("rotary_emb.inv_freq"):
            raise UserError(
                f"{weights.file(name)} holds {name}, which config.json does not account for; "
                "this is another architecture"
            )


def make_block(
    config: ModelConfig, layer: int, tensors: Mapping[str, Tensor], prefix: str, precision: Precision
) -> Block:
    """The layer whose tensors begin with ``prefix``; without an ``input_layernorm`` it has no attention norm."""

    def linear(*names: str) -> Linear:
        full = [f"{prefix}{name}_proj" for name in names]
        biases = [precision.vector(tensors[f"{name}.bias"]) for name in full if f"{name}.bias" in tensors]
        return Linear.fused([precision.hold(tensors[f"{name}.weight"]) for name in full], biases)

    def norm(name: str) -> RMSNorm:
        return RMSNorm(precision.vector(tensors[f"{prefix}{name}.weight"]), config.rms_norm_eps)

    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    head_norm = None
    if config.qk_norm:
        q, k = (tensors[f"{prefix}self_attn.{name}_norm.weight"] for name in "qk")
        head_norm = RMSNorm(torch.cat((q.expand(heads, -1), k.expand(kv_heads, -1))), config.rms_norm_eps)
    qkv = linear("self_attn.q", "self_attn.k", "self_attn.v")
    attention = Attention(layer, qkv, linear("self_attn.o"), heads, kv_heads, head_norm)
    attention_norm = norm("input_layernorm") if f"{prefix}input_layernorm.weight" in tensors else None
    mlp = MLP(linear("mlp.gate", "mlp.up"), linear("mlp.down"))
    return Block(attention_norm, attention, norm("post_attention_layernorm"), mlp)


def make_rope(config: ModelConfig, device: torch.device) -> Rope:
    """The rotation that ``config`` describes."""
    return Rope(inverse_frequencies(config.rope, config.head_dim).to(device), config.rope.attention_factor)


def pick_device(device: str) -> torch.device:
    """``device`` if it exists; "auto" is cuda where there is one, else cpu."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"device {device!r} is unknown; use auto, cpu or cuda") from error
    if where.type not in ("cpu", "cuda"):
        raise UserError(f"device {device!r} is not supported; use auto, cpu or cuda")
    if where.type == "cuda" and (where.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {device!r} is not there ({torch.cuda.device_count()} cuda devices); use cpu")
    return where


def pick_dtype(dtype: str, config: ModelConfig, weights: Weights) -> torch.dtype:
    """The dtype asked for, or under "auto" the one config.json names, or else the embedding's.

    Float16 becomes float32, which holds all its values; nothing computes in float16, whose range features leave.
    """
    if dtype == "auto":
        own = config.dtype or str(weights.read(EMBEDDING if EMBEDDING in weights else HEAD).dtype)
        dtype = own.removeprefix("torch.")
        if dtype == "float16":
            log.warning(
                "%s: float16 weights run in float32; --dtype bfloat16 is half the size but rounds", weights.folder
            )
            dtype = "float32"
        if dtype not in DTYPES:
            raise UserError(f"{weights.folder} is a {dtype} checkpoint; pass --dtype bfloat16 or --dtype float32")
    if dtype not in DTYPES:
        raise UserError(f"dtype {dtype!r} is not supported; use auto, {' or '.join(DTYPES)}")
    return DTYPES[dtype]


def read_tensor(weights: Weights, name: str, dtype: torch.dtype | None, device: torch.device) -> Tensor:
    """One tensor, converted to ``dtype`` if any; integers and 8-bit floats are somebody's quantisation and refused."""
    tensor = weights.read(name)
    if not tensor.is_floating_point() or tensor.element_size() == 1:
        raise UserError(f"{weights.file(name)}: {name} is quantised ({tensor.dtype}), which is not supported")
    return tensor.to(device, dtype or tensor.dtype)


def _settle_tied(weights: Weights, shapes: dict[str, Shape]) -> None:
    """A tied checkpoint may hold its one matrix under either name; under both, the two must be equal."""
    if HEAD not in weights:
        return
    if EMBEDDING not in weights:
        shapes[HEAD] = shapes.pop(EMBEDDING)
    elif not torch.equal(weights.read(HEAD), weights.read(EMBEDDING)):
        raise UserError(
            f"{weights.file(HEAD)}: {HEAD} differs from {EMBEDDING}, but config.json says tie_word_embeddings; "
            "set it to false"
        )
