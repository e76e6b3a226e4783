"""A report on a ranking, to be looked at: one page of HTML, or a picture.

Knows: which files there are. Does not know: figures, where they come from.
"""

from __future__ import annotations

from pathlib import Path

from frspec.artifacts import atomic_path, check_place
from frspec.bench.plots import check_plot
from frspec.errors import UserError
from frspec.ranking.figures import Report

PAGE, PICTURES = ".html", (".png", ".svg")


def check_output(file: Path) -> None:
    """Make sure, before anything is counted, that ``write`` will be able to.

    Raises:
        UserError: for another ending, a place that cannot be written, or a picture without matplotlib.
    """
    if file.suffix in PICTURES:
        check_plot(file)
    elif file.suffix == PAGE:
        check_place(file)
    else:
        raise UserError(f"cannot write a report to {file}; name a .html, .png or .svg file")


def write(report: Report, file: Path) -> None:
    """The page, or the picture, by the file's ending.

    Raises:
        UserError: when the file cannot be written.
    """
    with atomic_path(file) as temporary:
        if file.suffix == PAGE:
            from frspec.bench.report.page import render

            temporary.write_text(render(report), encoding="utf-8")
        else:
            from frspec.bench.report.picture import save

            save(report, temporary)
