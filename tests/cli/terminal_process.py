"""A program on a terminal of its own, as a person has it: keys in, what is on the screen out."""

import fcntl
import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Sequence

from tests.patience import PATIENCE


class TerminalProcess:
    """``environment`` replaces variables; a value of None removes one."""

    def __init__(self, command: Sequence[str], columns: int = 80, **environment: str | None) -> None:
        self._screen, inside = pty.openpty()
        termios.tcsetwinsize(inside, (24, columns))
        wanted = {**os.environ, "TERM": "xterm", "NO_COLOR": None, "COLUMNS": None, **environment}
        self.process = subprocess.Popen(
            command, stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={name: value for name, value in wanted.items() if value is not None},
        )  # fmt: skip
        os.close(inside)
        self.seen = ""

    def __enter__(self) -> "TerminalProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)

    def type(self, keys: str) -> None:
        """Press these keys."""
        os.write(self._screen, keys.encode())

    def until(self, text: str) -> str:
        """Wait for ``text`` on the screen; returns everything up to and with it that no earlier call returned."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            assert self._read(), f"ended without {text!r}: {self.seen!r}"
        end = self.seen.index(text) + len(text)
        before, self.seen = self.seen[:end], self.seen[end:]
        return before

    def interrupt(self, answer: str) -> str:
        """Press Ctrl-C at a prompt until ``answer`` comes.

        Python's readline overlooks a signal between its prompt and its wait for a key, until the next one.
        """
        deadline = time.monotonic() + PATIENCE
        while answer not in self.seen:
            assert time.monotonic() < deadline, f"no {answer!r} in {self.seen!r}"
            self.type("\x03")
            while answer not in self.seen and select.select([self._screen], [], [], 1.0)[0]:
                assert self._read(), f"ended without {answer!r}: {self.seen!r}"
        return self.until(answer)

    def rest(self) -> tuple[str, int]:
        """Wait for the end; returns what is left of the screen, and the exit status."""
        while self._read():
            pass
        return self.seen, self.process.wait(PATIENCE)

    def _read(self) -> bool:
        """Wait for output; False at its end."""
        ready, _, _ = select.select([self._screen], [], [], PATIENCE)
        assert ready, f"nothing more after {self.seen!r}"
        try:
            new = os.read(self._screen, 4096)
        except OSError:  # Linux' way of saying that the other side is closed
            return False
        self.seen += new.decode(errors="replace").replace("\r\n", "\n")
        return bool(new)
