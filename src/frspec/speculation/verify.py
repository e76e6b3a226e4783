"""The acceptance rule: a draft is accepted when it is the token that the target picks anyway.

Knows: one tree and a way to ask for the target's pick. Does not know: logits, draft probabilities, models.
Because draft probabilities have no say, no drafter can change the text; it can only make it come sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


def verify(
    tokens: Sequence[int], parents: Sequence[int], pick: Callable[[int], tuple[int, bool]]
) -> tuple[list[int], list[int]]:
    """Walk from the root along the target's own picks for as long as they were drafted.

    ``tokens`` and ``parents`` are those of a ``TokenTree``. ``pick(node)`` returns the target's token after
    ``node`` and whether the text ends with it; it is called once per node of the path, in order, so it may
    keep a history.

    Returns the path (node indices, root first: what the cache keeps) and the emitted tokens, one per node
    of the path: the accepted drafts and, last, the target's own token.
    """
    children = {(parents[node], tokens[node]): node for node in range(1, len(tokens))}
    path, emitted = [0], []
    while True:
        token, ends = pick(path[-1])
        emitted.append(token)
        child = children.get((path[-1], token))
        if ends or child is None:
            return path, emitted
        path.append(child)
