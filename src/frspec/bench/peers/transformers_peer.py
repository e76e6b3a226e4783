"""Hugging Face ``generate``, plainly and with prompt lookup.

Knows: how to make it sample what frspec samples, and when its tokens come. Does not know: other methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch

from frspec.bench.methods import Sample
from frspec.bench.peers.bursts import Burst, sample_of
from frspec.types import SamplingParams

if TYPE_CHECKING:
    from frspec.bench.peers import Subject

transformers: Any = import_module("transformers")  # its own annotations differ from version to version
PROMPT_LOOKUP_TOKENS = 10
"""The value of the library's own documentation."""


def load(name: str, subject: Subject) -> TransformersMethod:
    """The peer of that name; both share one copy of the weights."""
    lookup = {"prompt_lookup_num_tokens": PROMPT_LOOKUP_TOKENS} if name.endswith("prompt-lookup") else {}
    return TransformersMethod(name, _model(subject), subject, lookup)


@cache
def _model(subject: Subject) -> Any:
    """The checkpoint as the library loads it, with nothing of its own sampling settings left."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(
        subject.folder, dtype=subject.dtype, local_files_only=True
    )
    if model.dtype != subject.dtype:
        raise TypeError(f"it loads {model.dtype} instead of {subject.dtype}; a newer transformers is needed")
    model.generation_config = transformers.GenerationConfig(
        eos_token_id=list(subject.stop_ids) or None, pad_token_id=0, use_cache=True
    )
    return model.to(subject.device).eval()


class TransformersMethod:
    """``model.generate`` with ``extra`` arguments."""

    peer = True

    def __init__(self, name: str, model: Any, subject: Subject, extra: dict[str, Any]) -> None:
        self.name, self._model, self._subject, self._extra = name, model, subject, extra
        self.versions = {"transformers": transformers.__version__}
        self.weights = str(subject.dtype).removeprefix("torch.")

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        """Continue ``prompt``, with the library's filters off and its random numbers begun at ``params.seed``."""
        ids = torch.tensor([list(prompt)], device=self._subject.device)
        most = min(params.max_tokens or self._subject.context, self._subject.context - len(prompt))
        sampling = {} if params.greedy else {"temperature": params.temperature, "top_p": params.top_p, "top_k": 0}
        torch.manual_seed(params.seed or 0)
        arrivals = Arrivals()
        self._model.generate(
            ids, attention_mask=torch.ones_like(ids), streamer=arrivals, max_new_tokens=most,
            do_sample=not params.greedy, **sampling, **self._extra,
        )  # fmt: skip
        return arrivals.sample(self._subject.stop_ids)


class Arrivals:
    """A streamer that notes what came when, in bursts of the ids that one pass brought."""

    def __init__(self) -> None:
        self._started = perf_counter()
        self._bursts: list[Burst] = []

    def put(self, value: torch.Tensor) -> None:
        """Called with the prompt first, then with new ids."""
        self._bursts.append((perf_counter(), value.flatten().tolist()))

    def end(self) -> None:
        """Called when all is done."""

    def sample(self, stop_ids: Sequence[int]) -> Sample:
        """What was written, up to and with the first of ``stop_ids``."""
        return sample_of(self._started, self._bursts[1:], stop_ids)
