"""Peers that run in a process and an environment of their own.

Knows: what a worker is told, how its answers become samples. Does not know: what it does with it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from frspec.bench.methods import Sample
from frspec.bench.peers.bursts import sample_of
from frspec.bench.peers.worker import SHOWN, Worker
from frspec.errors import UserError
from frspec.machine import cache_folder
from frspec.types import SamplingParams

if TYPE_CHECKING:
    from frspec.bench.peers import Subject

LOAD_SECONDS, RUN_SECONDS = 1800.0, 600.0
"""How long converting and loading a checkpoint, and one answer, may take."""
CONVERTERS = 1
"""Changed when a converter is: what older ones left in the cache is then not found."""
NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def load(name: str, module: str, options: Mapping[str, Any], interpreter: str | None, subject: Subject) -> WorkerMethod:
    """The peer of that name, its checkpoint loaded (and first converted, if it is not in the cache).

    Raises:
        ModuleNotFoundError: when the program is not in the interpreter's environment.
        UserError: when it cannot run this.
    """
    if subject.device.type != "cpu":
        raise UserError(f"it is compared on CPUs only, and this runs on {subject.device.type}")
    if options.get("drafts") == "eagle" and subject.head is None:
        raise UserError("it needs an EAGLE head; name one with --draft")
    folder, threads = subject.folder.resolve(), torch.get_num_threads()
    environment = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    worker = Worker(
        [interpreter or sys.executable, "-m", "workers", module],
        Path(__file__).parent,
        environment | {"OMP_NUM_THREADS": str(threads)},
    )
    told = {"folder": str(folder), "dtype": str(subject.dtype).removeprefix("torch."), "threads": threads}
    cache = cache_folder().resolve() / "peers" / module / _mark(folder)
    told |= {"cache": str(cache), "context": subject.context, **options}
    told |= {} if subject.head is None else {"head": str(subject.head.resolve())}
    return WorkerMethod(name, worker, worker.ask({"load": told}, LOAD_SECONDS), subject)


def _mark(folder: Path) -> str:
    """A name for the weights in ``folder`` as they are now, without reading them."""
    files = sorted((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in folder.glob("*.safetensors"))
    about = (CONVERTERS, files, (folder / "config.json").read_bytes())
    return f"{folder.name}-{hashlib.sha256(repr(about).encode()).hexdigest()[:16]}"


class WorkerMethod:
    """One loaded worker; ``versions`` and ``weights`` are its own word."""

    peer = True

    def __init__(self, name: str, worker: Worker, about: Mapping[str, Any], subject: Subject) -> None:
        self.name, self._worker, self._subject = name, worker, subject
        self.versions: dict[str, str] = about["versions"]
        self.weights: str = about["weights"]

    def run(self, prompt: Sequence[int], params: SamplingParams) -> Sample:
        """Continue ``prompt``; the clock is the worker's, from the question to each burst."""
        context = self._subject.context
        stop_ids, most = list(self._subject.stop_ids), min(params.max_tokens or context, context - len(prompt))
        request = {"ids": list(prompt), "max_tokens": most, "stop_ids": stop_ids, "seed": params.seed or 0}
        request |= {"temperature": params.temperature, "top_p": params.top_p}
        answer = self._worker.ask({"run": request}, RUN_SECONDS)
        try:
            bursts = [(float(seconds), [int(token) for token in ids]) for seconds, ids in answer["bursts"]]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"it wrote what is no answer: {str(answer)[:SHOWN]!r}") from error
        if not bursts:
            raise UserError("it wrote nothing")
        return sample_of(0.0, bursts, stop_ids)
