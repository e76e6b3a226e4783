"""What target passes brought, and how long that took.

Knows: counts and seconds. Does not know: clocks, tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class StepStats:
    """What the target passes after the prompt brought: ``emitted`` tokens (a prompt's own pass, which emits the
    first token, is not counted), and how many nodes were drafted and accepted at each depth (index 0: depth 1).
    ``draft_failures``: how often a drafter broke; the text went on without it.
    """

    target_passes: int = 0
    emitted: int = 0
    draft_failures: int = 0
    drafted_per_position: list[int] = field(default_factory=list)
    accepted_per_position: list[int] = field(default_factory=list)

    @property
    def mean_acceptance_length(self) -> float:
        """Tokens emitted per target pass, the target's own token included; 1.0 means no gain."""
        return self.emitted / self.target_passes if self.target_passes else 0.0

    def count(self, drafted_depths: Sequence[int], accepted: int, emitted: int) -> None:
        """Add one verified tree: the depth of each drafted node, the accepted length, the tokens kept."""
        self._reach(max(drafted_depths, default=0))
        for depth in drafted_depths:
            self.drafted_per_position[depth - 1] += 1
        for position in range(accepted):
            self.accepted_per_position[position] += 1
        self.target_passes += 1
        self.emitted += emitted

    def add(self, other: StepStats) -> None:
        """Add another's counts."""
        self._reach(len(other.drafted_per_position))
        for own, others in (
            (self.drafted_per_position, other.drafted_per_position),
            (self.accepted_per_position, other.accepted_per_position),
        ):
            for position, count in enumerate(others[: len(own)]):  # another thread may just be making them longer
                own[position] += count
        self.target_passes += other.target_passes
        self.draft_failures += other.draft_failures
        self.emitted += other.emitted

    def _reach(self, depth: int) -> None:
        missing = depth - len(self.drafted_per_position)
        self.drafted_per_position += [0] * missing
        self.accepted_per_position += [0] * missing


@dataclass
class RequestMetrics(StepStats):
    """``StepStats`` of one request, with what its user saw: seconds, the last two by ``time.perf_counter``."""

    time_to_first_token: float | None = None
    first_token_time: float | None = None
    last_token_time: float | None = None

    @property
    def decode_seconds(self) -> float:
        """From the first token to the last."""
        if self.first_token_time is None or self.last_token_time is None:
            return 0.0
        return self.last_token_time - self.first_token_time

    @property
    def tokens_per_second(self) -> float:
        """Tokens after the first over the time since the first."""
        return self.emitted / self.decode_seconds if self.decode_seconds > 0 else 0.0

    @staticmethod
    def merge(several: Sequence[RequestMetrics]) -> RequestMetrics:
        """Counts added up, from the first token of any to the last of all."""
        total = RequestMetrics()
        for one in several:
            total.add(one)
        begun = [m for m in several if m.time_to_first_token is not None]
        total.time_to_first_token = min((m.time_to_first_token or 0.0 for m in begun), default=None)
        total.first_token_time = min((m.first_token_time or 0.0 for m in begun), default=None)
        total.last_token_time = max((m.last_token_time or 0.0 for m in begun), default=None)
        return total
