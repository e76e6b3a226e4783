"""How people name a part of a ranking, and how much of it: ``all.ranking@de``, ``32768``, ``0.99``, ``32768@de``.

Knows: words. Does not know: what is in files, vocabularies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frspec import shipped

MARK = "@"


@dataclass(frozen=True)
class Size:
    """``amount``: how many ids (int), the share of the counts to cover (float), or None where that is left open.
    ``part``: of which part of a ranking; None: of all of it."""

    amount: int | float | None
    part: str | None = None

    @staticmethod
    def parse(text: str) -> Size | None:
        """What ``32768``, ``0.99``, ``32768@de``, ``0.99@de`` or ``@de`` ask for; None for any other text."""
        number, mark, part = text.partition(MARK)
        if mark and not part:
            return None
        try:
            amount = None if mark and not number else float(number) if "." in number else int(number)
        except ValueError:
            return None
        return Size(amount, part or None)


def split_part(name: str) -> tuple[str, str | None]:
    """A file and the part of it that is meant: ``all.ranking@de`` is de of all.ranking, unless a file is called so."""
    if not Path(name).exists():
        for place in range(len(name) - 2, 0, -1):
            file = name[:place]
            if name[place] == MARK and (file == shipped.NAME or Path(file).is_file()):
                return file, name[place + 1 :]
    return name, None
