"""``frspec serve`` among clients of every kind: does anything leak, does anybody get another's text?

    python recipes/serve_soak.py --requests 2000

Starts the server with faults built in that no request could cause, asks everything alone, then all at once: proper
requests of every kind, whose ids must be those that came alone; readers that stall; clients that leave, lie, send
garbage or too much; poisoned requests; bursts beyond the queue. Then it looks at memory, threads, open files and slots,
as after the first sixth, and sends SIGTERM while texts are being written. Only loopback is addressed, and the number of
requests and the minutes are bounded. Linux. Prints a line a kind; the last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from soak.ending import end
from soak.load import Tally, alone, everything
from soak.served import Served
from soak.wanted import proper

WARM_UP = 6
"""The first measurement is after a sixth of the requests."""


async def soak(
    served: Served, requests: int, clients: int, variants: int, seed: int, minutes: float, bursts: int
) -> dict[str, Any]:
    """Everything, and what came of it; ``failed`` counts what should not have been. bursts: beyond ``requests``."""
    started = time.monotonic()
    async with asyncio.timeout(minutes * 60):
        wanted = await alone(served, proper(variants))
        first = await everything(served, wanted, requests // WARM_UP, clients, seed, 0)
        left_before, before = await served.idle(), served.vitals()
        rest = await everything(served, wanted, requests - requests // WARM_UP, clients, seed + 1, bursts)
        left, after = await served.idle(), served.vitals()
        counters = await served.gauges()
        ended = await end(served)
    outcomes = _sum(first, rest)
    accepted, generated = (
        counters[f"{name}_total"] for name in ("spec_decode_num_accepted_tokens", "generation_tokens")
    )
    return {
        "requests": sum(map(Counter.total, outcomes.values())), "clients": clients,
        "seconds": round(time.monotonic() - started, 1), "failed": first.failed + rest.failed, "outcomes": outcomes,
        "unexpected": {**first.unexpected, **rest.unexpected}, "left": {"before": left_before, "after": left},
        "before": asdict(before), "after": asdict(after), "preemptions": counters["num_preemptions_total"],
        "drafted_share": round(accepted / generated, 3), "end": ended,
    }  # fmt: skip


def _sum(*tallies: Tally) -> dict[str, Counter[str]]:
    total = defaultdict[str, Counter[str]](Counter)
    for tally in tallies:
        for kind, outcomes in tally.outcomes.items():
            total[kind] += outcomes
    return dict(sorted(total.items()))


@click.command()
@click.option("--model", default="demo", show_default=True, help="With a chat template and a context of 1,024 or more.")
@click.option("--requests", type=click.IntRange(30, 100_000), default=2000, show_default=True)
@click.option(
    "--clients", type=click.IntRange(1, 32), default=16, show_default=True, help="At a time; bursts are more."
)
@click.option("--bursts", type=click.IntRange(0, 100), default=3, show_default=True, help="Beyond the requests.")
@click.option("--variants", type=click.IntRange(1, 100), default=8, show_default=True, help="Of each proper request.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the order of everything.")
@click.option("--minutes", type=float, default=30.0, show_default=True, help="After which it gives up.")
def main(model: str, **how: Any) -> None:
    """Ask, disturb, count; exit status 1 if anything was not as it should be."""
    with tempfile.TemporaryDirectory() as folder, Served(model, Path(folder) / "log") as served:
        found = asyncio.run(soak(served, **how))
    for kind, outcomes in found["outcomes"].items():
        print(f"{kind:32} {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}")
    for kind, words in found["unexpected"].items():
        print(f"{kind}: {words[0][:500]}")
    print(json.dumps(found))
    wrong = found["failed"] or any(found["left"]["after"].values()) or found["end"]["status"] or found["end"]["errors"]
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
