"""How often each token of one vocabulary occurred in a corpus, most frequent first.

Knows: order, prefixes, coverage, parts. Does not know: how texts became tokens, files (``formats``), models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from frspec.errors import UserError
from frspec.ranking.flaws import flaw_of_counts, flaw_of_ids, flaw_of_mixture, flaw_of_parts
from frspec.ranking.mixture import backoff, mixture, normalised
from frspec.text.tokenizer import Tokenizer

Ids = npt.NDArray[np.int64]
OF_ALL = ("files", "documents", "characters", "tokens", "skipped", "parts", "merged")
"""Facts of a provenance that are not those of a part."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Token ids of one vocabulary by descending count, ties by id.

    A ranking that was counted holds every id from 0 to V - 1 once: ``ids`` [V], ``counts`` [V] (``counts[i]`` is how
    often ``ids[i]`` occurred), and the tokenizer's ``fingerprint``. One read from another program's id list has
    only its ``ids`` [N], N <= V, in that list's order; ``counts`` and ``fingerprint`` are None and what needs them is
    refused. Counts that another program left have no fingerprint and go up to the largest id that occurred.
    ``provenance``: sources, documents, tokens, date, program version. ``ordered``: False for ids that stand by number
    because their file does not say which are frequent; of those there is no prefix.

    ``parts``: the counts of each language or source by its name, [V] by id; ``counts`` is what they come to.
    ``weights``: the share of each part, adding up to 1; with them ``counts`` are shares per ``mixture.UNIT``, without
    them the parts add up. ``backoff`` [V] by id: what ids with equal counts stand by before they stand by id, in a
    ranking that is a part of another.

    Raises:
        UserError: when the arrays are no such ranking.
    """

    ids: Ids
    counts: Ids | None
    fingerprint: str | None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    ordered: bool = True
    parts: Mapping[str, Ids] = field(default_factory=dict)
    weights: Mapping[str, float] | None = None
    backoff: Ids | None = None

    def __post_init__(self) -> None:
        if flaw := self._flaw():
            raise UserError(f"not a ranking: {flaw}; make it again with `frspec rank`")
        for array in (self.ids, self.counts, self.backoff, *self.parts.values()):
            if array is not None:
                array.setflags(write=False)

    def _flaw(self) -> str | None:
        flaw = flaw_of_ids(self.ids)
        if flaw or self.counts is None:
            return flaw
        flaw = flaw_of_counts(self.ids, self.counts, self.backoff)
        if flaw or not self.parts:
            return flaw
        return flaw_of_parts(self.parts, self.weights) or flaw_of_mixture(self.by_id, self.parts, self.weights)

    @staticmethod
    def from_counts(counts: npt.ArrayLike, fingerprint: str, provenance: Mapping[str, Any] | None = None) -> Ranking:
        """The ranking of ``counts`` [V], where ``counts[id]`` is how often ``id`` occurred."""
        by_id = np.asarray(counts, dtype=np.int64)
        ids = np.argsort(-by_id, kind="stable")
        return Ranking(ids, by_id[ids], fingerprint, provenance or {})

    @staticmethod
    def from_parts(
        parts: Mapping[str, npt.ArrayLike],
        fingerprint: str,
        provenance: Mapping[str, Any] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Ranking:
        """The ranking of several counts [V] by id, which it keeps by their names; of one that is called "" only that.

        ``weights``: how much of the mixture each part makes up, whatever it has counted; left out, counts add up.

        Raises:
            UserError: for parts of different sizes, and weights that are not above 0 or not one for each part.
        """
        if list(parts) == [""] and weights is None:
            return Ranking.from_counts(parts[""], fingerprint, provenance)
        arrays = {name: np.array(parts[name], dtype=np.int64) for name in sorted(parts)}
        if flaw := flaw_of_parts(arrays, weights):
            raise UserError(f"these parts make no ranking: {flaw}")
        shares = None if weights is None else normalised({name: weights[name] for name in arrays})
        by_id = mixture(arrays, shares)
        ids = np.argsort(-by_id, kind="stable")
        return Ranking(ids, by_id[ids], fingerprint, provenance or {}, parts=arrays, weights=shares)

    def part(self, name: str) -> Ranking:
        """One part in its own order; ids that it counted equally often, above all those it never saw, stand by what
        ``mixture.backoff`` makes of the other parts and of the vocabulary, then by id.

        Its ``provenance`` is the whole's with the part's name and numbers in place of the whole's.

        Raises:
            UserError: when there is no such part.
        """
        if name not in self.parts:
            there = f"its parts are {', '.join(self.parts)}" if self.parts else "it has no parts"
            raise UserError(f"the ranking has no part {name!r}; {there}")
        counts = self.parts[name]
        second = backoff(name, self.parts)
        ids = np.lexsort((-second, -counts))
        facts = {fact: value for fact, value in self.provenance.items() if fact not in OF_ALL}
        facts |= {"part": name, **self.facts_of(name)}
        return Ranking(ids, counts[ids], self.fingerprint, facts, backoff=second)

    def facts_of(self, part: str) -> dict[str, Any]:
        """What the provenance says of one of ``parts`` (documents, characters), and its tokens."""
        known = self.provenance.get("parts")
        facts = known.get(part) if isinstance(known, Mapping) else None
        return {**(facts if isinstance(facts, Mapping) else {}), "tokens": int(self.parts[part].sum())}

    @staticmethod
    def load(name: str | Path) -> Ranking:
        """The ranking or id list in a file, or of that name; see ``formats.load_ranking``."""
        from frspec.ranking.formats import load_ranking

        return load_ranking(name)

    def save(self, path: str | Path) -> None:
        """Write the ranking to one file, in place of what is there; see ``formats.save_ranking``."""
        from frspec.ranking.formats import save_ranking

        save_ranking(self, Path(path))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def by_id(self) -> Ids:
        """[V] int64: ``counts`` by id.

        Raises:
            UserError: when there are no counts.
        """
        by_id = np.empty_like(self._counted)
        by_id[self.ids] = self._counted
        return by_id

    @property
    def _counted(self) -> Ids:
        if self.counts is None:
            raise UserError("an id list has no counts, so no shares; take a number of ids, or a ranking")
        return self.counts

    @cached_property
    def covered(self) -> Ids:
        """[V] int64: how many of the counted tokens the first i + 1 ids make up.

        Raises:
            UserError: when there are no counts, or only zeros.
        """
        covered: Ids = np.cumsum(self._counted)
        if covered[-1] == 0:
            raise UserError("the ranking has counted no tokens, so there are no shares; take a number of ids")
        return covered

    def prefix(self, n: int) -> Ids:
        """The ``n`` most frequent ids, [n] int64.

        Raises:
            UserError: unless n is from 1 to the number of ids, and all of them where the ids are not ordered.
        """
        if not self.ordered and n != len(self):
            raise UserError(
                f"these {len(self)} ids stand by number, not by frequency, so there is no most frequent part; "
                "take all of them, or a ranking"
            )
        if not 1 <= n <= len(self):
            raise UserError(f"cannot take {n} ids of a ranking of {len(self)}; ask for 1 to {len(self)}")
        return self.ids[:n]

    def covering(self, share: float) -> Ids:
        """The shortest prefix whose ids make up at least ``share`` of all counted tokens.

        ``share`` is read as the decimal it is written as: 0.07 of 100 tokens are 7.

        Raises:
            UserError: unless 0 < share <= 1.
        """
        if not 0 < share <= 1:
            raise UserError(f"cannot cover a share of {share}; ask for more than 0 and at most 1")
        wanted = -(-Fraction(str(share)) * int(self.covered[-1]) // 1)
        return self.ids[: int(np.searchsorted(self.covered, int(wanted))) + 1]

    def coverage(self, what: str | Sequence[int] | Ids, tokenizer: Tokenizer | None = None) -> float:
        """The share (0 to 1) of all counted tokens that ``what`` makes up: ids, or the ids that a text consists of.

        Repeated ids count once. A text needs the ranking's tokenizer: ``tokenizer``, or the one it was made with.

        Raises:
            UserError: for ids outside the vocabulary or another tokenizer.
        """
        total = int(self.covered[-1])
        chosen = np.unique(self._to_ids(what, tokenizer))
        if len(chosen) and (chosen[0] < 0 or chosen[-1] >= len(self)):
            raise UserError(f"ids outside the ranking's 0 to {len(self) - 1}; is it another tokenizer's?")
        assert self.counts is not None
        return int(self.counts[np.isin(self.ids, chosen)].sum()) / total

    def hit_rate(self, what: str | Sequence[int] | Ids, n: int, tokenizer: Tokenizer | None = None) -> float:
        """The share (0 to 1) of the tokens of a text, or of ``what``, that are among the first ``n`` ids.

        On text the ranking has not seen, this is what a draft vocabulary of that size will offer. No tokens give 1.
        """
        tokens = self._to_ids(what, tokenizer)
        inside = np.isin(tokens, self.prefix(n))
        return float(inside.mean()) if len(tokens) else 1.0

    def check_fingerprint(self, fingerprint: str) -> None:
        """Refuse a ranking that is known to be of another tokenizer.

        Raises:
            UserError: when both fingerprints are known and differ.
        """
        if self.fingerprint is not None and self.fingerprint != fingerprint:
            made = self.provenance.get("tokenizer")
            raise UserError(
                f"the ranking is of another tokenizer ({made or self.fingerprint}); "
                "make one for this model's with `frspec rank`"
            )

    def _to_ids(self, what: str | Sequence[int] | Ids, tokenizer: Tokenizer | None) -> Ids:
        if not isinstance(what, str):
            return np.asarray(what, dtype=np.int64).reshape(-1)
        name = self.provenance.get("tokenizer")
        if tokenizer is None and not isinstance(name, str):
            raise UserError("this ranking does not say its tokenizer, so a text has no ids; pass tokenizer=")
        tokenizer = tokenizer or Tokenizer.load(str(name))
        self.check_fingerprint(tokenizer.fingerprint)
        return np.asarray(tokenizer.encode(what, add_special_tokens=False), dtype=np.int64)
