"""Methods side by side on the same prompts in the same process.

Knows: whose turn it is. Does not know: terminals, how methods work, what is made of the samples.
Machines change their speed within minutes, so methods take turns prompt by prompt, each time in a new order, and speeds
are compared prompt by prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from frspec.bench.methods import Method, Sample
from frspec.bench.peers import failure
from frspec.types import SamplingParams

Samples = dict[str, list[Sample]]
WARM_UP_PROMPTS, WARM_UP_TOKENS = 3, 16


def warm_up(method: Method, prompts: Sequence[Sequence[int]], params: SamplingParams) -> None:
    """Let ``method`` pay for what only first runs do, on none of ``prompts``.

    They are read backwards: other texts of the same lengths, made of the model's own tokens.
    """
    short = replace(params, max_tokens=min(params.max_tokens or WARM_UP_TOKENS, WARM_UP_TOKENS), seed=0)
    for prompt in prompts[:WARM_UP_PROMPTS]:
        method.run(prompt[::-1], short)


def compare(
    methods: Sequence[Method],
    prompts: Sequence[Sequence[int]],
    params: SamplingParams,
    progress: Callable[[int], None] = lambda _done: None,
) -> tuple[Samples, dict[str, str]]:
    """Every method's samples, one for each prompt, by its name; and why a peer that failed on one has none.

    Prompt ``i`` is sampled with seed ``params.seed + i`` by every method. ``progress`` hears how many prompts are done.
    """
    samples: Samples = {method.name: [] for method in methods}
    failed = dict[str, str]()
    order, shuffle = list(methods), random.Random(0)
    for done, prompt in enumerate(prompts):
        shuffle.shuffle(order)
        for method in list(order):
            try:
                samples[method.name].append(method.run(prompt, replace(params, seed=(params.seed or 0) + done)))
            except Exception as error:
                if not method.peer:
                    raise
                order.remove(method)
                del samples[method.name]
                failed[method.name] = failure(method.name, error)
        progress(done + 1)
    return samples, failed
