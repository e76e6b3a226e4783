"""``frspec serve`` as a process of its own, started and stopped as its operator does."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.patience import PATIENCE, until

PROGRAM = "from frspec.cli.main import main; main()"
SLOW = """
import time, frspec.engine.engine as e
step = e.Engine.step
e.Engine.step = lambda self: (time.sleep(0.05), step(self))[1]
"""
"""Put before ``PROGRAM``: every step takes so long that a text is still being written when something happens to it."""


def command(model: Path | str, *words: str, before: str = "") -> list[str]:
    """``frspec serve MODEL`` on a free port."""
    return [sys.executable, "-c", before + PROGRAM, "serve", str(model), "--port", "0", *words]


class ServeProcess:
    """A running server: ``url``, what it ``said`` on stderr so far. Killed at the end, whatever happened."""

    def __init__(self, words: Sequence[str], **environment: str) -> None:
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )  # fmt: skip
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> ServeProcess:
        until(lambda: self._found() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said
        self.url = self._found()[0]
        self.http = httpx.Client(base_url=self.url, timeout=PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.kill()
        self.process.wait()

    def signal(self, number: int = signal.SIGTERM) -> None:
        """What a service manager does."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; returns the exit status. Nothing may have gone wrong in its own eyes."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not [line for line in self.said if "Traceback" in line or "ERROR" in line], self.said
        return status

    def _found(self) -> list[str]:
        return re.findall(r"^frspec: serving .* at (http://\S+)$", "".join(self.said), re.MULTILINE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
