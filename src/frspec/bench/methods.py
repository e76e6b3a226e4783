"""What is compared: something that continues a prompt, and what one such run took.

Knows: token ids, seconds. Does not know: tables, other methods, where prompts come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol

import torch

from frspec.engine.llm import LLM
from frspec.types import SamplingParams, StepStats

PLAIN = "plain"
"""The name of decoding without drafts."""


@dataclass(frozen=True)
class Setting:
    """How one of our own methods drafts, for tables and plots; None: not at all, or not by this.

    draft_vocab: as it was asked for; draft_vocab_size: in tokens, where it is one size. shape: ``str`` of a
    ``TreeShape``, or "auto". synthetic: the acceptance that is drawn instead of earned (``bench/acceptance.py``).
    """

    draft: str | None = None
    draft_vocab: str | None = None
    draft_vocab_size: int | None = None
    shape: str | None = None
    draft_quantize: str | None = None
    synthetic: dict[str, Any] | None = None


@dataclass(frozen=True)
class Sample:
    """One prompt continued once.

    token_ids: what was written, up to and with the end of sequence, nothing after it. first_token_seconds: from the
    call to the first token or tokens: the prompt is read, by a drafter too. decode_seconds: from there to the last.
    stats: of that time, so ``emitted`` leaves out what came first; ``target_passes`` are the bursts that tokens came
    in. time_split: the seconds of that time by what they went into, where the method can tell.
    """

    token_ids: list[int]
    first_token_seconds: float
    decode_seconds: float
    stats: StepStats
    time_split: dict[str, float] = field(default_factory=dict)

    @property
    def tokens_per_second(self) -> float | None:
        """Decoding speed, or None where nothing came after the first token."""
        return self.stats.emitted / self.decode_seconds if self.stats.emitted and self.decode_seconds else None


class Method(Protocol):
    """One row of the table; ``peer``: the work of another program, whose sampling noise is its own.

    weights: what its matrices are held in; only methods of the same weights write the same text.
    """

    name: str
    peer: bool

    @property
    def weights(self) -> str: ...

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        """Continue ``prompt``; of ``params``, ``max_tokens``, ``temperature``, ``top_p`` and ``seed`` count."""
        ...


class Peer(Method, Protocol):
    """A method that is another program; ``versions`` by the names of its packages."""

    versions: dict[str, str]


class OwnMethod:
    """frspec with or without a drafter; ``llm`` shares its target with the others'.

    It is timed as a reader of ``LLM.stream`` sees it, and writes no text: peers are asked for ids too.
    """

    peer = False

    def __init__(self, name: str, llm: LLM, setting: Setting = Setting()) -> None:
        self.name, self.llm, self.setting = name, llm, setting
        target = llm.engine.target
        kind = torch.int8 if target.precision.matrices == torch.int8 else target.dtype
        self.weights = str(kind).removeprefix("torch.")

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        """Continue ``prompt``."""
        clock, started = self.llm.engine.clock, perf_counter()
        outputs = self.llm.stream({"prompt_token_ids": list(prompt)}, replace(params, detokenize=False))
        output = next(outputs)
        before = clock.seconds  # target and drafter have read the prompt, the first token is there
        first = last = perf_counter()
        while (longer := next(outputs, None)) is not None:
            output, last = longer, perf_counter()
        split = {name: seconds - before.get(name, 0.0) for name, seconds in clock.seconds.items()}
        stats = StepStats()
        stats.add(output.metrics)
        return Sample(output.outputs[0].token_ids, first - started, last - first, stats, split)
