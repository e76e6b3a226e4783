"""How the figures of a report read, wherever they are shown.

Knows: digits and units. Does not know: what a figure is about.
"""

from __future__ import annotations


def percent(share: float, digits: int = 2) -> str:
    """A share so that what is not all never reads as all."""
    if share == 0 or share == 1:
        return f"{share:.0%}".replace("%", " %")
    least = 10.0**-digits
    value = min(max(100 * share, least), 100 - least)
    return f"{value:.{digits}f} %"


def per_thousand(share: float) -> str:
    """How many of a thousand; all only where it is all."""
    return "all" if share == 1 else f"{min(1000 * share, 999.9):.1f}"


def number(value: int | None) -> str:
    """With commas; a dash for none."""
    return "–" if value is None else f"{value:,}"


def short(n: int) -> str:
    """8192 as 8k, 37937 as 37.9k."""
    if n < 1024:
        return str(n)
    return f"{n // 1024}k" if n % 1024 == 0 else f"{n / 1000:.1f}k"
