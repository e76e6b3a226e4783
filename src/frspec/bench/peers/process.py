"""Another program in a process of its own, which is stopped while others are measured.

Knows: processes, signals, last words. Does not know: what the program does, how it is talked to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from frspec.errors import UserError


class Process(subprocess.Popen[bytes]):
    """A program in a session of its own; whoever starts it calls ``end``.

    pipes: to its stdin and stdout. Without them it reads nothing, and what it writes counts as last words.

    Raises:
        UserError: when it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, pipes: bool = True
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        source, sink = (subprocess.PIPE, subprocess.PIPE) if pipes else (subprocess.DEVNULL, self._errors)
        try:
            super().__init__(
                command, cwd=folder, env=dict(environment), stdin=source, stdout=sink, stderr=self._errors,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise UserError(f"cannot start {command[0]}: {error.strerror}") from error

    def pause(self) -> None:
        """Stop it and its children (SIGSTOP), where the system can do that."""
        self._send("SIGSTOP")

    def resume(self) -> None:
        """Let it go on."""
        self._send("SIGCONT")

    def end(self) -> None:
        """Kill it and its children, stopped or not."""
        self.resume()
        self._send("SIGKILL")
        self.kill()
        self.wait()

    def last_words(self) -> str:
        """The last line it wrote to stderr (without pipes: to stdout too)."""
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "without a word"

    def _send(self, name: str) -> None:
        if self.poll() is None and hasattr(signal, name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, getattr(signal, name))
