"""Where lines, marks and ticks of a report's charts go, as the page draws them.

Knows: logarithmic axes, places in percent of a box. Does not know: SVG, HTML, what the figures are about.
Letters keep their size whatever the width of the page, so texts are placed in percent of the box, and lines in a box of
1000 × 1000 that is stretched over it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log2, log10

from frspec.bench.report.words import short
from frspec.ranking.figures import Frequencies, Report

TONES, OWN = 7, 9
"""Lines have colours up to this many texts, then they are grey; the colour of the ranking's own line."""
OWN_NAME = "the ranking’s own corpus"
STEP = 4  # from one size named on an axis to the next
LEAST_MISS = 1e-4
"""Where the axis of coverage ends: one token in ten thousand is missed."""
COVERED = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True)
class Tick:
    """A ``label`` at a place on an axis, in percent from the left or from the top."""

    at: float
    label: str
    strong: bool = False


@dataclass(frozen=True)
class Dot:
    """A figure that can be pointed at; both places in percent."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Line:
    """``points`` in a box of 1000 × 1000; ``tone``: 0 for everything, 1 to 7 for texts, 8 for further ones, 9 for the
    ranking itself; ``best``: what no ranking could go beyond."""

    name: str
    tone: int
    points: str
    best: bool = False
    dots: tuple[Dot, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Lines over two axes; ``x``: ticks along the bottom, ``y``: along the left, ``marks``: sizes that stand out."""

    lines: tuple[Line, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    marks: tuple[Tick, ...] = ()


Scale = Callable[[float], float]
"""From a value to its place, 0 to 1, from the left or from the bottom."""


def tone(place: int) -> int:
    """The colour of the row at that place of ``Report.rows``."""
    return min(place, TONES + 1)


def coverage(report: Report) -> Chart:
    """Coverage against size: each text's line and, dashed, its best one. Upwards misses are tenths of tenths."""
    last = report.rows[0].curve.sizes[-1]
    first = first_size(last)
    across, up = _logarithmic(first, last), _nines
    lines = []
    for place, text in enumerate(report.rows):
        curve, colour = text.curve, tone(place)
        dots = tuple(
            Dot(100 * across(at.size), 100 * (1 - up(at.share)), f"{text.name}: {at.size:,} ids cover {at.share:.2%}")
            for at in text.coverage
            if at.size >= first
        )
        lines.append(Line(text.name, colour, _points(curve.sizes, curve.best, across, up), best=True))
        lines.append(Line(text.name, colour, _points(curve.sizes, curve.shares, across, up), dots=dots))
    return Chart(
        tuple(reversed(lines)),
        tuple(Tick(100 * across(n), short(n)) for n in sizes_named(last)),
        tuple(Tick(100 * (1 - up(share)), f"{100 * share:g} %") for share in COVERED),
        tuple(Tick(100 * across(n), short(n), n == report.question.size) for n in report.question.sizes if n >= first),
    )


def frequencies(report: Report) -> Chart:
    """How frequent the most frequent tokens are, both axes logarithmic: after Zipf a straight line."""
    series = frequency_lines(report)
    last = max(one.ranks[-1] for _, _, one in series)
    low, high = min(one.shares[-1] for _, _, one in series), max(one.shares[0] for _, _, one in series)
    across, up = _logarithmic(1, max(2, last)), _logarithmic(min(low, high / 2), high)
    lines = [
        Line(name, OWN if place is None else tone(place), _points(one.ranks, one.shares, across, up))
        for name, place, one in series
    ]
    powers = [10**k for k in range(1 + int(log10(last)))]
    levels = [-k for k in range(10) if low <= 10.0**-k <= high]
    return Chart(
        tuple(reversed(lines)),
        tuple(Tick(100 * across(n), f"{n:,}") for n in powers),
        tuple(Tick(100 * (1 - up(10.0**k)), _one_in(-k)) for k in levels),
    )


def frequency_lines(report: Report) -> list[tuple[str, int | None, Frequencies]]:
    """The frequencies of the ranking's own corpus, if it is known, and of each row with its place."""
    own = [] if report.frequencies is None else [(OWN_NAME, None, report.frequencies)]
    lines = [*own, *((text.name, place, text.frequencies) for place, text in enumerate(report.rows))]
    return [line for line in lines if line[2].ranks]


def legend(report: Report) -> list[tuple[str, int]]:
    """Names and colours of the texts."""
    return [(text.name, tone(place)) for place, text in enumerate(report.rows)]


def first_size(last: int) -> int:
    """Where the axis of sizes begins that ends at ``last``."""
    return min(256, max(1, last // 64))


def sizes_named(last: int) -> list[int]:
    """The sizes that the axis names."""
    sizes = (first_size(last) * STEP**k for k in range(20))
    return [n for n in sizes if n <= last]


def heat(share: float) -> int:
    """0 (half or less is covered) to 9 (999 of 1000 are): how dark a field of a table is."""
    return min(9, int(9 * max(0.0, _nines(share) - _nines(0.5)) / (_nines(0.999) - _nines(0.5))))


def _nines(share: float) -> float:
    return log10(max(LEAST_MISS, 1 - share)) / log10(LEAST_MISS)


def _logarithmic(first: float, last: float) -> Scale:
    return lambda value: log2(value / first) / log2(last / first)


def _points(xs: Sequence[float], ys: Iterable[float], across: Scale, up: Scale) -> str:
    places = [(across(x), up(y)) for x, y in zip(xs, ys, strict=True)]
    return " ".join(f"{1000 * x:.1f},{1000 * (1 - y):.1f}" for x, y in places)


def _one_in(zeros: int) -> str:
    return "all" if zeros == 0 else f"1 in {10**zeros:,}" if zeros < 4 else f"1 in 10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[zeros]}"
