"""The tokens of a corpus, cut into windows and packed into batches.

Knows: documents as rows of ids, which tokens count. Does not know: texts, models.
Which windows a step sees is a function of the seed and the step alone, so a run can go on where it was killed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from frspec.errors import UserError

UNTAUGHT = 2
"""Tokens of a window that no pair drafts: the first pair (feature 0, token 1) stands for token 2."""


@dataclass(frozen=True)
class Corpus:
    """Documents end to end: ``tokens`` [N] int32, ``counted`` [N] bool (a draft of this token is trained),
    ``starts`` [D + 1] int64.
    """

    tokens: Tensor
    counted: Tensor
    starts: Tensor

    @staticmethod
    def of(documents: Iterable[tuple[Sequence[int], Sequence[bool] | None]]) -> Corpus:
        """From ids and, where not all tokens count, which do."""
        tokens, counted, starts = list[Tensor](), list[Tensor](), [0]
        for ids, marks in documents:
            tokens.append(torch.tensor(ids, dtype=torch.int32))
            counted.append(torch.ones(len(ids), dtype=torch.bool) if marks is None else torch.tensor(marks))
            starts.append(starts[-1] + len(ids))
        if not tokens:
            raise UserError("the corpus has no documents; name other sources")
        return Corpus(torch.cat(tokens), torch.cat(counted), torch.tensor(starts))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def document(self, number: int) -> list[int]:
        """The ids of one document."""
        ids: list[int] = self.tokens[self.starts[number] : self.starts[number + 1]].tolist()
        return ids

    def split(self, held_out: float) -> tuple[Corpus, Corpus]:
        """Training documents, and the last ``held_out`` share of all (at least one, unless the share is 0)."""
        kept = len(self) - (max(1, round(held_out * len(self))) if held_out else 0)
        if kept < 1:
            raise UserError(
                f"{len(self)} documents cannot be split with {held_out:g} held out; add sources or lower --held-out"
            )
        border = int(self.starts[kept])
        return (
            Corpus(self.tokens[:border], self.counted[:border], self.starts[: kept + 1]),
            Corpus(self.tokens[border:], self.counted[border:], self.starts[kept:] - border),
        )

    def windows(self, length: int) -> list[slice]:
        """Documents cut into pieces of ``length`` tokens, less the pieces in which no token that is drafted counts."""
        found = []
        for start, end in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            for first in range(start, end, length):
                window = slice(first, min(first + length, end))
                if bool(self.counted[first + UNTAUGHT : window.stop].any()):
                    found.append(window)
        if not found:
            raise UserError(
                "no document of the corpus can be trained on: "
                f"none has a token that counts behind the first {UNTAUGHT} of a piece; name other sources"
            )
        return found

    def digest(self) -> str:
        """16 hex digits that change with any token, mark or border."""
        digest = hashlib.sha256()
        for part in (self.tokens, self.counted, self.starts):
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()[:16]


def epoch(lengths: Sequence[int], batch_tokens: int, seed: int, number: int) -> Iterator[list[int]]:
    """The batches of one pass over windows of ``lengths``, each window once, in an order of its own.

    A batch takes windows as they come until the next would bring it above ``batch_tokens``.
    """
    order = torch.randperm(len(lengths), generator=generator(seed, number)).tolist()
    batch, size = list[int](), 0
    for window in order:
        if batch and size + lengths[window] > batch_tokens:
            yield batch
            batch, size = [], 0
        batch.append(window)
        size += lengths[window]
    yield batch


def batches(lengths: Sequence[int], batch_tokens: int, seed: int) -> Iterator[list[int]]:
    """Epoch after epoch, without end."""
    number = 0
    while True:
        yield from epoch(lengths, batch_tokens, seed, number)
        number += 1


def generator(seed: int, *keys: int) -> torch.Generator:
    """A CPU generator that depends on nothing but its arguments."""
    mixed = hashlib.sha256(repr((seed, *keys)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(mixed[:8], "little", signed=True))
