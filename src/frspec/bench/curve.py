"""Speed over sizes of the draft vocabulary, with what each size covers and what the costs promise of it.

Knows: which sizes a ranking suggests, the rows of a run, the controller that learned in it. Does not know: terminals,
pictures, how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from frspec.bench.compare import Round
from frspec.bench.lineup import AUTO
from frspec.bench.methods import PLAIN, OwnMethod
from frspec.ranking.naming import MARK
from frspec.ranking.ranking import Ids, Ranking
from frspec.speculation.drafters.base import Adaptive

SHARES = (0.995, 0.99, 0.98, 0.95, 0.9)
"""Of the ranking's counts: sizes that cover so much are of interest, the first ones more than others near them."""
PARTS = (4, 8, 16, 32)
"""Of the vocabulary: the first is FR-Spec's choice; the others fill the gaps between the shares."""
APART = 1.75
"""Sizes nearer than this factor are too much alike to be worth a run each."""
FIGURES = ("tokens_per_second", "ratio_to_plain", "mean_acceptance_length")


def sizes(ranking: Ranking, vocab_size: int) -> list[int]:
    """Sizes worth comparing, ascending: where the ranking's curve bends if it has counts, and parts of the vocabulary.

    None is above half the vocabulary, which costs about what all of it does. Of ids without an order there is one size.
    """
    if not ranking.ordered:
        return [len(ranking)]
    fourth, *parts = (vocab_size // part for part in PARTS)
    shares = [] if ranking.counts is None else [len(ranking.covering(share)) for share in SHARES]
    whole = [len(ranking)] if ranking.counts is None else []  # a list that somebody cut has a size of its own
    kept = list[int]()
    for size in [*whole, fourth, *shares, *parts]:
        if 1 <= size <= min(len(ranking), vocab_size // 2) and all(_far(size, other) for other in kept):
            kept.append(size)
    return sorted(kept)


def _far(one: int, other: int) -> bool:
    return max(one, other) >= APART * min(one, other)


def curve(
    rows: Sequence[Mapping[str, Any]],
    methods: Sequence[OwnMethod],
    rounds: Sequence[Round],
    ranking: Ranking,
    noisy: bool,
) -> list[dict[str, Any]]:
    """One entry a size, ascending: its best shape's figures among ``rows``, what it covers, what was to be expected.

    ``coverage``: of the ranking's own counts, None where it has none; ``coverage_written``: of what plain decoding
    wrote in these ``rounds``. ``predicted_ratio_to_plain``: what the controller of the size "auto" expects of it from
    measured costs and from how its own guesses did, against plain decoding of all these texts; None where that size
    was not run, and for a part of the ranking, of whose order it knows nothing. The rows are those of ``methods``.
    """
    target = methods[0].llm.engine.target
    texts = [round.samples[PLAIN] for round in rounds]
    written = np.fromiter(chain.from_iterable(text.token_ids for text in texts), np.int64)
    emitted, seconds = sum(text.stats.emitted for text in texts), sum(text.decode_seconds for text in texts)
    controller = next((m.llm.engine.controller for m in methods if m.setting.draft_vocab == AUTO), None)
    found = list[dict[str, Any]]()
    for best in _best_of_each_size(rows):
        drafter = next(method.llm.engine.drafter for method in methods if method.name == best["method"])
        assert isinstance(drafter, Adaptive)
        known = _known(drafter, target.config.vocab_size)
        promised = None
        if controller is not None and MARK not in best["draft_vocab"] and emitted and seconds:
            promised = round(controller.foresee(best["draft_vocab_size"], noisy) * seconds / emitted, 3)
        found.append(
            {name: best[name] for name in ("draft_vocab", "draft_vocab_size", "method", "shape", *FIGURES)}
            | {
                "coverage": None if ranking.counts is None else _share(ranking, known),
                "coverage_written": round(float(np.isin(written, known).mean()), 5) if len(written) else None,
                "predicted_ratio_to_plain": promised,
            }
        )
    return found


def _best_of_each_size(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    best = dict[str, Mapping[str, Any]]()
    for row in sorted(rows, key=lambda row: row["ratio_to_plain"] or 0.0):
        if row["draft_vocab_size"] is not None:
            best[row["draft_vocab"]] = row  # by its name: parts of a ranking have the same sizes
    return sorted(best.values(), key=lambda row: row["draft_vocab_size"])


def _known(drafter: Adaptive, vocab_size: int) -> Ids:
    """The ids that ``drafter`` can propose, ascending."""
    levels = np.asarray(list(drafter.row_levels(vocab_size)))
    return np.flatnonzero(levels < len(drafter.sizes))


def _share(ranking: Ranking, ids: Ids) -> float:
    """Of the ranking's counts; a head may have rows for more ids than the ranking counted."""
    return round(ranking.coverage(ids[ids < len(ranking)]), 5)
