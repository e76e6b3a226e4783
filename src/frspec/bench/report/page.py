"""The report as one page that needs nothing else: no network, no script, no fonts.

Knows: how figures read, the template. Does not know: where figures come from.
Whatever stands in a token, a name or a path is text: the template escapes everything, and the page's own policy lets
the browser run nothing and load nothing but the style that is in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from frspec.bench.report import chart
from frspec.bench.report.words import number, per_thousand, percent, short
from frspec.ranking.figures import Report

FOLDER = Path(__file__).parent


def render(report: Report) -> str:
    """The page, as HTML."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {words.__name__: words for words in (percent, per_thousand, number, short, chart.heat)}
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        report=report,
        coverage=chart.coverage(report),
        frequencies=chart.frequencies(report),
        legend=chart.legend(report),
        facts=facts(report),
        close=next(place for place, n in enumerate(report.question.sizes) if n == report.question.size),
        style=Markup(style),  # this file's neighbour, nothing of it comes from elsewhere
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )


def facts(report: Report) -> Mapping[str, str]:
    """Where the ranking and the figures come from, in words."""
    about = dict(report.about)
    made: dict[str, Any] = about.pop("provenance")
    rows = {**about, **{f"ranking: {name}": value for name, value in made.items()}}
    return {name: _plain(value) for name, value in rows.items() if value not in (None, [], (), "")}


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
