"""The one interface of all drafters.

Knows: what a drafter may see of a request. Does not know: how any of them drafts. A new drafter is one new
file in this folder and one line in ``engine/drafting.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from frspec.clock import Clock
from frspec.types import TokenTree


@dataclass
class DraftState:
    """What a drafter knows of one request.

    tokens: prompt and output so far; the last one is the root of the next tree. seed, temperature: the
    request's, so that a drafter may use the target's own noise. room: how many drafted tokens could still
    be accepted; no node may be deeper. memory: the drafter's own (a cache, an index), None at first.
    failed: the drafter broke on this request and is not asked about it again. All but ``memory`` is to be read only.
    """

    tokens: list[int]
    seed: int
    temperature: float
    room: int = 0
    memory: Any = None
    failed: bool = False


class Drafter(Protocol):
    """Proposes trees; may be wrong, may propose nothing, must not fail.

    Whatever it proposes, the text stays the target's: a draft only decides how much comes out of one pass.
    """

    name: str
    max_nodes: int

    def propose(self, states: Sequence[DraftState], clock: Clock) -> list[TokenTree]:
        """One tree per state, rooted at its last token, with at most ``max_nodes`` drafted nodes."""
        ...

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        """Learn that ``tokens`` [n] followed positions whose target features are ``features`` [n, H].

        Called in text order with every committed position of the prompt and of the output; ``features[i]``
        belongs to the position just before ``tokens[i]``.
        """
        ...

    def resume(self, memory: Any, rows: int) -> tuple[Any, int]:
        """Cut another request's memory to the first ``rows`` positions, which a new request shares.

        Returns the memory to begin with and how many positions may be left out of what ``observe`` is told (at most
        ``rows``).
        """
        ...
