"""Another program in a process of its own, that runs only while it is asked.

Knows: the process, deadlines, lines of JSON (``workers/protocol.py``). Does not know: what is asked.
"""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from frspec.bench.peers.process import Process
from frspec.errors import UserError

SHOWN = 80
"""Characters of an unreadable answer that are repeated."""


class Worker:
    """A process that answers questions. Between them it is stopped (SIGSTOP), where the system can do that: threads
    that wait for work in a busy loop, as OpenMP's do, would slow down whoever is measured next.

    It ends with this object, at the latest with this process, and at once when it gives no proper answer in time.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = Process(command, environment, folder)
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        assert self._process.stdout is not None
        Thread(target=_pass_on, args=(self._process.stdout, self._answers), daemon=True).start()
        self.close = weakref.finalize(self, self._process.end)

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer, within so many ``seconds``.

        Raises:
            ModuleNotFoundError: when it says that what it needs is not installed.
            UserError: with its own word on what went wrong, or what became of it.
        """
        self._process.resume()
        try:
            answer = self._answer(question, seconds)
        except UserError:
            self.close()
            raise
        self._process.pause()
        if "missing" in answer:
            raise ModuleNotFoundError(answer["error"], name=answer["missing"])
        if "error" in answer:
            raise UserError(answer["error"])
        return answer

    def _answer(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone: the answer will be empty
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=seconds)
        except Empty:
            raise UserError(f"no answer within {seconds:g} s") from None
        if not line:
            raise UserError(f"its process ended with status {self._process.wait()}: {self._process.last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UserError(f"it wrote what is no answer: {line.decode(errors='replace').strip()[:SHOWN]!r}")
        return answer


def _pass_on(source: IO[bytes], answers: SimpleQueue[bytes]) -> None:
    """Lines as they come, and an empty one at the end."""
    for line in source:
        answers.put(line)
    answers.put(b"")
