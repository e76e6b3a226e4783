"""What a program can know of the machine it runs on.

Knows: the processor's name, cores, memory, where a user's caches belong. Does not know: devices, what is kept there.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

GROUP = Path("/sys/fs/cgroup")  # a container's own, where its limits are


def processor() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that programs may still take without others' being swapped out, a container's limit counted; None where the
    system does not say."""
    listing = Path("/proc/meminfo")
    if not listing.exists():
        return None
    line = next((line for line in listing.read_text().splitlines() if line.startswith("MemAvailable:")), None)
    if line is None:
        return None
    free = int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError, KeyError):  # no container, or no limit
        limit, used = (int((GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        kinds = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        files = int(kinds["inactive_file"]) + int(kinds["active_file"])  # pages that make way: all that has been read
        free = min(free, max(0, limit - used + files))
    return free


def cache_folder() -> Path:
    """The user's own folder for what frspec can make again: $FRSPEC_CACHE, or the platform's place for such things."""
    from platformdirs import user_cache_path

    named = os.environ.get("FRSPEC_CACHE")
    return Path(named).expanduser() if named else user_cache_path("frspec", appauthor=False)
