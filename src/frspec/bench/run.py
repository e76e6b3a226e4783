"""One whole comparison: warm-up, rounds, figures, and the result that is written and drawn.

Knows: the order of these, what a result file holds. Does not know: terminals, which methods there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path, provenance
from frspec.bench.bandwidth import read_rate
from frspec.bench.compare import Round, compare, warm_up
from frspec.bench.machine import machine
from frspec.bench.memory import Memory, Modes
from frspec.bench.methods import Method, OwnMethod, Peer
from frspec.bench.peers import Subject, ready
from frspec.bench.prompts import Talk
from frspec.bench.table import rows
from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models.decoder import Decoder
from frspec.types import SamplingParams

KIND, SCHEMA = "frspec bench", 2
FIGURES = {KIND: ("methods", SCHEMA), f"{KIND} micro": ("costs", 1), f"{KIND} serve": ("servers", 1)}
"""What a result of each kind is made of, and the schema of its files."""


def run(
    methods: Sequence[OwnMethod],
    peers: Sequence[str],
    subject: Subject,
    talks: Sequence[Talk],
    params: SamplingParams,
    repeat: int = 1,
    tell: Callable[[str, str], None] = lambda _name, _why: None,
    progress: Callable[[int], None] = lambda _done: None,
) -> tuple[dict[str, Any], list[Round]]:
    """Compare ``methods``, plain decoding first, and the ``peers`` that can run; ``tell`` hears which cannot, and why.

    Returns ``machine``, ``pass_bytes``, ``memory`` (the modes of its speed), ``memory_border``, ``left_out`` and
    ``methods`` (``bench/table.py``), and the rounds that these come from.
    """
    prompts, target = [talk.first.ids for talk in talks], methods[0].llm.engine.target
    for method in methods:
        warm_up(method, prompts, params)
        if (controller := method.llm.engine.controller) is not None:
            controller.forget()  # texts read backwards teach it nothing about these
    others, missing = ready(peers, subject, lambda method: warm_up(method, prompts, params))
    for name, why in missing.items():
        tell(name, why)
    memory = Memory(read_rate) if target.device.type == "cpu" else None
    everyone: list[Method] = [*methods, *others]
    rounds, failed = compare(everyone, talks, params, repeat, memory, progress)
    for name, why in failed.items():
        tell(name, why)
    left = [method for method in everyone if method.name not in failed]
    readings = [reading for round in rounds for pair in round.readings.values() for reading in pair]
    modes = Modes.of(readings)
    return {
        "machine": _machine(methods[0].llm, [peer for peer in others if peer.name not in failed]),
        "pass_bytes": pass_bytes(target),
        "memory": modes.summary(readings),
        "memory_border": modes.border,
        "left_out": missing | failed,
        "methods": rows(target, left, rounds, params, modes),
    }, rounds


def _machine(plain: LLM, peers: Sequence[Peer]) -> dict[str, Any]:
    target = plain.engine.target
    versions = {package: version for peer in peers for package, version in peer.versions.items()}
    precision = target.precision
    kinds = {"dtype": target.dtype, "matrices": precision.matrices, "activations": precision.activations}
    return machine(target.device, versions) | {name: str(kind).removeprefix("torch.") for name, kind in kinds.items()}


def pass_bytes(target: Decoder) -> int:
    """Bytes of the matrices that every pass reads, those of the layers and the LM head: what it costs at least.

    The embedding is only gathered from; norms, biases, scales and the cache of a short text are small beside them.
    """
    config = target.config
    head = config.vocab_size * config.hidden_size
    return (config.num_hidden_layers * config.layer_weights + head) * target.precision.matrices.itemsize


def write_result(file: Path, result: dict[str, Any], rounds: Sequence[Round]) -> None:
    """``result``, and every round that it was computed from, with the memory's mode during each sample."""
    modes = Modes(result["memory_border"])
    whole = {"kind": KIND, "schema": SCHEMA, "provenance": provenance(), **result}
    whole["rounds"] = [
        asdict(round) | {"modes": {name: modes.of_sample(round.readings.get(name)) for name in round.samples}}
        for round in rounds
    ]
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(whole) + "\n", "utf-8")


def read_result(file: Path) -> dict[str, Any]:
    """What ``frspec bench -o``, ``frspec bench micro -o`` or ``frspec bench serve -o`` wrote.

    Raises:
        UserError: when it is neither, or of another schema.
    """
    try:
        whole = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{file} is no JSON ({error}); give a file that frspec bench -o wrote") from error
    kind = whole.get("kind") if isinstance(whole, dict) else None
    if not isinstance(kind, str) or kind not in FIGURES:
        raise UserError(f"{file} is no result of frspec bench; give a file that frspec bench -o wrote")
    name, schema = FIGURES[kind]
    if whole.get("schema") != schema:
        raise UserError(f"{file} has schema {whole.get('schema')}, this frspec reads {schema}; run {kind} again")
    if not whole.get(name):
        raise UserError(f"{file} holds no {name}; it was cut or changed: run {kind} again")
    return dict(whole)
