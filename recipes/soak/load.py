"""Everything at once: proper requests, slow readers, faults and bursts, in a shuffled order that a seed makes.

Knows: how many of what, who is counted how. Does not know: what is right for one request.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice

from frspec.bench.serving.answers import NoAnswer, read_whole
from soak.faults import FAULTS, STORY
from soak.served import LIMITS, Served
from soak.wanted import Wanted

FAULTY, SLOW = 0.3, 0.1
"""Shares: of faults among requests, of clients of proper ones who stop reading for a while."""
BURST = int(LIMITS["max-num-seqs"]) + int(LIMITS["max-queue"]) + 24
"""Requests at once, for some of which there is no place."""
SHOWN = 5
"""Unexpected outcomes of a kind that are kept in words."""


@dataclass
class Tally:
    """What came of all requests so far: outcomes by kind, and those that should not have been."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    unexpected: dict[str, list[str]] = field(default_factory=dict)
    failed: int = 0

    def count(self, kind: str, outcome: str, fine: bool) -> None:
        """One more of ``kind``."""
        self.outcomes.setdefault(kind, Counter())[outcome if fine else "unexpected"] += 1
        if not fine:
            self.failed += 1
            self.unexpected.setdefault(kind, []).append(outcome)
            del self.unexpected[kind][SHOWN:]


async def alone(served: Served, wanted: Sequence[Wanted]) -> list[Wanted]:
    """Each with the answer that it gets when nobody else asks.

    Raises:
        NoAnswer: when one is not honoured.
    """
    return [replace(each, expected=each.read(await served.client.ask(each.path, each.body))) for each in wanted]


async def everything(
    served: Served, proper: Sequence[Wanted], requests: int, clients: int, seed: int, bursts: int
) -> Tally:
    """So many requests by so many clients at a time, then so many bursts."""
    chance, tally = random.Random(seed), Tally()
    plan = _plan(proper, requests)
    chance.shuffle(plan)
    left = iter(plan)

    async def client() -> None:
        for each in left:
            if isinstance(each, str):
                await _fault(served, each, chance, tally)
            else:
                await _ask(served, each, tally, slowly=chance.random() < SLOW)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    for _ in range(bursts):
        await _burst(served, tally)
        await served.idle()
    return tally


def _plan(proper: Sequence[Wanted], count: int) -> list[Wanted | str]:
    """Proper requests and kinds of faults, each as often as the others of its sort."""
    faults = round(count * FAULTY)
    return [*islice(cycle(FAULTS), faults), *islice(cycle(proper), count - faults)]


async def _fault(served: Served, kind: str, chance: random.Random, tally: Tally) -> None:
    try:
        outcome = await FAULTS[kind].do(served, chance)
    except (OSError, TimeoutError) as error:
        outcome = f"{type(error).__name__}: {error}"
    tally.count(kind, outcome, outcome in FAULTS[kind].expected)


async def _ask(served: Served, wanted: Wanted, tally: Tally, slowly: bool) -> None:
    """``slowly``: the connection's other end reads nothing for a while after the first bytes."""
    exchange = await served.client.ask(wanted.path, wanted.body, pause=0.5 if slowly else 0.0)
    outcome = wanted.outcome(exchange)
    tally.count(wanted.kind + (", read slowly" if slowly else ""), outcome, outcome == "same")


async def _burst(served: Served, tally: Tally) -> None:
    """More at once than run and wait: each is answered, or told to come again."""
    body = {**STORY, "max_tokens": 20}
    asked = [served.client.ask("/v1/chat/completions", body) for _ in range(BURST)]
    statuses = Counter[int]()
    for exchange in await asyncio.gather(*asked):
        try:
            status, _ = read_whole(exchange)
        except NoAnswer as error:
            tally.count("burst", str(error), fine=False)
            continue
        statuses[status] += 1
        tally.count("burst", str(status), status in (200, 503))
    if not statuses[503]:
        tally.count("burst", "nobody was told to come again", fine=False)
