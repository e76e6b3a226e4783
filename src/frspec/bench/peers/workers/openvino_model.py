"""A Llama checkpoint as OpenVINO's own model files, without torch: the graph is written down here op by op.

Knows: the inputs, states and names that openvino-genai's pipelines look for. Does not know: how they run it.
The graph is the one that optimum-intel exports: keys and values are states that grow, attention is one op.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from openvino import opset15 as ops
from openvino.op.util import Variable, VariableInfo

from .checkpoint import Checkpoint, widened

Array = np.ndarray[Any, Any]
Node = Any


def write_model(checkpoint: Checkpoint, folder: Path, int8: bool) -> None:
    """``openvino_model.xml`` and ``.bin`` in ``folder``; with ``int8`` every matrix has 8 bits and a scale a row."""
    builder = Builder(checkpoint, int8)
    ov.save_model(builder.model(), folder / "openvino_model.xml", compress_to_fp16=False)


class Builder:
    """One model; arithmetic is written in float32, and the device rounds as its precision hint says."""

    def __init__(self, checkpoint: Checkpoint, int8: bool) -> None:
        self.checkpoint, self.int8 = checkpoint, int8
        self.sinks: list[Node] = []
        self.alive: list[Array] = []  # what constants point into
        self.inputs = {
            name: ops.parameter(ov.PartialShape(shape), np.int32 if name == "beam_idx" else np.int64, name)
            for name, shape in
            {"input_ids": [-1, -1], "attention_mask": [-1, -1], "position_ids": [-1, -1], "beam_idx": [-1]}.items()
        }  # fmt: skip
        for name, node in self.inputs.items():
            node.set_friendly_name(name)  # by which openvino-genai finds it
            node.output(0).set_names({name})

    def model(self) -> ov.Model:
        """The whole graph, from ids to ``logits`` [batch, tokens, V]."""
        embedding = self.matrix("model.embed_tokens")
        x = ops.gather(embedding, ops.convert(self.inputs["input_ids"], "i32"), i64(0))
        turn, mask = self.rotary(), self.mask()
        for layer in range(self.checkpoint.layers):
            x = self.layer(x, layer, turn, mask)
        head = embedding if self.checkpoint.tied else self.matrix("lm_head")
        logits = ops.matmul(self.norm(x, "model.norm"), head, False, True)
        logits.output(0).set_names({"logits"})
        return ov.Model([ops.result(logits)], self.sinks, list(self.inputs.values()), "llama")

    def layer(self, x: Node, layer: int, turn: tuple[Node, Node], mask: Node) -> Node:
        """Attention and MLP, each behind its norm and added to what was there."""
        place = f"model.layers.{layer}"
        read = self.norm(x, f"{place}.input_layernorm")
        x = ops.add(x, self.attention(read, f"{place}.self_attn", layer, turn, mask))
        read = self.norm(x, f"{place}.post_attention_layernorm")
        gate, up = (self.linear(read, f"{place}.mlp.{name}_proj") for name in ("gate", "up"))
        return ops.add(x, self.linear(ops.multiply(ops.swish(gate), up), f"{place}.mlp.down_proj"))

    def attention(self, x: Node, place: str, layer: int, turn: tuple[Node, Node], mask: Node) -> Node:
        """[batch, tokens, H] to the same, over all that is in the states and these."""
        about = self.checkpoint
        query = rotated(self.heads(x, f"{place}.q_proj", about.heads), turn)
        key = rotated(self.heads(x, f"{place}.k_proj", about.kv_heads), turn)
        key = self.grown(key, f"past_key_values.{layer}.key", f"present.{layer}.key")
        value = self.heads(x, f"{place}.v_proj", about.kv_heads)
        value = self.grown(value, f"past_key_values.{layer}.value", f"present.{layer}.value")
        mixed = ops.scaled_dot_product_attention(query, self.repeated(key), self.repeated(value), mask)
        together = ops.reshape(ops.transpose(mixed, i64([0, 2, 1, 3])), i64([0, 0, about.heads * about.head_dim]), True)
        return self.linear(together, f"{place}.o_proj")

    def heads(self, x: Node, place: str, count: int) -> Node:
        """A projection as [batch, heads, tokens, head_dim]."""
        parted = ops.reshape(self.linear(x, place), i64([0, 0, count, self.checkpoint.head_dim]), True)
        return ops.transpose(parted, i64([0, 2, 1, 3]))

    def grown(self, new: Node, past: str, present: str) -> Node:
        """``new`` behind what the state held, which becomes the state."""
        heads, size = self.checkpoint.kv_heads, self.checkpoint.head_dim
        info = VariableInfo()
        info.data_shape, info.data_type = ov.PartialShape([-1, heads, -1, size]), ov.Type.f32
        info.variable_id = past + present
        state = Variable(info)
        batch = ops.gather(ops.shape_of(self.inputs["input_ids"], "i64"), i64([0]), i64(0))
        empty = ops.broadcast(f32(0.0), ops.concat([batch, i64([heads]), i64([0]), i64([size])], 0))
        held = ops.gather(ops.read_value(empty, state), self.inputs["beam_idx"], i64(0))
        both = ops.concat([held, new], 2)
        self.sinks.append(ops.assign(both, state))
        return both

    def repeated(self, x: Node) -> Node:
        """Each head of keys or values as often as queries share it."""
        about = self.checkpoint
        shared = about.heads // about.kv_heads
        if shared == 1:
            return x
        wide = ops.unsqueeze(x, i64(2))
        shape = ops.shape_of(wide, "i64")
        parts = [ops.gather(shape, i64([place]), i64(0)) for place in (0, 1, 3, 4)]
        wide = ops.broadcast(
            wide, ops.concat([*parts[:2], i64([shared]), *parts[2:]], 0), broadcast_spec="BIDIRECTIONAL"
        )
        return ops.reshape(wide, i64([0, about.heads, -1, about.head_dim]), True)

    def rotary(self) -> tuple[Node, Node]:
        """Cosines and sines [batch, 1, tokens, head_dim] of the positions."""
        size = self.checkpoint.head_dim
        frequency = 1.0 / self.checkpoint.theta ** (np.arange(0, size, 2, dtype=np.float64) / size)
        positions = ops.convert(ops.unsqueeze(self.inputs["position_ids"], i64(-1)), "f32")
        angle = ops.multiply(positions, f32(frequency.reshape(1, 1, -1)))
        both = ops.unsqueeze(ops.concat([angle, angle], -1), i64(1))
        return ops.cos(both), ops.sin(both)

    def mask(self) -> Node:
        """[batch, 1, tokens, all]: 0 where the key is real and not later than the query, else -infinity."""
        attended = self.inputs["attention_mask"]
        count = ops.squeeze(ops.gather(ops.shape_of(attended, "i64"), i64([1]), i64(0)), i64(0))
        keys = ops.unsqueeze(ops.range(i64(0), count, i64(1), "i64"), i64([0, 1]))
        earlier = ops.less_equal(keys, ops.unsqueeze(self.inputs["position_ids"], i64(-1)))
        real = ops.unsqueeze(ops.convert(attended, "boolean"), i64(1))
        seen = ops.unsqueeze(ops.logical_and(earlier, real), i64(1))
        return ops.select(seen, f32(0.0), f32(-np.inf))

    def norm(self, x: Node, place: str) -> Node:
        """The root mean square norm, in the ops that OpenVINO fuses into one."""
        mean = ops.reduce_mean(ops.power(x, f32(2.0)), i64([-1]), True)
        epsilon = f32(self.checkpoint.config["rms_norm_eps"])
        scaled = ops.multiply(x, ops.divide(f32(1.0), ops.sqrt(ops.add(mean, epsilon))))
        return ops.multiply(scaled, f32(self.checkpoint.vector(f"{place}.weight")))

    def linear(self, x: Node, place: str) -> Node:
        """``x`` times the matrix's rows."""
        return ops.matmul(x, self.matrix(place), False, True)

    def matrix(self, place: str) -> Node:
        """A matrix as it is held, and as float32 to whoever multiplies with it."""
        values = self.checkpoint.matrix(f"{place}.weight")
        if self.int8:
            small, scale = by_row(widened(values) if self.checkpoint.dtype == "bfloat16" else values)
            half = ops.multiply(ops.convert(ops.constant(small, np.int8), "f16"), ops.constant(scale, np.float16))
            return ops.convert(half, "f32")
        if self.checkpoint.dtype == "bfloat16":
            self.alive.append(values)
            held = ops.constant(ov.Tensor(values, ov.Shape(values.shape), ov.Type.bf16))
            return ops.convert(held, "f32")
        return f32(values)


def by_row(values: Array) -> tuple[Array, Array]:
    """int8 [N, K] and float16 scales [N, 1], symmetric: the largest number of a row becomes 127."""
    scale = np.maximum(np.abs(values).max(1, keepdims=True) / 127, 1e-7).astype(np.float16)
    return np.clip(np.rint(values / scale.astype(np.float32)), -127, 127).astype(np.int8), scale


def rotated(x: Node, turn: tuple[Node, Node]) -> Node:
    """Queries or keys turned by their positions: halves of a head form the pairs."""
    first, second = ops.split(x, i64(-1), 2).outputs()
    across = ops.concat([ops.multiply(second, f32(-1.0)), first], -1)
    return ops.add(ops.multiply(x, turn[0]), ops.multiply(across, turn[1]))


def i64(value: int | list[int]) -> Node:
    """A constant."""
    return ops.constant(value, np.int64)


def f32(value: Any) -> Node:
    """A constant."""
    return ops.constant(np.asarray(value, np.float32))
