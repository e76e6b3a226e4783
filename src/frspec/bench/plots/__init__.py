"""Pictures of results: the paper's main table, its ablation, its profile, a roofline, servers under load.

Knows: which kinds there are, matplotlib's way to a file. Does not know: how anything was measured. A new kind is a
module here with a ``draw(results) -> Figure`` and one line in ``KINDS``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path, check_place
from frspec.errors import UserError

KINDS = {
    "speed": "tokens per second and acceptance by method and task",
    "subset": "acceptance and speed against the size of the draft vocabulary",
    "curve": "what frspec tune found: speed over the size of the draft vocabulary, with what it covers",
    "grid": "speed over draft vocabularies and shapes, the best framed",
    "profile": "where the time of a token goes",
    "roofline": "bytes read over time against what the memory gives",
    "serving": "servers' throughput and times over the number of clients",
}


def check_plot(file: Path) -> None:
    """Make sure, before anything is measured, that ``draw`` will be able to.

    Raises:
        UserError: without matplotlib, or when the file is neither PNG nor SVG or cannot be written.
    """
    if file.suffix not in (".png", ".svg"):
        raise UserError(f"cannot draw {file}; name a .png or .svg file")
    if find_spec("matplotlib") is None:
        raise UserError("drawing needs matplotlib; install it with pip install 'frspec[plot]'")
    check_place(file)


def draw(kind: str, results: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Write the picture of ``kind``, one of ``KINDS``, of what ``frspec bench`` gave.

    Raises:
        UserError: when there is nothing in the results that this kind shows, or the file cannot be written.
    """
    if kind != "roofline" and any("costs" in result for result in results):
        raise UserError(f"frspec bench micro measures no methods, so there is no {kind} to draw; use --kind roofline")
    if kind != "serving" and any("servers" in result for result in results):
        raise UserError(f"frspec bench serve measures servers, so there is no {kind} to draw; use --kind serving")
    from matplotlib import rc_context

    from frspec.bench.plots.style import SETTINGS

    with rc_context(SETTINGS), atomic_path(file) as temporary:
        figure = importlib.import_module(f"{__name__}.{kind}").draw(results)
        figure.savefig(temporary, dpi=150)
