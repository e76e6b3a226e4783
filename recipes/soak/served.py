"""``frspec serve`` as a process: started, measured, ended.

Knows: its command, /proc, /metrics. Does not know: what it is asked.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from prometheus_client.parser import text_string_to_metric_families

from frspec.bench.serving.answers import read_whole
from frspec.bench.serving.client import Client

KEY = "soak"
POISON_PICK, POISON_PASS, AFTER = 666_001, 666_002, 3
"""Seeds of requests that break in their own slot, and in the pass that all share; after so many tokens."""
PROGRAM = f"""
import frspec.engine.engine as engine, frspec.speculation.sampler as sampler
pick, forward = sampler.Sampler.pick, engine.Engine._forward
def poisoned_pick(self, logits):
    if self.params.seed == {POISON_PICK} and len(self._history) - self._prompt_length >= {AFTER}:
        raise RuntimeError("poison")
    return pick(self, logits)
def poisoned_forward(self, shares):
    if any(s.request.params.seed == {POISON_PASS} and len(s.request.output.token_ids) >= {AFTER} for s in shares):
        raise RuntimeError("poison")
    return forward(self, shares)
sampler.Sampler.pick, engine.Engine._forward = poisoned_pick, poisoned_forward
from frspec.cli.main import main
main()
"""
LIMITS = {
    "max-num-seqs": 8, "max-queue": 40, "max-streams-per-client": 200, "max-body-bytes": 1 << 16, "timeout-body": 1,
    "timeout-graceful-shutdown": 3,
}  # fmt: skip
PATIENCE = 60.0
LEAVE = 20.0
"""Seconds that connections and slots get to be freed after the last request."""


@dataclass(frozen=True)
class Vitals:
    """What a process holds: megabytes of memory, threads, open files."""

    megabytes: float
    threads: int
    files: int


class Served:
    """A running server with its faults built in; killed at the end, whatever happened."""

    def __init__(self, model: str, log: Path) -> None:
        self._log = log
        words = [word for name, value in LIMITS.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-c", PROGRAM, "serve", model, "--port", "0", *words]
        with log.open("wb") as errors:
            self.process = subprocess.Popen(command, stderr=errors, env={**os.environ, "FRSPEC_API_KEY": KEY})

    def __enter__(self) -> Served:
        end = time.monotonic() + PATIENCE
        while not (found := re.search(r"^frspec: serving .* at http://127\.0\.0\.1:(\d+)$", self.said(), re.MULTILINE)):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                sys.exit(f"the server did not start:\n{self.said()}")
            time.sleep(0.05)
        self.port = int(found[1])
        self.client = Client(f"http://127.0.0.1:{self.port}", KEY, PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """All it wrote to stderr."""
        return self._log.read_text(errors="replace")

    def vitals(self) -> Vitals:
        """As the system sees it."""
        place = Path(f"/proc/{self.process.pid}")
        resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return Vitals(round(resident / 1e6, 1), *(len(list((place / name).iterdir())) for name in ("task", "fd")))

    async def gauges(self) -> dict[str, float]:
        """Its counters and gauges, by name without prefix."""
        _, body = read_whole(await self.client.ask("/metrics"))
        return {
            sample.name.partition(":")[2]: sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if family.type in ("counter", "gauge")
        }

    async def idle(self) -> dict[str, float]:
        """Wait until nothing runs or waits; what is left after a while."""
        end = time.monotonic() + LEAVE
        while True:
            gauges = await self.gauges()
            left = {name: gauges[f"num_requests_{name}"] for name in ("running", "waiting")}
            if not any(left.values()) or time.monotonic() > end:
                return left
            await asyncio.sleep(0.1)

    def terminate(self) -> None:
        """As a service manager does."""
        self.process.send_signal(signal.SIGTERM)
