"""Drafting methods side by side on the same prompts in the same run.

Knows: methods, prompts, seconds. Does not know: terminals, how methods work.
Machines change their speed within minutes, so methods take turns prompt by prompt, each in a new order, and a
method's speed is given as a ratio to plain decoding of the same prompts.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from frspec.engine.llm import LLM
from frspec.types import SamplingParams

PLAIN = "none"


@dataclass
class Method:
    """One row of the table; ``llm`` shares its target with the others."""

    name: str
    llm: LLM
    seconds: float = 0.0
    tokens: int = 0
    identical: int = 0
    outputs: list[list[int]] = field(default_factory=list)

    def run(self, prompt: Sequence[int], params: SamplingParams) -> None:
        """Generate once and add up."""
        started = perf_counter()
        output = self.llm.generate({"prompt_token_ids": list(prompt)}, params)[0].outputs[0]
        self.seconds += perf_counter() - started
        self.tokens += len(output.token_ids)
        self.outputs.append(output.token_ids)

    def row(self, plain: Method) -> dict[str, Any]:
        """The figures, speed relative to ``plain``."""
        stats, seconds = self.llm.engine.stats, self.llm.engine.clock.seconds
        total = sum(seconds.values())
        drafted = [d for d in stats.drafted_per_position if d]
        return {
            "method": self.name,
            "mean_acceptance_length": round(stats.mean_acceptance_length, 3),
            "accepted_per_pass_at_position": [round(a / stats.target_passes, 3) for a in stats.accepted_per_position],
            "drafted_per_pass": round(sum(drafted) / stats.target_passes, 2) if stats.target_passes else 0,
            "tokens_per_second": round(self.tokens / self.seconds, 1),
            "ratio_to_plain": round(plain.seconds / self.seconds, 3),
            "identical_outputs": sum(a == b for a, b in zip(self.outputs, plain.outputs, strict=True)),
            "outputs": len(self.outputs),
            "time_share": {name: round(value / total, 3) for name, value in seconds.items()},
        }


def compare(
    methods: Sequence[Method], prompts: Sequence[Sequence[int]], params: SamplingParams
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield, after each prompt, how many are done and the table so far.

    One method must be ``PLAIN``. Prompt ``i`` is sampled with seed ``params.seed + i`` by every method.
    """
    from dataclasses import replace

    plain = next(method for method in methods if method.name == PLAIN)
    for method in methods:  # the first run of anything pays for what no later one does
        warm = method.llm.with_draft(method.llm.engine.drafter)
        warm.generate({"prompt_token_ids": list(prompts[0])}, replace(params, max_tokens=8))
    order = list(methods)
    shuffle = random.Random(0)
    for done, prompt in enumerate(prompts):
        shuffle.shuffle(order)
        for method in order:
            method.run(prompt, replace(params, seed=(params.seed or 0) + done))
        yield done + 1, [method.row(plain) for method in methods]
