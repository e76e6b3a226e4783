"""What a checkpoint's config.json promises, or a refusal that names the key.

Knows: every key that changes the mathematics of the families. Does not know: tensors.
A config means what it means to Hugging Face transformers, in its version 4 and version 5 spellings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frspec.errors import UserError
from frspec.keys import Keys, read_object
from frspec.models.families import FAMILIES, Variant
from frspec.models.harmless import HARMLESS
from frspec.models.rotary import RopeConfig, reach, read_rope


@dataclass(frozen=True)
class ModelConfig:
    """The mathematics of one decoder; names as in Hugging Face configs where they have one.

    ``stop_token_ids`` is the union of the end-of-sequence ids in config.json and generation_config.json.
    ``dtype`` is the config's own word on the weights' type, None when it is silent.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    rms_norm_eps: float
    max_position_embeddings: int
    sliding_window: int | None
    rope: RopeConfig
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    tie_word_embeddings: bool
    dtype: str | None
    bos_token_id: int | None
    stop_token_ids: tuple[int, ...]

    @property
    def layer_weights(self) -> int:
        """Numbers in the matrices of one layer; norms and biases are small beside them."""
        heads = 2 * (self.num_attention_heads + self.num_key_value_heads) * self.head_dim
        return self.hidden_size * (heads + 3 * self.intermediate_size)

    @property
    def context_length(self) -> int:
        """Positions that are computed as the model was made: those of its rotary scaling, up to a sliding window.

        As long as nothing lies outside a window, attention without one is the same; beyond, it is not implemented.
        """
        positions = reach(self.rope, self.max_position_embeddings)
        return min(positions, self.sliding_window or positions)


def load_config(folder: Path) -> ModelConfig:
    """Read ``folder``/config.json, and generation_config.json where there is one.

    Raises:
        UserError: naming the key, when a setting is missing, malformed, not implemented or unknown.
    """
    keys = Keys(read_object(Path(folder) / "config.json"), Path(folder) / "config.json")
    model_type = keys.raw("model_type")
    if model_type not in FAMILIES:
        raise keys.refuse("model_type", f"is not implemented (only {', '.join(FAMILIES)}); choose another checkpoint")
    architecture, read = FAMILIES[model_type]
    keys.only("architectures", [architecture])
    config = read_decoder(keys, model_type, read(keys), _generation_ids(Path(folder), "eos_token_id"))
    keys.finish(HARMLESS)
    return config


def read_decoder(keys: Keys, model_type: str, variant: Variant, more_stops: tuple[int, ...] = ()) -> ModelConfig:
    """The keys that all families share, checked against one another; ``keys.finish`` is left to the caller."""
    heads, hidden = keys.count("num_attention_heads"), keys.count("hidden_size")
    kv_heads = keys.count("num_key_value_heads", _default(keys, "num_key_value_heads", variant, heads))
    if heads % kv_heads:
        raise keys.refuse("num_key_value_heads", f"does not divide num_attention_heads={heads}")
    head_dim = keys.count("head_dim", variant.head_dim or _whole(keys, hidden, heads))
    if head_dim % 2:
        raise keys.refuse("head_dim", f"gives heads of {head_dim}, and rotary positions need an even number")
    layers, context = keys.count("num_hidden_layers"), keys.count("max_position_embeddings")
    _refuse_unimplemented(keys)
    _refuse_layer_types(keys, layers, variant.window)
    vocab = keys.count("vocab_size")
    stops = tuple(dict.fromkeys((*keys.token_ids("eos_token_id"), *more_stops)))
    bos = keys.token_ids("bos_token_id")
    for token in (*stops, *bos):
        if token >= vocab:
            raise UserError(f"{keys.file}: special token {token} lies outside the vocabulary of {vocab}")
    return ModelConfig(
        model_type=model_type,
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=keys.count("intermediate_size"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=head_dim,
        rms_norm_eps=keys.number("rms_norm_eps", 1e-6),
        max_position_embeddings=context,
        sliding_window=variant.window,
        rope=read_rope(keys, context),
        qkv_bias=variant.qkv_bias,
        output_bias=variant.output_bias,
        mlp_bias=variant.mlp_bias,
        qk_norm=variant.qk_norm,
        tie_word_embeddings=keys.flag("tie_word_embeddings"),
        dtype=keys.text("dtype") or keys.text("torch_dtype"),
        bos_token_id=bos[0] if bos else None,
        stop_token_ids=stops,
    )


def _default(keys: Keys, key: str, variant: Variant, heads: int) -> int:
    if key not in keys and variant.num_key_value_heads == -1:
        keys.raw(key)
    return heads


def _whole(keys: Keys, hidden: int, heads: int) -> int:
    if keys.raw("head_dim", None) is None and hidden % heads:
        raise keys.refuse("num_attention_heads", f"does not divide hidden_size={hidden}, and there is no head_dim")
    return hidden // heads


def _refuse_layer_types(keys: Keys, layers: int, window: int | None) -> None:
    """Full attention everywhere; sliding ones too where ``context_length`` stays inside the window."""
    kinds = ["full_attention"] if window is None else ["full_attention", "sliding_attention"]
    types = keys.raw("layer_types", [kinds[0]] * layers)
    if types is not None and not (isinstance(types, list) and len(types) == layers and all(t in kinds for t in types)):
        raise keys.refuse("layer_types", f"is not implemented (only {' or '.join(kinds)} in each of {layers} layers)")


def _refuse_unimplemented(keys: Keys) -> None:
    """Settings whose neutral value is known and whose other values nobody here implements."""
    keys.only("hidden_act", "silu", "swish")
    for off in ("is_encoder_decoder", "add_cross_attention", "rope_interleaved", "use_qk_norm", "qk_layernorm"):
        keys.only(off, False)
    keys.only("partial_rotary_factor", 1, 1.0)
    keys.only("chunk_size_feed_forward", 0)
    keys.only("pruned_heads", {})
    keys.only("per_layer_config", {})
    keys.only("quantization_config")
    keys.only("compression_config")
    keys.only("auto_map")


def _generation_ids(folder: Path, key: str) -> tuple[int, ...]:
    file = folder / "generation_config.json"
    return Keys(read_object(file), file).token_ids(key) if file.exists() else ()
