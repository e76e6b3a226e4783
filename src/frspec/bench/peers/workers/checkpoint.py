"""A Llama checkpoint's config and tensors, with numpy alone: safetensors' numpy side knows no bfloat16.

Knows: config.json, safetensors files. Does not know: what other programs make of them. bfloat16 is held as its bits,
in uint16.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

KINDS: dict[str, np.dtype[Any]] = {"BF16": np.dtype("<u2"), "F16": np.dtype("<f2"), "F32": np.dtype("<f4")}
FAMILIES = ("llama", "mistral")


class Checkpoint:
    """The checkpoint in ``folder``, its matrices wanted in ``dtype`` ("bfloat16" or "float32").

    Raises:
        ValueError: when it is not one that the converters here convert exactly.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        _only("model_type", config["model_type"], *FAMILIES)
        _only("rotary scaling", rope.get("rope_type", rope.get("type", "default")), "default")
        _only("attention_bias", bool(config.get("attention_bias")), False)
        _only("mlp_bias", bool(config.get("mlp_bias")), False)
        _only("hidden_act", config.get("hidden_act", "silu"), "silu")
        _only("dtype", dtype, "bfloat16", "float32")
        self.dtype, self.config = dtype, config
        self.heads: int = config["num_attention_heads"]
        self.kv_heads: int = config.get("num_key_value_heads") or self.heads
        self.head_dim: int = config.get("head_dim") or config["hidden_size"] // self.heads
        self.theta = float(config.get("rope_theta") or rope.get("rope_theta", 10_000.0))
        self.layers: int = config["num_hidden_layers"]
        self._places: dict[str, tuple[Path, str, list[int], int]] = {}
        for file in sorted(folder.glob("model*.safetensors")):
            self._add(file)
        if not self._places:
            raise ValueError(f"{folder} has no model*.safetensors")

    @property
    def tied(self) -> bool:
        """Whether the LM head is the embedding."""
        return "lm_head.weight" not in self._places

    def matrix(self, name: str) -> np.ndarray[Any, Any]:
        """The tensor in the wanted type; mapped from the file where it lies there in that type."""
        kind, stored = self._stored(name)
        if self.dtype == "bfloat16":
            return stored if kind == "BF16" else rounded(stored.astype(np.float32))
        return self.vector(name)

    def vector(self, name: str) -> np.ndarray[Any, Any]:
        """The tensor in float32."""
        kind, stored = self._stored(name)
        return widened(stored) if kind == "BF16" else stored.astype(np.float32)

    def _stored(self, name: str) -> tuple[str, np.ndarray[Any, Any]]:
        file, kind, shape, offset = self._places[name]
        return kind, np.memmap(file, KINDS[kind], "r", offset, tuple(shape))

    def _add(self, file: Path) -> None:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        for name, about in header.items():
            _only(f"{name} is stored as", about["dtype"], *KINDS)
            self._places[name] = (file, about["dtype"], about["shape"], 8 + length + about["data_offsets"][0])


def widened(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """bfloat16's bits as float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rounded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """float32 as bfloat16's bits, to nearest, ties to even."""
    bits = values.view(np.uint32)
    nearest: np.ndarray[Any, Any] = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return nearest


def _only(what: str, found: object, *known: object) -> None:
    if found not in known:
        raise ValueError(f"{what} {found}: only {' and '.join(map(str, known))} can be converted for this peer")
