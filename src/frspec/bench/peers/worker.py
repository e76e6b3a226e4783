"""Another program in a process of its own, that runs only while it is asked.

Knows: the process, deadlines, lines of JSON (``workers/protocol.py``). Does not know: what is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from frspec.errors import UserError

SHOWN = 80
"""Characters of an unreadable answer that are repeated."""


class Worker:
    """A process that answers questions. Between them it is stopped (SIGSTOP), where the system can do that: threads
    that wait for work in a busy loop, as OpenMP's do, would slow down whoever is measured next.

    It ends with this object, at the latest with this process, and at once when it gives no proper answer in time.
    """

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        try:
            self._process = subprocess.Popen(
                command, cwd=folder, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"cannot start {command[0]}: {error.strerror}") from error
        self._answers: SimpleQueue[bytes] = SimpleQueue()
        assert self._process.stdout is not None
        Thread(target=_pass_on, args=(self._process.stdout, self._answers), daemon=True).start()
        self.close = weakref.finalize(self, _end, self._process)

    def ask(self, question: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Its answer, within so many ``seconds``.

        Raises:
            ModuleNotFoundError: when it says that what it needs is not installed.
            UserError: with its own word on what went wrong, or what became of it.
        """
        _signal(self._process, "SIGCONT")
        try:
            answer = self._answer(question, seconds)
        except UserError:
            self.close()
            raise
        _signal(self._process, "SIGSTOP")
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
            raise UserError(f"its process ended with status {self._process.wait()}: {self._last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise UserError(f"it wrote what is no answer: {line.decode(errors='replace').strip()[:SHOWN]!r}")
        return answer

    def _last_words(self) -> str:
        """The last line it wrote to stderr."""
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "without a word"


def _pass_on(source: IO[bytes], answers: SimpleQueue[bytes]) -> None:
    """Lines as they come, and an empty one at the end."""
    for line in source:
        answers.put(line)
    answers.put(b"")


def _signal(process: subprocess.Popen[bytes], name: str) -> None:
    """To the process and its children, where there is such a signal."""
    if process.poll() is None and hasattr(signal, name):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, getattr(signal, name))


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, "SIGCONT")
    _signal(process, "SIGKILL")
    process.kill()
    process.wait()
