"""Where a long text can be cut so that its parts, encoded one by one, have the ids of the whole.

Knows: any tokenizer, by asking it. Does not know: files, counts.

A cut is made before a space, a line break or a mark that stands alone between letters or digits, or between a letter
and a digit, and only where

- the ids of some thousand characters around it are those of their two halves, and
- either the pre-tokenizer ends a piece there, so that what is on one side cannot matter to the other: rules that split
  text look at runs of letters, digits, marks or spaces, and all runs end there;
- or, in a BPE that takes the text as one piece, no token of the vocabulary holds the two characters next to each other,
  and it knows both: nothing can ever be merged across the cut.

A text stays whole between two such places, however far apart: a run of spaces, letters without any mark. So do all
texts of a tokenizer whose treatment of a text's start or end shows at every cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from tokenizers.models import BPE

from frspec.machine import free_memory
from frspec.text.bad import TooLong
from frspec.text.tokenizer import Tokenizer

PART = 1 << 18
"""Characters of a part, at most, where there are places to cut."""
AROUND = 1 << 11  # characters on each side that are encoded to try a place
NEAR = 1 << 5  # the same, to see soon that a place is none
TRIES = 16  # places of each sort
NEEDED = 50
"""Bytes of memory that encoding a byte in a text that is not cut takes at least: 32 for it and 16 for the pair it makes
with the next, in the tokenizers library's ``Word``, and two that hold it; 60 to 120 where the library also splits."""
SPACE = re.compile(r"(?<=[^\W_]) (?=[^\W_])")
MARK = re.compile(r"(?<=[^\W_])[\n,.:;!?、。，；：！？।](?=[^\W_])")
DIGIT = re.compile(r"(?<=[^\W\d_])(?=[0-9])")
SAMPLE = "One day two or more of them"


class Cutter:
    """Cuts texts for one tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def cut(self, texts: Iterable[str]) -> Iterator[str]:
        """One text, given in any pieces, in parts whose ids together are its ids; the pieces do not matter to them.

        The parts join to the text, except where a tokenizer puts a space before every text: there each cut takes the
        place of a space. What is held is at most three parts, if places to cut are no farther apart than one.

        Raises:
            UserError: when the text holds half of a surrogate pair.
            TooLong: when what cannot be cut takes more memory than is free.
        """
        settled, rest = _Settled(), ""
        for text in _slices(texts):
            rest += text
            while len(rest) >= PART + AROUND and self._takes_space is not None:
                place = self._place(rest)
                if place is None:
                    settled.add(rest[: PART - AROUND])
                    rest = rest[PART - AROUND :]
                else:
                    yield settled.end(rest[:place])
                    rest = rest[place + self._takes_space :]
            if self._takes_space is None:
                settled.add(rest)
                rest = ""
        yield settled.end(rest)

    def _place(self, text: str) -> int | None:
        """One of the last places before ``PART`` where ``text`` can be cut."""
        for first in (PART - 2 * AROUND, AROUND):
            for sort in (SPACE,) if self._takes_space else (SPACE, MARK, DIGIT):
                found = [match.start() for match in sort.finditer(text, first, PART)]
                for place in found[: -TRIES - 1 : -1]:
                    if self._fits(text, place, NEAR) and self._fits(text, place, AROUND):
                        return place
        return None

    def _fits(self, text: str, place: int, around: int) -> bool:
        left, right = text[max(0, place - around) : place], text[place : place + around]
        return self._same_ids(left, right, self._takes_space or 0) and self._ends_there(left, right)

    def _same_ids(self, left: str, right: str, skip: int) -> bool:
        whole, *halves = self._tokenizer.encode_batch([left + right, left, right[skip:]], add_special_tokens=False)
        return whole == halves[0] + halves[1]

    def _ends_there(self, left: str, right: str) -> bool:
        """Whether no token can ever hold what is left and right of the place, whatever else the text says."""
        backend = self._tokenizer.backend
        if backend.normalizer is not None:
            whole = backend.normalizer.normalize_str(left + right)
            left = backend.normalizer.normalize_str(left)
            right = backend.normalizer.normalize_str(right[self._takes_space or 0 :])
            if whole != left + right or not left or not right:
                return False
        if backend.pre_tokenizer is not None:
            pieces = backend.pre_tokenizer.pre_tokenize_str(left + right)
            if not any(start < len(left) < end for _, (start, end) in pieces):
                return True
        begin, all_ = self._spelled(left), self._spelled(left + right)
        pair = all_[len(begin) - 1 : len(begin) + 1]  # without either what stands behind it would be next
        known = len(pair) == 2 and all(backend.token_to_id(character) is not None for character in pair)
        return known and all_.startswith(begin) and self._merges is not None and pair not in self._merges

    def _spelled(self, text: str) -> str:
        """Normalised text as the model sees it."""
        steps = self._tokenizer.backend.pre_tokenizer
        return text if steps is None else "".join(piece for piece, _ in steps.pre_tokenize_str(text))

    @cached_property
    def _merges(self) -> str | None:
        """All tokens of a BPE, one behind the other."""
        backend = self._tokenizer.backend
        is_bpe = isinstance(backend.model, BPE) and not backend.model.dropout
        return "\0".join(backend.get_vocab(with_added_tokens=False)) if is_bpe else None

    @cached_property
    def _takes_space(self) -> int | None:
        """1 if a text begins as if a space were before it, and then has no other; 0 if not; None where no cut fits."""
        places = [match.start() for match in SPACE.finditer(SAMPLE)]
        for skip in (0, 1):
            if all(self._same_ids(SAMPLE[:place], SAMPLE[place:], skip) for place in places):
                return skip
        return None


class _Settled:
    """The beginning of a part, while nobody knows how long it is."""

    def __init__(self) -> None:
        self._held = list[str]()
        self._size = 0  # bytes of UTF-8
        self._before = 0  # characters of the parts before it

    def add(self, text: str) -> None:
        """So much of it cannot be cut; raises ``TooLong`` when encoding that alone would take all memory."""
        self._held.append(text)
        self._size += len(text.encode("utf-8", "surrogatepass"))
        free, needed = free_memory(), self._size * NEEDED
        if free is not None and needed > free:
            raise TooLong(
                f"behind {self._before:,} characters stand {self._size:,} bytes or more without a place to cut; "
                f"encoding them takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free; break them "
                "up, or count where there is more"
            )

    def end(self, text: str) -> str:
        """The whole part, which ends with ``text``; the next one begins."""
        held, self._held, self._size = [*self._held, text], [], 0
        whole = "".join(held)
        self._before += len(whole)
        return whole


def _slices(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (text[start : start + PART] for start in range(0, len(text), PART))
