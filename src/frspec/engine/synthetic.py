"""Acceptance at a given rate instead of a trained head's, for timing shapes whose weights are random.

Knows: rates, one drafted tree, the target's own pick. Does not know: logits, drafters, how a step works.
All real work is done and timed: drafting, verifying, sampling over the whole vocabulary. Only then is the pick
replaced, so the text means nothing, and whatever is measured this way has to be called synthetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count

from frspec.engine.request import Request
from frspec.errors import UserError
from frspec.speculation.noise import position_key
from frspec.types import TokenTree

OTHER_STREAM = 0x5EED0FACCE97A7CE
"""Keeps these draws apart from the sampling noise of the same request."""
LONG = 2.0**64
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples modulo 1 fill the interval evenly, so that few draws already come near their rate (Weyl 1916)."""


class SyntheticAcceptance:
    """Accepts a draft of depth d, its parent being accepted, with probability ``rates[d - 1]``; the last one repeats.

    Raises:
        UserError: when there are no rates, or one is no probability.
    """

    def __init__(self, rates: Sequence[float]) -> None:
        wrong = [rate for rate in rates if not 0 <= rate <= 1]
        if wrong or not rates:
            raise UserError(f"synthetic acceptance needs rates from 0 to 1, and got {wrong[0] if wrong else 'none'}")
        self.rates = tuple(rates)

    @staticmethod
    def of_length(length: float, depth: int) -> SyntheticAcceptance:
        """The one rate at which drafts of ``depth`` give a mean acceptance length, the target's own token included.

        Raises:
            UserError: when drafts of that depth cannot give it.
        """
        if not 1 <= length <= depth + 1:
            raise UserError(
                f"a mean acceptance length of {length:g} is impossible with drafts {depth} deep; "
                f"it lies from 1 to {depth + 1}: choose deeper drafts or another length"
            )
        low, high = 0.0, 1.0
        for _ in range(60):  # halves the interval below what a float can tell
            middle = (low + high) / 2
            low, high = (low, middle) if expected_length([middle], depth) > length else (middle, high)
        return SyntheticAcceptance([high])

    def pick(self, tree: TokenTree, node: int, honest: int, request: Request) -> int:
        """What to take for the target's token after ``node``, where its own pick is ``honest``.

        By the rate of the next depth it is the first child of ``node``, which drafters score best; otherwise, or
        where there is none, ``honest``, or if that is drafted too, the id next to it that is not. Nothing that ends
        the text is drawn. The seed of ``request`` decides the draws, one sequence for each depth.
        """
        tokens: list[int] = tree.tokens.tolist()
        parents = tree.parents.tolist()
        children = [tokens[child] for child in range(1, len(tokens)) if parents[child] == node]
        ends = request.eos_ids.union(request.params.stop_token_ids)
        likely = next((token for token in children if token not in ends), None)
        depth = int(tree.depths[node])
        if likely is not None and _draw(request, depth) < self.rates[min(depth, len(self.rates) - 1)]:
            return likely
        return next(token for token in _around(honest) if token not in ends and token not in children)


def _draw(request: Request, depth: int) -> float:
    """From 0 to 1: the next one below a node of ``depth``, where as many were made as such nodes were accepted."""
    accepted = request.metrics.accepted_per_position
    made = request.metrics.target_passes if depth == 0 else accepted[depth - 1] if depth <= len(accepted) else 0
    return (position_key(request.draft.seed ^ OTHER_STREAM, depth) / LONG + made * GOLDEN) % 1.0


def expected_length(rates: Sequence[float], depth: int) -> float:
    """The mean acceptance length of drafts of ``depth``: one, and every depth's chance of being reached."""
    length = reached = 1.0
    for level in range(depth):
        reached *= rates[min(level, len(rates) - 1)]
        length += reached
    return length


def _around(token: int) -> chain[int]:
    """``token`` and the ids below it, downwards; then, for there may be none left, those above it."""
    return chain(range(token, -1, -1), count(token + 1))
