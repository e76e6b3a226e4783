"""From a target and a drafter to the controller between them.

Knows: where cost tables are kept, and what they are only good for. Does not know: how costs are measured or used.
A table belongs to one machine, program version, model, type, drafter and number of threads; any other is measured anew.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from frspec import kept
from frspec.errors import UserError
from frspec.machine import processor
from frspec.models.decoder import Decoder
from frspec.speculation.controller import Controller
from frspec.speculation.costs import Costs
from frspec.speculation.drafters.base import Adaptive, Drafter
from frspec.speculation.measuring import measure

KIND, SCHEMA = "costs", 1
log = logging.getLogger("frspec")


def make_controller(target: Decoder, drafter: Drafter) -> Controller | None:
    """The controller of ``drafter``, with a kept cost table or a new one (a second or two).

    None for a drafter that drafts as it likes.
    """
    if not isinstance(drafter, Adaptive):
        return None
    key = _key(target, drafter)
    costs = _kept(key)
    if costs is None:
        try:
            costs = measure(target, drafter)
        except Exception as error:  # a drafter that breaks is no reason not to decode
            log.warning("drafts cannot be measured (%s: %s); drafting by a fixed shape", type(error).__name__, error)
            return None
        _keep(key, costs)
    return Controller(costs, drafter, target.config.vocab_size, stops=target.device.type == "cpu")


def _key(target: Decoder, drafter: Adaptive) -> dict[str, Any]:
    """All that costs depend on."""
    device = target.device
    return {
        "schema": SCHEMA,
        "versions": {"frspec": version("frspec"), "torch": torch.__version__},
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "threads": torch.get_num_threads(),
        "decoder": type(target).__name__,
        "model": json.loads(json.dumps(asdict(target.config), default=str)),
        "precision": [str(target.dtype), *map(str, asdict(target.precision).values())],
        "drafter": [drafter.name, *drafter.costs_depend_on()],
        "sizes": list(drafter.sizes),
    }


def _kept(key: dict[str, Any]) -> Costs | None:
    """The table for ``key``, if there is one that is whole."""
    try:
        found = kept.find(KIND, key)
        costs = None if found is None else Costs.from_json(found["costs"])
    except (ValueError, KeyError, TypeError):
        return None
    return costs if costs is None or list(costs.heads or ()) == key["sizes"] else None


def _keep(key: dict[str, Any], costs: Costs) -> None:
    """Write the table; where that cannot be, the next run measures again."""
    try:
        kept.keep(KIND, key, costs=costs.as_json())
    except UserError as error:
        log.debug("the cost table is not kept: %s", error)
