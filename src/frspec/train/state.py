"""What a killed run needs to go on as if nothing had happened: weights, optimiser moments, step, history.

Knows: one file beside the output, and the settings it belongs to. Does not know: what the settings mean.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isclose
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from frspec.artifacts import atomic_path
from frspec.errors import UserError
from frspec.keys import read_object
from frspec.models.weights import save_tensors

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
CLOSE = 0.02
"""How far numbers inside a setting may drift: the same model's features on another machine or thread count."""


@dataclass
class State:
    """``step`` steps are done. ``tensors`` are the head's; ``optimizer`` holds their moments."""

    tensors: dict[str, Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    tokens: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def save(self, file: Path, settings: Mapping[str, Any]) -> None:
        """Replace ``file`` in one move, so that a kill leaves the old state or the new one."""
        stored = {f"weight {name}": tensor.detach() for name, tensor in self.tensors.items()}
        for name, tensor in self.tensors.items():
            stored |= {f"{moment} {name}": self.optimizer.state[tensor][moment] for moment in MOMENTS}
        facts = {"step": self.step, "tokens": self.tokens, "history": self.history, "settings": settings}
        with atomic_path(file) as temporary:
            save_tensors(temporary, stored, {"frspec": json.dumps(facts)})

    def load(self, file: Path, settings: Mapping[str, Any]) -> None:
        """Take over what ``save`` left in ``file``.

        Raises:
            UserError: naming the setting, when the file belongs to another run; or when it is damaged.
        """
        try:
            with safe_open(file, framework="pt") as stored:
                facts = json.loads(stored.metadata()["frspec"])
                check_settings(facts["settings"], settings, file)
                for name, tensor in self.tensors.items():
                    tensor.detach().copy_(stored.get_tensor(f"weight {name}"))
                    self.optimizer.state[tensor] = {
                        moment: stored.get_tensor(f"{moment} {name}").to("cpu" if moment == "step" else tensor.device)
                        for moment in MOMENTS
                    }
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            raise UserError(f"{file} cannot be read ({error}); delete it to start the training anew") from error
        self.step, self.tokens, self.history = facts["step"], facts["tokens"], facts["history"]


def first_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first setting that differs, with what it was and is; None where all are the same."""
    for name in dict.fromkeys((*old, *new)):
        before, now = old.get(name), new.get(name)
        if not _same(before, now):
            return f"{name} has changed" if isinstance(now, list) else f"{name} was {before!r} and is now {now!r}"
    return None


def check_settings(old: Mapping[str, Any], new: Mapping[str, Any], file: Path) -> None:
    """Refuse to mix two runs, by the name of the first setting that differs."""
    if (difference := first_difference(old, new)) is not None:
        raise UserError(
            f"{file.parent} holds an unfinished run in which {difference}; "
            "give what it was begun with, or delete that folder to begin anew"
        )


def take_up(manifest: Path, identity: Mapping[str, Any]) -> None:
    """Go on with the run that ``manifest`` tells of, its folder cleared of leftovers, or begin one with ``identity``.

    Raises:
        UserError: naming the setting in which that run was another.
    """
    if manifest.exists():
        check_settings(read_object(manifest), identity, manifest)
        clear_leftovers(manifest.parent)
        return
    with atomic_path(manifest) as temporary:
        temporary.write_text(json.dumps(dict(identity)) + "\n", encoding="utf-8")


def clear_leftovers(folder: Path) -> None:
    """Remove temporary folders of writers that were killed."""
    for left in folder.glob(".*"):
        shutil.rmtree(left, ignore_errors=True)


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return all(isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) for a, b in zip(before, now, strict=True))
    return bool(before == now)
