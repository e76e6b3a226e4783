"""A text of any length in one line, of which it is known how often each of its pieces occurs.

Knows: where any tokenizer that begins words at a space may be cut. Does not know: files, tokens.
A piece begins with a space and a letter and ends with a letter, so whatever order pieces stand in, the tokens of the
whole are those of the pieces.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator

LENGTH = 4000
"""Characters of a piece, about."""


def pieces_of(texts: Iterable[str]) -> list[str]:
    """The words of the texts, a space before each, in pieces; words at a text's ends that fit nowhere are left out."""
    pieces = list[str]()
    for text in texts:
        piece, size = list[str](), 0
        for word in text.replace("\0", " ").split():  # a text file holds no zero bytes
            if size > LENGTH and piece[-1][-1].isalpha() and word[0].isalpha():
                pieces.append(_joined(piece))
                piece, size = [], 0
            if piece or word[0].isalpha():
                piece.append(word)
                size += len(word) + 1
        while piece and not piece[-1][-1].isalpha():
            piece.pop()
        if piece:
            pieces.append(_joined(piece))
    return pieces


def repeat(pieces: list[str], size: int, seed: int, used: Counter[int]) -> Iterator[str]:
    """Pieces drawn at random until they have ``size`` bytes; ``used`` counts how often each, by its number."""
    chance, left = random.Random(seed), size
    sizes = [len(piece.encode()) for piece in pieces]
    while left > 0:
        number = chance.randrange(len(pieces))
        used[number] += 1
        left -= sizes[number]
        yield pieces[number]


def _joined(words: list[str]) -> str:
    return " " + " ".join(words)
