"""What the user types: lines that continue, blocks, commands; with editing and history on a terminal.

Knows: stdin. Does not know: what the text is for.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from dataclasses import dataclass
from io import TextIOWrapper
from types import FrameType, TracebackType

from frspec.errors import UserError

PROMPT, MORE, FENCE = "> ", "... ", '"""'


@dataclass(frozen=True)
class Entry:
    """One message, or one command with its argument."""

    text: str
    command: bool = False


class Reader:
    """Reads stdin entry by entry. Where it is no terminal nothing is prompted for.

    Raises:
        UserError: when there is no stdin at all.
    """

    def __init__(self) -> None:
        if sys.stdin is None:
            raise UserError("stdin is closed; talk from a terminal, a pipe or a file")
        self.interactive = sys.stdin.isatty()
        self._edited = self.interactive and sys.stdout.isatty()
        if self._edited:
            with contextlib.suppress(ImportError):  # Windows has none
                import readline  # noqa: F401 - gives input() its editing and history
        if isinstance(sys.stdin, TextIOWrapper):  # bytes that are no text are refused with their message, not here
            sys.stdin.reconfigure(errors="surrogateescape")

    def read(self) -> Entry | None:
        """The next entry, or None at the end of the input."""
        line = self._line(PROMPT)
        if line is None:
            return None
        if line.startswith(FENCE):
            return Entry(self._block(line.removeprefix(FENCE)))
        if line.startswith("/"):
            return Entry(line.strip(), command=True)
        return Entry(self._continued(line))

    def _block(self, line: str) -> str:
        """Everything up to the line that ends with the closing fence, or to the end of the input."""
        lines = [line]
        while not lines[-1].rstrip().endswith(FENCE):
            following = self._line(MORE)
            if following is None:
                return "\n".join(lines).strip("\n")
            lines.append(following)
        lines[-1] = lines[-1].rstrip().removesuffix(FENCE)
        return "\n".join(lines).strip("\n")

    def _continued(self, line: str) -> str:
        while line.endswith("\\"):
            following = self._line(MORE)
            line = line.removesuffix("\\") + ("" if following is None else "\n" + following)
            if following is None:
                break
        return line

    def _line(self, prompt: str) -> str | None:
        if self._edited:
            try:
                return input(prompt)
            except EOFError:
                print()
                return None
        if self.interactive:
            print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        return line.removesuffix("\n") if line else None


class CtrlC:
    """Ctrl-C while an answer is written.

    Once ``writing`` is set the first press only sets ``pressed``, for the caller to stop between two passes of the
    target, so that no text is shown and not kept. Before that (the prompt is being read) it interrupts at once.
    Further presses do nothing.
    """

    def __init__(self) -> None:
        self.pressed = self.writing = False

    def __enter__(self) -> CtrlC:
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        again, self.pressed = self.pressed, True
        if not (again or self.writing):
            raise KeyboardInterrupt
