"""What the draft vocabularies of a ranking cover of some texts, and what they miss.

Knows: how each figure is found. Does not know: files, terminals, pictures, pages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from frspec.errors import UserError
from frspec.ranking.counts import Counts, Part
from frspec.ranking.coverage import Order, needed, spread
from frspec.ranking.figures import (
    At,
    Ceiling,
    Control,
    Curve,
    Frequencies,
    Matrix,
    Missed,
    Needed,
    Question,
    Report,
    Text,
)  # fmt: skip
from frspec.ranking.ranking import Ids, Ranking
from frspec.ranking.runs import Sample, expected_length, passes
from frspec.text.readable import readable
from frspec.text.tokenizer import Tokenizer

SIZES = (8192, 16384, 32768, 65536)
SHARES = (0.9, 0.95, 0.99, 0.995)
MISSED = 30
"""Tokens that are named of those a vocabulary lacks."""
COLUMNS = 24
"""Parts of the ranking that are compared: of more the largest, for each costs as much as there are parts."""
UNNAMED, ALL, WHOLE = "the text", "all texts", "whole ranking"


def ask(ranking: Ranking, vocab_size: int, sizes: Sequence[int], size: int | None, depth: int) -> Question:
    """The question with defaults filled in: the usual sizes and a quarter of the vocabulary, as far as the ids go.

    Raises:
        UserError: for sizes that the ranking does not have, or ids in no order.
    """
    if not ranking.ordered:
        raise UserError(
            "these ids stand by number, not by frequency, so there is no most frequent part to report on; "
            "take the ranking they were written from"
        )
    limit = len(ranking)
    quarter = min(max(1, vocab_size // 4), limit)
    usual = SIZES if vocab_size > SIZES[0] else [vocab_size >> bits for bits in (4, 3, 1)]
    asked = {*(sizes or [n for n in usual if 0 < n < limit]), quarter, size or quarter}
    if wrong := [n for n in sorted(asked) if not 1 <= n <= limit]:
        raise UserError(f"cannot report on {wrong[-1]:,} ids of a ranking of {limit:,}; ask for 1 to {limit:,}")
    return Question(tuple(sorted(asked)), size or quarter, depth)


def check_ids(ranking: Ranking, tokenizer: Tokenizer) -> None:
    """Refuse a ranking that cannot be this tokenizer's.

    Raises:
        UserError: when the fingerprints differ, or ids lie outside the vocabulary.
    """
    ranking.check_fingerprint(tokenizer.fingerprint)
    if (largest := int(ranking.ids.max())) >= tokenizer.vocab_size:
        raise UserError(
            f"the ranking names token {largest}, but {tokenizer.name} has {tokenizer.vocab_size}; "
            "name the tokenizer that it was made with"
        )


@dataclass(frozen=True)
class Reporter:
    """A ``question`` put to a ranking. ``stops``: ids that end a text; every draft vocabulary has them, and the
    tokenizer's control tokens."""

    ranking: Ranking
    tokenizer: Tokenizer
    stops: Collection[int]
    question: Question

    def report(self, counts: Counts, samples: Mapping[str, Sample], about: Mapping[str, Any]) -> Report:
        """The report on some texts by their ``counts``, and by ``samples`` of each part that has tokens.

        Raises:
            UserError: when there are no tokens.
        """
        read = {name: part for name, part in counts.parts.items() if part.tokens}
        if not read:
            raise UserError("the texts hold no token, so there is nothing to report on; look at --field")
        everything = Part(counts.by_id, counts.documents, counts.characters)
        named = [(_shown(name), part) for name, part in read.items()]
        drawn = [(part.tokens, samples[name]) for name, part in read.items()]
        texts = [self._text(name, part, [sample]) for (name, part), sample in zip(named, drawn, strict=True)]
        if len(texts) > 1:
            texts.insert(0, self._text(ALL, everything, drawn))
            named.insert(0, (ALL, everything))
        return Report(
            about=about,
            question=self.question,
            quarter=max(1, self.tokenizer.vocab_size // 4),
            whole=texts[0],
            texts=tuple(texts[1:]),
            controls=self._controls(everything.by_id),
            matrix=self._matrix(named),
            frequencies=None if self.ranking.counts is None else _frequencies(self.ranking.counts),
        )

    @cached_property
    def order(self) -> Order:
        """The ranking's ids, and those that every draft vocabulary has."""
        size = self.tokenizer.vocab_size
        always = sorted(id for id in {*self.stops, *self.tokenizer.control_ids()} if id < size)
        return Order(self.ranking.ids, np.array(always, dtype=np.int64), size)

    def _text(self, name: str, part: Part, samples: Sequence[tuple[int, Sample]]) -> Text:
        """``samples``: of each part of the text, with the tokens that it stands for."""
        order, asked, total = self.order, self.question, part.tokens
        covered, best = order.covered(part.by_id), order.best(part.by_id)
        shares, bests, places = covered / total, best / total, np.union1d(spread(len(covered)), asked.sizes)
        outside = np.where(order.inside(asked.size), 0, part.by_id)
        return Text(
            name=name,
            documents=part.documents,
            characters=part.characters,
            tokens=total,
            distinct=int(np.count_nonzero(part.by_id)),
            coverage=tuple(At(n, float(shares[n - 1]), float(bests[n - 1])) for n in asked.sizes),
            needed=tuple(Needed(s, needed(covered, total, s), needed(best, total, s) or len(best)) for s in SHARES),
            missed_tokens=int(outside.sum()),
            missed_ids=int(np.count_nonzero(outside)),
            missed=self._missed(outside, total),
            sampled=sum(len(sample.ids) for _, sample in samples),
            ceiling=tuple(_ceiling(n, order, samples, asked.depth) for n in asked.sizes),
            curve=Curve(tuple(places.tolist()), tuple(shares[places - 1].tolist()), tuple(bests[places - 1].tolist())),
            frequencies=_frequencies(part.by_id),
        )

    def _missed(self, outside: Ids, total: int) -> tuple[Missed, ...]:
        positions = self.order.positions()
        most = np.argsort(-outside, kind="stable")[:MISSED]
        return tuple(
            Missed(id, self._readable(id), int(outside[id]), float(outside[id] / total), int(positions[id]) or None)
            for id in most[outside[most] > 0].tolist()
        )

    def _controls(self, seen: Ids) -> tuple[Control, ...]:
        positions = self.order.positions()
        return tuple(
            Control(id, self._readable(id), int(positions[id]) or None, self._share(int(positions[id])), int(seen[id]))
            for id in self.order.always.tolist()
        )

    def _share(self, position: int) -> float | None:
        """Of the ranking's own corpus, what the id at that place makes up; None where that is not known."""
        counts = self.ranking.counts
        if counts is None or not position:
            return None
        return float(counts[position - 1] / max(1, counts.sum()))

    def _matrix(self, texts: Sequence[tuple[str, Part]]) -> Matrix | None:
        if not self.ranking.parts:
            return None
        order, size, parts = self.order, self.question.size, self.ranking.parts
        largest = {*sorted(parts, key=lambda name: -int(parts[name].sum()))[:COLUMNS]}
        names = [name for name in parts if name in largest]
        orders = [order, *(replace(order, ids=self.ranking.part(name).ids) for name in names)]
        inside = [each.inside(size) for each in orders]
        rows = tuple(tuple(int(text.by_id[ids].sum()) / text.tokens for ids in inside) for _, text in texts)
        return Matrix(size, (WHOLE, *names), tuple(name for name, _ in texts), rows)

    def _readable(self, id: int) -> str:
        return readable(self.tokenizer.token_bytes(id))


def _shown(name: str) -> str:
    """A part's name; one that comes from a record may hold anything."""
    return (name if name.isprintable() else repr(name)) or UNNAMED


def _ceiling(size: int, order: Order, samples: Sequence[tuple[int, Sample]], depth: int) -> Ceiling:
    """Of several parts together, each weighs as much as it has tokens, however much of it was sampled."""
    inside = order.inside(size)
    total = inner = taken = least = 0.0
    for tokens, sample in samples:
        covered = inside[sample.ids]
        weight = tokens / len(covered)
        total += tokens
        inner += weight * int(covered.sum())
        taken += weight * passes(covered, sample.ends, depth)
        least += weight * passes(np.ones_like(covered), sample.ends, depth)
    share = inner / total
    return Ceiling(size, share, total / taken, expected_length(share, depth), total / least)


def _frequencies(counts: Ids) -> Frequencies:
    """Of those that occur."""
    ordered = np.sort(counts[counts > 0])[::-1]
    if not len(ordered):
        return Frequencies((), ())
    ranks = spread(len(ordered))
    return Frequencies(tuple(ranks.tolist()), tuple((ordered[ranks - 1] / ordered.sum()).tolist()))
