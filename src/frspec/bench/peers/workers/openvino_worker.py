"""OpenVINO GenAI: plain, with 8-bit weights, and with prompt lookup.

Knows: how to make it sample what was asked for. Does not know: who asks.
"""

from __future__ import annotations

import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # a benchmark tells nobody that it runs

import openvino as ov  # noqa: E402
import openvino_genai as genai  # noqa: E402

from .checkpoint import Checkpoint  # noqa: E402
from .openvino_model import write_model  # noqa: E402
from .protocol import Bursts, Request  # noqa: E402

LOOKUP = {"num_assistant_tokens": 5, "max_ngram_size": 3}
"""The values of the library's own sample."""
KINDS = {"bfloat16": "bf16", "float32": "f32"}


class OpenVINO:
    """One ``LLMPipeline``. It has no tokenizer, for ids go in and ids come out."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.versions = {name: version(name) for name in ("openvino", "openvino-genai")}
        self.weights = told.get("weights", told["dtype"])
        self._lookup = LOOKUP if told.get("drafts") == "prompt-lookup" else {}
        kind = KINDS[told["dtype"]]
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": kind, "KV_CACHE_PRECISION": kind}
        settings |= {"prompt_lookup": True} if self._lookup else {}
        folder = model_folder(told)
        self._pipeline = genai.LLMPipeline(str(folder), "CPU", INFERENCE_NUM_THREADS=told["threads"], **settings)

    def run(self, request: Request, bursts: Bursts) -> None:
        """``LLMPipeline.generate`` on one prompt, with no filter but top-p."""
        greedy, stops = request.temperature == 0, request.stop_ids
        settings: dict[str, Any] = {"max_new_tokens": request.max_tokens, "do_sample": not greedy, **self._lookup}
        settings |= (
            {"eos_token_id": stops[0], "stop_token_ids": set(stops)}
            if stops
            else {"ignore_eos": True, "eos_token_id": 0}
        )
        if not greedy:
            settings |= {"temperature": request.temperature, "top_p": request.top_p, "rng_seed": request.seed}
        ids = np.array([request.ids], np.int64)
        prompt = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
        self._pipeline.generate(prompt, genai.GenerationConfig(**settings), Streamer(bursts))


class Streamer(genai.StreamerBase):  # type: ignore[misc]
    """Tells of the ids that each pass brought."""

    def __init__(self, bursts: Bursts) -> None:
        super().__init__()
        self._bursts = bursts

    def write(self, token: int | list[int]) -> genai.StreamingStatus:
        """Called after each pass."""
        ended = self._bursts.came(token if isinstance(token, list) else [token])
        return genai.StreamingStatus.STOP if ended else genai.StreamingStatus.RUNNING

    def end(self) -> None:
        """Called when all is done."""


def model_folder(told: dict[str, Any]) -> Path:
    """The checkpoint's model files in the cache folder, written if they are not there."""
    name: str = told.get("weights", told["dtype"])
    folder = Path(told["cache"]) / name
    if folder.exists():
        return folder
    temporary = folder.with_suffix(f".{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        source = Path(told["folder"])
        write_model(Checkpoint(source, told["dtype"]), temporary, int8="weights" in told)
        (temporary / "config.json").write_text((source / "config.json").read_text("utf-8"), "utf-8")
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


load = OpenVINO
