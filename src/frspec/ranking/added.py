"""Where a text spells added tokens, found as the ``tokenizers`` library finds them.

Knows: which of them are plain enough to be found by a search, and what NFC does to texts around them. Does not know:
how the text between them is split.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from unicodedata import is_normalized, normalize

from tokenizers import Tokenizer as Backend


class AddedTokens:
    """The added tokens of ``backend``; ``nfc``: whether its normalizer is NFC (otherwise it has none).

    The library looks for those that are not to be normalised in the text as it is, then for the others in what is
    between, normalised; of several that begin at a place it takes the longest. Where no two can share characters, or
    there is only one sort, that is one search.
    """

    def __init__(self, backend: Backend, *, nfc: bool) -> None:
        self._nfc = nfc
        plain, others, late = set[str](), set[str](), set[bool]()
        for token in backend.get_added_tokens_decoder().values():
            text = token.content
            hard = token.single_word or token.lstrip or token.rstrip or (nfc and not text.isascii())
            (others if hard else plain).update([text, normalize("NFC", text)] if nfc else [text])
            late.add(token.normalized)
        if len(late) == 2 and _may_overlap(plain | others):
            others, plain = others | plain, set()
        self._others = _search(others)
        self._plain = _search(plain)
        self._late = nfc and True in late

    def split(self, text: str) -> tuple[list[str], list[str]] | None:
        """What lies between added tokens, normalised, and these; None where a search would not be certain to do."""
        if self._others is not None and self._others.search(text):
            return None
        parts = [text] if self._plain is None else self._plain.split(text)
        pieces, tokens = parts[::2], parts[1::2]
        if self._nfc:
            raw, pieces = pieces, [normalize("NFC", piece) for piece in pieces]
            if pieces != raw and any(map(self._spells, pieces)):
                return None
            # Those that are looked for in normalised text may be gone there: composed with the accent behind them.
            if self._late and tokens and not is_normalized("NFC", text):
                return None
        return pieces, tokens

    def _spells(self, text: str) -> bool:
        return any(search is not None and search.search(text) for search in (self._plain, self._others))


def _search(texts: Collection[str]) -> re.Pattern[str] | None:
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile(f"({'|'.join(map(re.escape, longest_first))})") if texts else None


def _may_overlap(texts: Collection[str]) -> bool:
    starts = {text[:n] for text in texts for n in range(1, len(text))}
    ends = {text[n:] for text in texts for n in range(1, len(text))}
    return bool(starts & ends) or any(a != b and a in b for a in texts for b in texts)
