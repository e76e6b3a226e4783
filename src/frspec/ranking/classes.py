r"""Which characters a class such as ``\p{L}`` holds, by asking the ``tokenizers`` library.

Knows: code points as masks, how ``re`` writes a class of them. Does not know: patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import category, combining, normalize

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, decoders, normalizers

Mask = npt.NDArray[np.bool_]

ASKED = np.r_[:0xD800, 0xE000:0x32400, 0xE0000:0xE0200].astype("<u4").tobytes().decode("utf-32-le")
"""The characters that the library is asked about; a text with others is not for these patterns."""
PLANE = 0x10000  # where ``re`` has no quick classes any more


class UntranslatableError(ValueError):
    """What the library does cannot be done here with certainty."""


@lru_cache(maxsize=64)
def members(expression: str, characters: str = ASKED) -> Mask:
    """[0x110000]: which of ``characters`` the library matches with ``expression``, a pattern of one character."""
    try:
        # The decoder of that name uses the same engine, and does not also find out what comes from where.
        others = decoders.Replace(Regex(f"(?:{expression})+"), "").decode([characters])
    except Exception as error:  # the library raises nothing narrower
        raise UntranslatableError(f"{expression} is no class") from error
    return mask_of(characters) & ~mask_of(others)


def folded(letter: str) -> Mask:
    """What the library takes for an ASCII letter, or "'", when it ignores case."""
    candidates = np.flatnonzero(members("(?i:['A-Za-z])"))
    return members(f"(?i:{letter})", "".join(map(chr, candidates.tolist())))


@lru_cache(maxsize=1)
def same_in_nfc() -> str:
    """The characters in ``ASKED`` that NFC treats alike here and in the library: each knows its version of Unicode.

    What a character is to NFC is its class, for known ones the same in all versions (so it is enough to see that marks
    of the first and of the last class move around it), and what it is composed of.
    """
    known = [c for c in ASKED if category(c) != "Cn"]
    probes = [(f"\u0345{c}\u0334", c) for c in known if combining(c)]
    probes += [(text, text) for c in known if (text := normalize("NFD", c)) != c]
    theirs = normalizers.NFC().normalize_str("\0".join(text for text, _ in probes)).split("\0")
    odd = {c for (text, of), found in zip(probes, theirs, strict=True) if normalize("NFC", text) != found for c in of}
    odd |= {c for c in known if odd.intersection(normalize("NFD", c))}
    return "".join(c for c in known if c not in odd)


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
    return "[" + "".join(f"{_spelled(a)}-{_spelled(b - 1)}" for a, b in edges.tolist()) + "]"


def _spelled(code: int) -> str:
    """A character itself, which ``re`` reads soonest, unless it may mean something."""
    return chr(code) if code > 0x7F else f"\\x{code:02x}"


def kinds_of(masks: Iterable[Mask]) -> tuple[bytes, str]:
    """For each code point its kind, and for each kind a character that ``re`` has quick classes for.

    Characters of a kind are in the same ``masks``, so a pattern of these cannot tell them apart.
    """
    asked = np.flatnonzero(mask_of(ASKED))
    signs = np.zeros(len(asked), dtype=np.int64)
    distinct = {mask.tobytes(): mask for mask in masks}
    for bit, mask in enumerate(distinct.values()):
        signs |= mask[asked].astype(np.int64) << bit
    _, first, kinds = np.unique(signs, return_index=True, return_inverse=True)
    if len(distinct) > 62 or len(first) > 256 or asked[first].max() >= PLANE:
        raise UntranslatableError("too many classes, or sorts of characters, or one that has only rare ones")
    by_code = np.zeros(0x110000, dtype=np.uint8)
    by_code[asked] = kinds
    return by_code.tobytes(), "".join(map(chr, asked[first].tolist()))
