"""What a terminal needs that a pipe does not: colours, words that end before the margin, no control characters.

Knows: streams of characters. Does not know: tokens, models.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import TextIO

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

DRAFTED = "green"
TAB = 8
# Characters that would steer the terminal instead of being read.
_SHOWN = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def wants_colour(asked: bool | None, stream: TextIO) -> bool:
    """As asked; if nothing was, on a terminal that has colours, unless NO_COLOR is set (https://no-color.org)."""
    if asked is not None:
        return asked
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Notices:
    """Everything that is no answer: lines and small tables on stderr, dim where there are colours."""

    def __init__(self, colour: bool) -> None:
        self._console = Console(
            stderr=True, markup=False, emoji=False, highlight=False, color_system="auto" if colour else None
        )

    def say(self, line: str) -> None:
        """A line; a terminal gets it broken between words."""
        self._console.print(line, style="dim", soft_wrap=not self._console.is_terminal)

    def table(self, rows: Mapping[str, str]) -> None:
        """Names and what they stand for."""
        grid = Table.grid(padding=(0, 2))
        for name, value in rows.items():
            grid.add_row(name, value)
        self._console.print(grid, style="dim")


class Writer:
    """Text as it grows, in pieces of one colour or the other.

    On a terminal a word is held back until it ends, so that it can begin a new line where it would cross the margin
    (a space there becomes the line's end), and control characters are spelled out. A pipe gets the text as it is.
    """

    def __init__(self, out: TextIO, colour: bool) -> None:
        self._out, self._colour = out, colour
        self._width = shutil.get_terminal_size().columns if out.isatty() else None
        self._column = 0
        self._word: list[tuple[str, bool]] = []
        self._overlong = False  # what is held continues a word that the terminal has to break anyway

    def write(self, text: str, drafted: bool = False) -> None:
        """Add a piece; ``drafted`` chooses its colour."""
        if self._width is None:
            self._put(text, drafted)
        else:
            for char in text:
                self._add(char, drafted, self._width)
        self._out.flush()

    def end(self) -> None:
        """Write what was held back, and end the line."""
        self._end_word(self._width or 0)
        self._out.write("\n")
        self._out.flush()

    def _add(self, char: str, drafted: bool, width: int) -> None:
        if char.isspace():
            self._end_word(width)
            self._add_space(char, width)
            return
        if cell_len(char) > 1:  # scripts with wide characters break anywhere
            self._end_word(width)
        shown = char.translate(_SHOWN)
        if self._word and self._word[-1][1] == drafted:
            shown = self._word.pop()[0] + shown
        self._word.append((shown, drafted))
        if cell_len(char) > 1:
            self._end_word(width)
        elif self._held() >= width:
            self._end_word(width)
            self._overlong = True

    def _add_space(self, char: str, width: int) -> None:
        after = self._column + (TAB - self._column % TAB if char == "\t" else 1)
        if char != "\n" and after <= width:
            self._out.write(char.translate(_SHOWN))
            self._column = after
        else:
            self._out.write("\n")
            self._column = 0

    def _end_word(self, width: int) -> None:
        held = self._held()
        if self._column and self._column + held > width and not self._overlong:
            self._out.write("\n")
            self._column = 0
        for text, drafted in self._word:
            self._put(text, drafted)
        self._word.clear()
        self._overlong = False
        self._column += held
        if self._column > width:
            self._column = (self._column - 1) % width + 1

    def _held(self) -> int:
        return sum(cell_len(text) for text, _ in self._word)

    def _put(self, text: str, drafted: bool) -> None:
        self._out.write(click.style(text, fg=DRAFTED) if drafted and self._colour else text)
