"""What a measurement ran on.

Knows: the machine, the versions. Does not know: what was measured.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


def machine(device: torch.device, versions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Processor, threads and versions; ``versions`` are those of other programs."""
    facts: dict[str, Any] = {
        "system": platform.platform(terse=True),
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device),
        "python": platform.python_version(),
        "versions": {**(versions or {}), **{name: version(name) for name in ("frspec", "torch")}},
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
