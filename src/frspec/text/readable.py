"""The bytes of one token, as people can read them.

Knows: UTF-8 and which of its characters show. Does not know: tokenizers, terminals, HTML.
"""

from __future__ import annotations

import re
import unicodedata

REPEATED = 5
"""So many equal characters are shown as one and how often."""
BROKEN = re.compile("[\udc80-\udcff]+")


def readable(content: bytes) -> str:
    """What a token stands for, in quotes: ``' the'``, ``'\\n\\n'``, ``' ' × 24``, half a character ``⟨e3 81⟩``.

    Whatever would not show or would steer what shows it (control characters, zero-width ones, those that turn the
    direction of writing) is escaped as Python's ``repr`` does; bytes that are no UTF-8 stand in ⟨⟩, in hexadecimal. A
    mark that needs a letter below it gets a ring (◌). Nothing at all is ``(unused)``.
    """
    if not content:
        return "(unused)"
    text = content.decode("utf-8", "surrogateescape")
    if len(text) >= REPEATED and len(set(text)) == 1 and not BROKEN.search(text):
        return f"{text[0]!r} × {len(text)}"
    return " ".join(_show(piece) for piece in re.split(f"({BROKEN.pattern})", text) if piece)


def _show(piece: str) -> str:
    if BROKEN.fullmatch(piece):
        return f"⟨{piece.encode('utf-8', 'surrogateescape').hex(' ')}⟩"
    ring = "◌" if unicodedata.category(piece[0]).startswith("M") else ""
    return repr(ring + piece)
