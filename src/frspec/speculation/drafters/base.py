"""The one interface of all drafters.

Knows: what a drafter may see of a request. Does not know: how any of them drafts. A new drafter is one new
file in this folder and one line in ``engine/drafting.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from frspec.clock import Clock
from frspec.speculation.plan import Plan
from frspec.types import TokenTree


@dataclass
class DraftState:
    """What a drafter knows of one request.

    tokens: prompt and output so far; the last one is the root of the next tree. seed, temperature: the
    request's, so that a drafter may use the target's own noise. room: how many drafted tokens could still
    be accepted; no node may be deeper. memory: the drafter's own (a cache, an index), None at first.
    guesses: the tokens of the last chain, those too that were not worth verifying, each with the class of how sure the
    drafter was of it, where it says. habits: the controller's own. failed: the drafter broke on this request and is not
    asked about it again. awaited: a draft will probably be asked for soon, so what was observed may as well be worked
    into ``memory`` at once. guided: a grammar says what may come, which the drafter does not know. A drafter writes
    ``memory`` and ``guesses`` alone.
    """

    tokens: list[int]
    seed: int
    temperature: float
    room: int = 0
    memory: Any = None
    guesses: list[tuple[int, int]] = field(default_factory=list)
    habits: Any = None
    failed: bool = False
    awaited: bool = True
    guided: bool = False


class Drafter(Protocol):
    """Proposes trees; may be wrong, may propose nothing, must not fail.

    Whatever it proposes, the text stays the target's: a draft only decides how much comes out of one pass.
    ``row_bytes``: what it keeps in memory for each position of a text, about.
    """

    name: str
    max_nodes: int

    @property
    def row_bytes(self) -> int: ...

    def propose(self, states: Sequence[DraftState], clock: Clock) -> list[TokenTree]:
        """One tree per state, rooted at its last token, with at most ``max_nodes`` drafted nodes."""
        ...

    def observe(self, state: DraftState, tokens: Sequence[int], features: Tensor, clock: Clock) -> None:
        """Learn that ``tokens`` [n] followed positions whose target features are ``features`` [n, H].

        Called in text order with every committed position of the prompt and of the output; ``features[i]``
        belongs to the position just before ``tokens[i]``.
        """
        ...

    def resume(self, memory: Any, rows: int, copy: bool) -> tuple[Any, int]:
        """Cut another request's memory to the first ``rows`` positions, which a new request shares; a ``copy`` of it
        where the other goes on.

        Returns the memory to begin with and how many positions may be left out of what ``observe`` is told (at most
        ``rows``).
        """
        ...


@runtime_checkable
class Adaptive(Drafter, Protocol):
    """A ``Drafter`` that drafts to any plan; without one, to the shape it was made with.

    ``widest``: the widest tree it can grow. ``sureness``: for each class of its guesses how often they may prove right,
    for as long as nothing better is known.
    """

    widest: int
    sureness: Sequence[float]

    def propose(self, states: Sequence[DraftState], clock: Clock, plan: Plan | None = None) -> list[TokenTree]:
        """As ``Drafter.propose``."""
        ...

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers of head rows a plan may ask for, ascending, the last one its own; empty without a head."""
        ...

    def costs_depend_on(self) -> Sequence[Any]:
        """What tells drafters apart that cost something else, as JSON holds it."""
        ...

    def row_levels(self, vocab_size: int) -> Sequence[int]:
        """For every token id the place in ``sizes`` of the smallest size that contains it; ``len(sizes)`` for none."""
        ...
