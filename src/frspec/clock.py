"""Where the time of a step goes.

Knows: seconds by name. Does not know: what the names mean.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import cuda, device

PENDING = 4096
"""Laps of a GPU that are kept before they are added up, so that a long run does not hold an event for each."""


class Clock:
    """Adds the time since the last lap to a name.

    A GPU's kernels run behind the host's back. There a lap only puts a mark between them, and nobody waits before
    ``seconds`` is asked for; the time is the GPU's own, idling for the host included.
    """

    def __init__(self, where: str | device = "cpu") -> None:
        self._seconds: dict[str, float] = {}
        self._marks = _Marks(where) if str(where).startswith("cuda") else None
        self._last = perf_counter()

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds so far, by name."""
        self._add_up()
        return dict(self._seconds)

    def start(self) -> None:
        """Forget the time since the last lap."""
        if self._marks is not None:
            self._marks.set(None)
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap (or start) to ``name``."""
        if self._marks is not None:
            self._marks.set(name)
            if len(self._marks) >= PENDING:
                self._add_up()
            return
        now = perf_counter()
        self._add(name, now - self._last)
        self._last = now

    def _add_up(self) -> None:
        for name, seconds in self._marks.take() if self._marks is not None else ():
            self._add(name, seconds)

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds


class _Marks:
    """Events between the kernels of one GPU's current stream, each with the name of the lap that it ends, if any."""

    def __init__(self, where: str | device) -> None:
        self._where = where
        self._events: list[tuple[str | None, cuda.Event]] = []
        self.set(None)

    def __len__(self) -> int:
        return len(self._events)

    def set(self, name: str | None) -> None:
        from torch import cuda

        event = cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record(cuda.current_stream(self._where))
        self._events.append((name, event))

    def take(self) -> list[tuple[str, float]]:
        """Names and seconds of the laps so far, once; waits for the last of them."""
        self._events[-1][1].synchronize()
        steps = zip(self._events, self._events[1:], strict=False)
        laps = [(name, before.elapsed_time(event) / 1000) for (_, before), (name, event) in steps if name is not None]
        del self._events[:-1]
        return laps
