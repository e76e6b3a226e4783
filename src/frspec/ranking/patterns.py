r"""The ``tokenizers`` library's splitting patterns as patterns of Python's ``re``, which finds the same words sooner.

Knows: which patterns mean the same to both engines, and how to have the library say itself what its classes hold, so
that Unicode versions cannot differ. Does not know: tokenizers, how often words occur.

The library's engine is Oniguruma. Both engines try alternatives in order, repeat as often as they can and go back when
that fails, so what is left to differ is what a class such as ``\s`` or ``(?i:s)`` holds. A class is handed to the
library as it is written, over all code points that may occur, and stands in our pattern as what it answered. Syntax
that is not listed here (looking behind, lazy repeats, references, ...) is not translated.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate, product

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, normalizers

Mask = npt.NDArray[np.bool_]

ASKED = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x32400), *range(0xE0000, 0xE0200))))
"""The characters that the library is asked about; a text with others is not for these patterns."""
PLANE = 0x10000  # where ``re`` has no quick classes any more
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


class UntranslatableError(ValueError):
    """The pattern has something whose meaning here is not certain."""


@lru_cache(maxsize=256)
def members(expression: str, characters: str = ASKED) -> Mask:
    """[0x110000]: which of ``characters`` the library matches with ``expression``, a pattern of one character."""
    others = normalizers.Replace(Regex(f"(?:{expression})+"), "").normalize_str(characters)
    return mask_of(characters) & ~mask_of(others)


def mask_of(characters: str) -> Mask:
    """[0x110000]: which code points these are."""
    mask = np.zeros(0x110000, dtype=np.bool_)
    mask[np.frombuffer(characters.encode("utf-32-le"), dtype="<u4")] = True
    return mask


def class_of(mask: Mask) -> str:
    """The class of the code points in ``mask`` as ``re`` writes it."""
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False)).reshape(-1, 2)
    if len(edges) == 0:
        return "(?!)"
    if len(edges) == 1 and edges[0, 1] - edges[0, 0] == 1:
        return re.escape(chr(edges[0, 0]))
    return "[" + "".join(f"\\U{a:08x}-\\U{b - 1:08x}" for a, b in edges.tolist()) + "]"


class Splitter:
    """``Splitter(pattern)(text)``: the matches of ``pattern`` and what lies between them, as the library splits a text.

    Texts hold only characters in ``ASKED``.

    Raises:
        UntranslatableError: when the pattern cannot be translated with certainty.
    """

    def __init__(self, pattern: str) -> None:
        self._masks: list[Mask] = []
        self._tokens = _tokens(pattern)
        text, empty = self._alternatives()
        if empty or self._tokens or len(self._masks) > 62:
            raise UntranslatableError("it can match nothing at all, has a bracket too many, or more classes than bits")
        self._kinds, self._twins = _kinds(self._masks)
        self._found = re.compile(text)
        self._between = re.compile(f"({text})")
        self._covers = True  # until a text has shown that some of it lies between matches

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

    # What a pattern consists of, from its tokens: the same for ``re``, and whether it can match nothing.

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
        self._masks.append(mask)
        return class_of(mask & mask_of(ASKED) & _SMALL)

    def _fold(self, group: str) -> str:
        """``(?i:...)``, which must be alternatives of characters and sets of letters."""
        branches = []
        for branch in group[4:-1].split("|"):
            atoms = re.findall(r"\[\w+\]|.", branch)
            spelled = {"".join(letters).lower() for letters in product(*(atom.strip("[]") for atom in atoms))}
            if not atoms or any(fold in text for text in spelled for fold in MULTIPLE_FOLDS):
                raise UntranslatableError(f"{group} may match a ligature")
            folded = [np.logical_or.reduce([_folded(letter) for letter in atom.strip("[]")]) for atom in atoms]
            branches.append("".join(map(self._class, folded)))
        return f"(?:{'|'.join(branches)})"


_SMALL = np.arange(0x110000) < PLANE


def _kinds(masks: list[Mask]) -> tuple[bytes, str]:
    """For each code point its kind, and for each kind a character that ``re`` has quick classes for.

    Characters of a kind are in the same ``masks``, so a pattern of these cannot tell them apart.
    """
    asked = np.flatnonzero(mask_of(ASKED))
    signs = np.zeros(len(asked), dtype=np.int64)
    for bit, mask in enumerate(masks):
        signs |= mask[asked].astype(np.int64) << bit
    _, first, kinds = np.unique(signs, return_index=True, return_inverse=True)
    if len(first) > 256 or asked[first].max() >= PLANE:
        raise UntranslatableError("too many sorts of characters, or one that has only rare ones")
    by_code = np.zeros(0x110000, dtype=np.uint8)
    by_code[asked] = kinds
    return by_code.tobytes(), "".join(map(chr, asked[first].tolist()))


def _folded(letter: str) -> Mask:
    """What the library takes for an ASCII letter, or "'", when it ignores case."""
    candidates = np.flatnonzero(members("(?i:['A-Za-z])"))
    return members(f"(?i:{letter})", "".join(map(chr, candidates.tolist())))


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
