"""Other programs on the same weights.

Knows: their names, and what each needs. Does not know: how they are called; that is one module each. A new peer is a
module here with a ``load`` and one line in ``PEERS`` for each way to run it.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from frspec.errors import UserError

if TYPE_CHECKING:
    import torch

    from frspec.bench.methods import Method

PEERS = {"transformers": "transformers", "transformers-prompt-lookup": "transformers"}
"""The name of each peer, and the package it is made of."""
log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Subject:
    """What a peer has to run to be compared: the checkpoint's folder, in which type, where; which ids end a text, and
    how many positions prompt and output may take."""

    folder: Path
    dtype: torch.dtype
    device: torch.device
    stop_ids: tuple[int, ...]
    context: int


def check_names(names: Sequence[str]) -> None:
    """Refuse what is no peer.

    Raises:
        UserError: naming the known ones.
    """
    for name in names:
        if name not in PEERS:
            raise UserError(f"peer {name!r} is unknown; the peers are {', '.join(PEERS)}")


def ready(
    names: Sequence[str], subject: Subject, warm_up: Callable[[Method], None]
) -> tuple[list[Method], dict[str, str]]:
    """The peers in working order, warmed up, and of each of the others why it is left out, in one line.

    A peer that cannot run here was not measured; nothing it does may end the comparison or count as slow.
    """
    methods: list[Method] = []
    missing = {}
    for name in dict.fromkeys(names):
        package = PEERS[name]
        try:
            method: Method = importlib.import_module(f"{__name__}.{package}_peer").load(name, subject)
            warm_up(method)
        except ModuleNotFoundError as error:
            missing[name] = f"{error.name} is not installed (pip install {package})"
        except Exception as error:
            missing[name] = failure(name, error)
        else:
            methods.append(method)
    return methods, missing


def failure(name: str, error: Exception) -> str:
    """Why the peer is left out, in one line; the rest goes to the log."""
    log.debug("peer %s failed", name, exc_info=error)
    return f"it failed ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
