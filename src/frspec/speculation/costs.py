"""What the parts of a round cost on this machine, in seconds.

Knows: measured points and the lines between them. Does not know: how they were measured, what is made of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any

Points = tuple[tuple[int, float], ...]


def between(points: Points, at: int) -> float:
    """The value at ``at`` on the lines through ``points``, ascending; before the first it stays.

    Beyond the last it rises as the last line does, or as all do if that is steeper: one disturbed point must not make
    what lies beyond free.
    """
    place = bisect_left(points, (at, -1.0))
    if place == 0 or (place < len(points) and points[place][0] == at):
        return points[place][1]
    if len(points) == 1:
        return points[0][1] * at / points[0][0]
    if place < len(points):
        low, high = points[place - 1], points[place]
        return low[1] + _slope(low, high) * (at - low[0])
    last = points[-1]
    return last[1] + max(0.0, _slope(points[-2], last), _slope(points[0], last)) * (at - last[0])


def _slope(low: tuple[int, float], high: tuple[int, float]) -> float:
    return (high[1] - low[1]) / (high[0] - low[0])


@dataclass(frozen=True)
class Costs:
    """Seconds.

    target: of a pass by rows, LM head included. pick: of the target's token from its scores; noisy_pick: at a
    temperature. layer: of a draft model's pass by rows. heads: by size, of the draft head by rows. noise: by size, of
    the target's noise for one row. tree: of making a tree from its candidates.
    """

    target: Points
    pick: float
    noisy_pick: float
    layer: Points = ((1, 0.0),)
    heads: Mapping[int, Points] | None = None
    noise: Mapping[int, float] | None = None
    tree: float = 0.0

    def verify(self, rows: int) -> float:
        """Of a target pass."""
        return between(self.target, rows)

    def draft(self, rows: int, size: int | None, noisy: bool) -> float:
        """Of one level of a draft with ``rows`` nodes."""
        seconds = between(self.layer, rows)
        if size is not None and self.heads is not None:
            seconds += between(self.heads[size], rows)
            seconds += self.noise[size] * rows if noisy and self.noise is not None else 0.0
        return seconds

    def token(self, noisy: bool) -> float:
        """Of picking one token."""
        return self.noisy_pick if noisy else self.pick

    def of_size(self, size: int) -> Costs:
        """The same for a draft head of one size, on the lines between those that are known."""

        def line(values: Mapping[int, float]) -> float:
            return between(tuple(sorted(values.items())), size)

        assert self.heads is not None
        assert self.noise is not None
        rows = [count for count, _ in next(iter(self.heads.values()))]
        points = tuple((count, line({n: between(own, count) for n, own in self.heads.items()})) for count in rows)
        return replace(self, heads={size: points}, noise={size: line(self.noise)})

    def as_json(self) -> dict[str, Any]:
        """For a file; ``from_json`` makes the same again."""
        return asdict(self)

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Costs:
        """What ``as_json`` gave, also through a file.

        Raises:
            KeyError, TypeError, ValueError: when it is anything else.
        """
        heads, noise = found["heads"], found["noise"]
        return Costs(
            target=_points(found["target"]),
            layer=_points(found["layer"]),
            heads=None if heads is None else {int(size): _points(points) for size, points in heads.items()},
            noise=None if noise is None else {int(size): float(seconds) for size, seconds in noise.items()},
            **{name: float(found[name]) for name in ("pick", "noisy_pick", "tree")},
        )


def _points(found: Any) -> Points:
    points = tuple((int(rows), float(seconds)) for rows, seconds in found)
    if not points or sorted(points) != list(points) or not all(0 <= seconds < inf for _, seconds in points):
        raise ValueError(f"{found} are not costs by rows")
    return points
