"""Where the time of a step goes.

Knows: wall-clock seconds by name. Does not know: what the names mean.
"""

from __future__ import annotations

from time import perf_counter


class Clock:
    """Adds the time since the last lap to a name.

    On a GPU kernels run behind the host's back, so ``device`` "cuda" waits for them at each lap.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.seconds: dict[str, float] = {}
        self._wait = device == "cuda"
        self._last = perf_counter()

    def start(self) -> None:
        """Forget the time since the last lap."""
        self._last = perf_counter()

    def lap(self, name: str) -> None:
        """Add the time since the last lap (or start) to ``name``."""
        if self._wait:
            import torch

            torch.cuda.synchronize()
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
