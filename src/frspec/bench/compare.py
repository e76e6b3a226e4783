"""Methods side by side on the same prompts in the same process.

Knows: whose turn it is. Does not know: terminals, how methods work, what is made of the samples.
Machines change their speed within minutes, so methods take turns prompt by prompt, each time in a new order, and speeds
are compared prompt by prompt.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from frspec.bench.memory import Memory, Readings
from frspec.bench.methods import PLAIN, Method, Sample
from frspec.bench.peers import failure
from frspec.bench.prompts import Prompt, Talk
from frspec.types import SamplingParams

WARM_UP_PROMPTS, WARM_UP_TOKENS = 3, 16


@dataclass(frozen=True)
class Round:
    """One prompt, continued once by every method with the same seed.

    number: of the prompt, from 0; the same prompt again is the same number. readings: memory's GB/s before and after
    each sample, where it was read.
    """

    number: int
    prompt: Prompt
    seed: int
    samples: dict[str, Sample]
    readings: dict[str, Readings] = field(default_factory=dict)


def warm_up(method: Method, prompts: Sequence[Sequence[int]], params: SamplingParams) -> None:
    """Let ``method`` pay for what only first runs do, on none of ``prompts``.

    They are read backwards: other texts of the same lengths, made of the model's own tokens.
    """
    short = replace(params, max_tokens=min(params.max_tokens or WARM_UP_TOKENS, WARM_UP_TOKENS), seed=0)
    for prompt in prompts[:WARM_UP_PROMPTS]:
        method.run(prompt[::-1], short)


def compare(
    methods: Sequence[Method],
    talks: Sequence[Talk],
    params: SamplingParams,
    repeat: int = 1,
    memory: Memory | None = None,
    progress: Callable[[int], None] = lambda _done: None,
) -> tuple[list[Round], dict[str, str]]:
    """``repeat`` rounds of every prompt, and why a peer that failed on one is in none of them.

    One of ``methods`` is ``PLAIN``: its answer is what every method reads in a conversation's next turn, so that all
    read the same. Prompt ``i`` is sampled with seed ``params.seed + i`` each time. ``progress`` hears how many talks
    are done.
    """
    rounds, failed = list[Round](), dict[str, str]()
    order, shuffle, number = list(methods), random.Random(0), 0
    for done, talk in enumerate(talks, 1):
        for prompt in _turns(talk, rounds):
            seeded = replace(params, seed=(params.seed or 0) + number)
            for _ in range(repeat):
                shuffle.shuffle(order)
                rounds.append(_round(number, prompt, seeded, order, memory, failed))
            number += 1
        progress(done)
    for name in failed:
        for round in rounds:
            round.samples.pop(name, None)
            round.readings.pop(name, None)
    return rounds, failed


def _turns(talk: Talk, rounds: Sequence[Round]) -> Iterator[Prompt]:
    """The prompts of a talk; each next one is made when the one before has had its rounds."""
    prompt: Prompt | None = talk.first
    while prompt is not None:
        yield prompt
        prompt = talk.after(rounds[-1].samples[PLAIN].token_ids)


def _round(
    number: int,
    prompt: Prompt,
    params: SamplingParams,
    order: list[Method],
    memory: Memory | None,
    failed: dict[str, str],
) -> Round:
    """One sample of each in ``order``; a peer that fails leaves it for good."""
    made = Round(number, prompt, params.seed or 0, {})
    for method in list(order):
        before = memory.rate() if memory else 0.0
        try:
            made.samples[method.name] = method.run(prompt.ids, params)
        except Exception as error:
            if not method.peer:
                raise
            order.remove(method)
            failed[method.name] = failure(method.name, error)
        else:
            if memory:
                made.readings[method.name] = (before, memory.rate())
    return made
