"""llama.cpp through llama-cpp-python: plain, with 8-bit weights, and with prompt lookup.

Knows: how to make it sample what was asked for, and where a pass ends. Does not know: who asks.
"""

from __future__ import annotations

import contextlib
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llama_cpp
from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

from .checkpoint import Checkpoint
from .gguf_file import write_gguf
from .protocol import Bursts, Request

ROOM = 1024
"""Positions are made in such steps."""


class Passes(llama_cpp.Llama):  # type: ignore[misc]
    """The library's own class, which counts its passes."""

    passes = 0

    def eval(self, tokens: Any) -> None:
        """One pass over ``tokens``."""
        super().eval(tokens)
        self.passes += 1


class LlamaCpp:
    """One model file, read with as many positions as the longest prompt so far needed."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.versions = {name: version(name) for name in ("llama-cpp-python", "gguf")}
        self.weights = told.get("weights", told["dtype"])
        self._file, self._told, self._rows = model_file(told), told, 0
        self._model: Passes | None = None

    def run(self, request: Request, bursts: Bursts) -> None:
        """``Llama.generate`` with no filter but top-p, from an empty cache."""
        model = self._with_room(len(request.ids) + request.max_tokens)
        model.n_tokens = 0  # nothing of the prompt before is read again
        model.set_seed(request.seed)
        greedy = request.temperature == 0
        tokens = model.generate(
            request.ids, top_k=0, top_p=request.top_p, min_p=0.0, temp=0.0 if greedy else request.temperature,
            repeat_penalty=1.0,
        )  # fmt: skip
        bursts.begin()
        with contextlib.closing(tokens):
            before = model.passes
            for token in tokens:
                same, before = model.passes == before and bool(bursts.all), model.passes
                if bursts.came([token], same):
                    return

    def _with_room(self, rows: int) -> Passes:
        """The model with so many positions at least; read again where it had fewer."""
        if self._model is None or rows > self._rows:
            self._model, self._rows = None, min(-(-rows // ROOM) * ROOM, self._told["context"])
            lookup = self._told.get("drafts") == "prompt-lookup"
            cache = llama_cpp.GGML_TYPE_F32 if self._told["dtype"] == "float32" else llama_cpp.GGML_TYPE_F16
            self._model = Passes(
                str(self._file), n_ctx=self._rows, n_threads=self._told["threads"], verbose=False,
                n_threads_batch=self._told["threads"], draft_model=LlamaPromptLookupDecoding() if lookup else None,
                logits_all=lookup, type_k=cache, type_v=cache,
            )  # fmt: skip
        return self._model


def model_file(told: dict[str, Any]) -> Path:
    """The checkpoint's GGUF file in the cache folder, written if it is not there."""
    name = told.get("weights", told["dtype"])
    file = Path(told["cache"]) / f"{name}.gguf"
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        if name == "q8_0":
            _quantize(model_file({**told, "weights": told["dtype"]}), temporary, told["threads"])
        else:
            write_gguf(Checkpoint(Path(told["folder"]), name), temporary)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return file


def _quantize(source: Path, file: Path, threads: int) -> None:
    """Every matrix, head included, in 8 bits by llama.cpp itself."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype, settings.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0, threads
    if llama_cpp.llama_model_quantize(os.fsencode(source), os.fsencode(file), settings):
        raise RuntimeError("llama.cpp could not write the 8-bit file")


load = LlamaCpp
