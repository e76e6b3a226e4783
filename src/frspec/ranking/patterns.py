r"""The ``tokenizers`` library's splitting patterns as patterns of Python's ``re``, which finds the same words sooner.

Knows: which patterns mean the same to both engines. Does not know: tokenizers, how often words occur.

The library's engine is Oniguruma. Both engines try alternatives in order, repeat as often as they can and go back when
that fails, so what is left to differ is what a class such as ``\s`` or ``(?i:s)`` holds, for Unicode has versions. A
class is handed to the library as it is written, and stands in our pattern as what it answered (``classes``).
Syntax that is not listed here (looking behind, lazy repeats, references, ...) is not translated.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import accumulate, product

import numpy as np

from frspec.ranking.classes import ASKED, PLANE, Mask, UntranslatableError, class_of, folded, kinds_of, mask_of, members

ASTRAL = re.compile("[\U00010000-\U0010ffff]")
MULTIPLE_FOLDS = ("ff", "fi", "fl", "ss", "st")  # ASCII letters that together match one ligature when case is ignored

_TOKEN = re.compile(
    r"""(?P<fold>\(\?i:(?:['A-Za-z|]|\[[A-Za-z]+\])+\)) | (?P<open>\((?!\?)|\(\?[:=!]) | (?P<close>\)) | (?P<bar>\|)
      | (?P<times>[?*+]\+?|\{\d+(?:,\d*)?\}) | (?P<end>\\z|\$)
      | (?P<set>\[|\\[pP]\{\^?\w+\}|\\[sSdDwWhH]|\.) | (?P<char>\\[rntf]|\\[!-/:-@\[-`{-~]|[^\\\[\](){}?*+.^$|])""",
    re.VERBOSE,
)
_ENDS = {r"\z": r"\Z", "$": r"(?=\n|\Z)"}
_CONTROL = {r"\r": "\r", r"\n": "\n", r"\t": "\t", r"\f": "\f"}
_QUICK = mask_of(ASKED) & (np.arange(0x110000) < PLANE)


class Splitter:
    """``Splitter(pattern)(text)``: the matches of ``pattern`` and what lies between them, as the library splits a text.

    Texts hold only characters in ``ASKED``.

    Raises:
        UntranslatableError: when the pattern cannot be translated with certainty.
    """

    def __init__(self, pattern: str) -> None:
        translation = _Translation(pattern)
        self._kinds, self._twins = kinds_of(translation.masks)
        try:
            self._found = re.compile(translation.text)
        except re.error as error:
            raise UntranslatableError(f"{pattern} means nothing to re") from error
        self._covers = True  # until a text has shown that some of it lies between matches

    @cached_property
    def _between(self) -> re.Pattern[str]:
        return re.compile(f"({self._found.pattern})")

    def __call__(self, text: str) -> list[str]:
        """The pieces; they join to ``text``, and none is empty."""
        if text.isascii() or ASTRAL.search(text) is None:
            return self._split(text)
        twins = ASTRAL.sub(lambda found: self._twins[self._kinds[ord(found[0])]], text)
        ends = list(accumulate(map(len, self._split(twins))))
        return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _split(self, text: str) -> list[str]:
        if self._covers:
            found: list[str] = self._found.findall(text)
            if sum(map(len, found)) == len(text):
                return found
            self._covers = False
        return [piece for piece in self._between.split(text) if piece]


class _Translation:
    """``text``: the pattern for ``re``, made from its tokens; ``masks``: all that it asks of a character."""

    def __init__(self, pattern: str) -> None:
        self.masks: list[Mask] = []
        self._tokens = _tokens(pattern)
        self.text, empty = self._alternatives()
        if empty or self._tokens:
            raise UntranslatableError(f"{pattern} can match nothing at all, or has a bracket too many")

    # Each gives the pattern of a part, and whether that can match nothing.

    def _alternatives(self) -> tuple[str, bool]:
        branches = [self._sequence()]
        while self._tokens and self._tokens[0][0] == "bar":
            self._tokens.pop(0)
            branches.append(self._sequence())
        return "|".join(text for text, _ in branches), any(empty for _, empty in branches)

    def _sequence(self) -> tuple[str, bool]:
        sequence, all_empty = "", True
        while self._tokens and self._tokens[0][0] not in ("bar", "close"):
            kind, token = self._tokens.pop(0)
            text, empty = self._group(token) if kind == "open" else self._atom(kind, token)
            if self._tokens and self._tokens[0][0] == "times":
                times = self._tokens.pop(0)[1]
                if empty or (kind == "open" and times[1:] == "+") or (kind == "fold" and times != "?"):
                    raise UntranslatableError(f"{token} is repeated by {times}")
                text, empty = text + times, times[0] in "?*" or re.match(r"\{0*[,}]", times) is not None
            sequence, all_empty = sequence + text, all_empty and empty
        return sequence, all_empty

    def _group(self, opening: str) -> tuple[str, bool]:
        text, empty = self._alternatives()
        if not self._tokens:
            raise UntranslatableError("a group does not close")
        self._tokens.pop(0)
        ahead = opening in ("(?=", "(?!")
        return f"{opening if ahead else '(?:'}{text})", empty or ahead

    def _atom(self, kind: str, token: str) -> tuple[str, bool]:
        if kind == "set":
            return self._class(members(token)), False
        if kind == "char":
            return self._class(mask_of(_CONTROL.get(token, token[-1]))), False
        if kind == "fold":
            return self._fold(token), False
        if kind == "end":
            self._class(mask_of("\n"))  # it matters to the anchor, so it is no other character's twin
            return _ENDS[token], True
        raise UntranslatableError(f"{token} repeats nothing")

    def _class(self, mask: Mask) -> str:
        self.masks.append(mask)
        return class_of(mask & _QUICK)

    def _fold(self, group: str) -> str:
        """``(?i:...)``, which must be alternatives of characters and sets of letters."""
        branches = []
        for branch in group[4:-1].split("|"):
            atoms = re.findall(r"\[\w+\]|.", branch)
            spelled = {"".join(letters).lower() for letters in product(*(atom.strip("[]") for atom in atoms))}
            if not atoms or any(fold in text for text in spelled for fold in MULTIPLE_FOLDS):
                raise UntranslatableError(f"{group} may match a ligature")
            sets = [np.logical_or.reduce([folded(letter) for letter in atom.strip("[]")]) for atom in atoms]
            branches.append("".join(map(self._class, sets)))
        return f"(?:{'|'.join(branches)})"


def _tokens(pattern: str) -> list[tuple[str, str]]:
    """``pattern`` cut into what means something, with its kind."""
    tokens = list[tuple[str, str]]()
    place = 0
    while place < len(pattern):
        found = _TOKEN.match(pattern, place)
        if found is None or found.lastgroup is None:
            raise UntranslatableError(f"{pattern[place : place + 10]!r} is not certain to mean the same")
        end = _end_of_set(pattern, place) if found[0] == "[" else found.end()
        tokens.append((found.lastgroup, pattern[place:end]))
        place = end
    return tokens


def _end_of_set(pattern: str, start: int) -> int:
    """Behind the bracket that closes the one at ``start``; sets may hold sets."""
    depth, place = 0, start
    while place < len(pattern):
        character = pattern[place]
        if character == "[" and re.match(r"\[\^?\]", pattern[place:]):
            break  # a bracket that may stand for itself
        depth += (character == "[") - (character == "]")
        place += 2 if character == "\\" else 1
        if depth == 0:
            return place
    raise UntranslatableError(f"{pattern[start:]!r} does not close")
