"""A Llama checkpoint as a GGUF file, for llama.cpp; without a tokenizer, since ids go in and ids come out.

Knows: llama.cpp's names, and the order of rows it wants. Does not know: how it runs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np

from .checkpoint import Checkpoint

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(checkpoint: Checkpoint, file: Path) -> None:
    """The checkpoint in its wanted type; norms are float32, as llama.cpp's own converter writes them."""
    bits16 = checkpoint.dtype == "bfloat16"
    kind = gguf.GGMLQuantizationType.BF16 if bits16 else gguf.GGMLQuantizationType.F32
    writer = gguf.GGUFWriter(file, "llama")
    _settings(writer, checkpoint, gguf.LlamaFileType.MOSTLY_BF16 if bits16 else gguf.LlamaFileType.ALL_F32)

    def matrix(name: str, source: str, heads: int = 0) -> None:
        rows = checkpoint.matrix(f"{source}.weight")
        rows = interleaved(rows, heads) if heads else rows
        writer.add_tensor(name, rows.view(np.uint8) if bits16 else rows, raw_dtype=kind)

    matrix("token_embd.weight", "model.embed_tokens")
    if not checkpoint.tied:
        matrix("output.weight", "lm_head")
    writer.add_tensor("output_norm.weight", checkpoint.vector("model.norm.weight"))
    turned = {"self_attn.q_proj": checkpoint.heads, "self_attn.k_proj": checkpoint.kv_heads}
    for layer in range(checkpoint.layers):
        for source, name in NAMES.items():
            place, there = f"model.layers.{layer}.{source}", f"blk.{layer}.{name}.weight"
            if name.endswith("_norm"):
                writer.add_tensor(there, checkpoint.vector(f"{place}.weight"))
            else:
                matrix(there, place, turned.get(source, 0))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def interleaved(rows: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows of queries or keys so that the two numbers a rotary position turns stand side by side, not half a head
    apart: the order of Meta's own files, which llama.cpp kept."""
    halves = rows.reshape(heads, 2, len(rows) // heads // 2, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


def _settings(writer: gguf.GGUFWriter, checkpoint: Checkpoint, file_type: int) -> None:
    config = checkpoint.config
    writer.add_file_type(file_type)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(checkpoint.layers)
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(checkpoint.heads)
    writer.add_head_count_kv(checkpoint.kv_heads)
    writer.add_key_length(checkpoint.head_dim)
    writer.add_value_length(checkpoint.head_dim)
    writer.add_rope_dimension_count(checkpoint.head_dim)
    writer.add_rope_freq_base(checkpoint.theta)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
