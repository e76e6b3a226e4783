"""What a measurement ran on.

Knows: the machine, the versions. Does not know: what was measured.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from frspec.machine import cores, processor
from frspec.models.layers.linear import knows_bfloat16


def machine(device: torch.device, versions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Processor (``bfloat16``: whether it has instructions for that), threads, versions; ``versions`` are others'."""
    facts: dict[str, Any] = {
        "system": platform.platform(terse=True),
        "processor": processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "bfloat16": knows_bfloat16(device),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "python": platform.python_version(),
        "versions": {**(versions or {}), **{name: version(name) for name in ("frspec", "torch")}},
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts
