"""The token ids that a drafter may propose.

Knows: rankings, which ids must never be missing, how to slice a head. Does not know: models, tokenizers.
Source of the idea: FR-Spec (arXiv 2502.14856). Row ``i`` of a draft head is token ``ids[i]``; the ids that are
always in come first and the rest in rank order, so every smaller vocabulary is a prefix of the larger one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frspec.errors import UserError
from frspec.ranking.naming import MARK, Size
from frspec.ranking.ranking import Ranking

Spec = int | float | str | Path | Ranking | Sequence[int] | None


class DraftVocabulary:
    """Distinct token ids, row order of the draft head.

    ids: [V'] int64; vocab_size: V, rows of the target's head.

    Raises:
        UserError: when an id is repeated or outside the target's vocabulary, or there is none.
    """

    def __init__(self, ids: Tensor, vocab_size: int) -> None:
        if len(ids) == 0:
            raise UserError("a draft vocabulary needs at least one token id; use a larger size")
        if int(ids.min()) < 0 or int(ids.max()) >= vocab_size:
            raise _outside(int(ids.max()) if int(ids.max()) >= vocab_size else int(ids.min()), vocab_size)
        if len(set(ids.tolist())) != len(ids):
            raise UserError("the draft vocabulary names a token twice; each id may stand in it once")
        self.ids, self.vocab_size = ids, vocab_size

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def full(self) -> bool:
        """Whether row ``i`` is token ``i`` for the whole vocabulary: nothing to slice or to map."""
        return len(self) == self.vocab_size and bool((self.ids[1:] > self.ids[:-1]).all())

    def rows(self, weight: Tensor) -> Tensor:
        """The rows [V', ...] of a head's weight or bias [V, ...]; the tensor itself when nothing is left out."""
        whole = self.full and len(weight) == self.vocab_size
        return weight if whole else weight.index_select(0, self.ids.to(weight.device))

    @classmethod
    def whole(cls, vocab_size: int) -> DraftVocabulary:
        """Every id: plain EAGLE."""
        return cls(torch.arange(vocab_size), vocab_size)

    @classmethod
    def build(
        cls, spec: Spec, ranking: Ranking | None, always: Iterable[int], vocab_size: int, fingerprint: str | None
    ) -> DraftVocabulary:
        """What ``--draft-vocab`` and ``--ranking`` ask for.

        spec: how many ids (int), the share of the counts to cover (float below 1), either as a text and of one part of
        the ranking ("32768@de", "0.99@de", "@de"), "full", a ranking or id list (or its path), or None. A ranking
        without a size gives the most frequent quarter, FR-Spec's choice; no ranking and no size give the whole
        vocabulary. always: ids put first (stop and chat control tokens). fingerprint: the target tokenizer's; None
        skips that check (no tokenizer was loaded).
        """
        size, ranking = _parse(spec, ranking)
        if size == "full" or (size is None and ranking is None):
            return cls.whole(vocab_size)
        if ranking is None:
            raise UserError(f"draft_vocab={spec} needs a ranking to choose from; pass ranking=FILE (see frspec rank)")
        if fingerprint is not None:
            ranking.check_fingerprint(fingerprint)
        if ranking.fingerprint is None and (last := _last(ranking)) >= vocab_size:
            raise _outside(last, vocab_size)  # of another tokenizer, though the most frequent ids may not show it
        chosen = _choose(ranking, size, vocab_size)
        first = torch.tensor(sorted({i for i in always if 0 <= i < vocab_size}), dtype=torch.int64)
        rest = chosen[~torch.isin(chosen, first)]
        if ranking.fingerprint is not None:  # ids of the same tokenizer that this head cannot emit
            rest = rest[rest < vocab_size]
        return cls(torch.cat([first, rest]), vocab_size)


def _outside(token: int, vocab_size: int) -> UserError:
    return UserError(
        f"the draft vocabulary names token {token}, but the target's head has {vocab_size} rows; "
        "use a ranking made for this model's tokenizer"
    )


def take_part(spec: Spec, ranking: Ranking | None) -> tuple[Spec, Ranking | None]:
    """``spec`` without its part, and that part of ``ranking``: "32768@de" is 32768 of de, "@de" is de and no size.

    Raises:
        UserError: when there is no such part.
    """
    if isinstance(spec, str) and spec.startswith(f"full{MARK}"):
        raise UserError(
            f"draft_vocab={spec} asks for a part, but full is every id, whatever the part; leave {spec[4:]} out"
        )
    size = Size.parse(spec) if isinstance(spec, str) else None
    if size is None or size.part is None:
        return spec, ranking
    if ranking is None:
        raise UserError(f"draft_vocab={spec} needs a ranking that has parts; pass ranking=FILE (see frspec rank)")
    return size.amount, ranking.part(size.part)


def _named(spec: str) -> Ranking:
    try:
        return Ranking.load(spec)
    except UserError as error:
        what = "no number of ids, no share such as 0.5, not full, and no list of ids"
        raise UserError(f"draft_vocab={spec} is {what}: {error}") from error


def _parse(spec: Spec, ranking: Ranking | None) -> tuple[int | float | str | None, Ranking | None]:
    spec, ranking = take_part(spec, ranking)
    if isinstance(spec, str) and spec != "full":
        size = Size.parse(spec)
        spec = _named(spec) if size is None else size.amount
    if isinstance(spec, Path):
        spec = Ranking.load(spec)
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        spec = _from_ids(spec)
    if isinstance(spec, Ranking):
        if ranking is not None:
            raise UserError("draft_vocab is a ranking and ranking= names another; give one ranking and a size")
        return None, spec
    return spec, ranking


def _from_ids(ids: Sequence[int]) -> Ranking:
    if not all(isinstance(token, Integral) for token in ids):
        raise UserError("draft_vocab is a list, but not of whole numbers; give token ids, or a size, or a ranking")
    return Ranking(np.asarray(ids, dtype=np.int64), None, None)


def _last(ranking: Ranking) -> int:
    """The largest id that occurred, or that is named."""
    ids = ranking.ids if ranking.counts is None else ranking.ids[ranking.counts > 0]
    return int(ids.max(initial=-1))


def _choose(ranking: Ranking, size: int | float | str | None, vocab_size: int) -> Tensor:
    if size is None:
        size = len(ranking) if ranking.counts is None else max(1, vocab_size // 4)
    ids = ranking.covering(size) if isinstance(size, float) else ranking.prefix(int(size))
    return torch.tensor(ids, dtype=torch.int64)
