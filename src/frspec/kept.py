"""What frspec found out and can find out again, in the user's cache folder: one JSON file for each key.

Knows: keys, files, provenance. Does not know: what is kept. A file is only good for the very key it was written for.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path, provenance
from frspec.machine import cache_folder


def place(kind: str, key: dict[str, Any]) -> Path:
    """Where what belongs to ``key``, which is JSON, is kept among its ``kind``."""
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    return cache_folder() / kind / f"{name}.json"


def keep(kind: str, key: dict[str, Any], **found: Any) -> Path:
    """Write ``found``, with the key and the provenance beside it; returns the file.

    Raises:
        UserError: when the place cannot be written.
    """
    file = place(kind, key)
    with atomic_path(file) as temporary:
        whole = {"key": key, "provenance": provenance(), **found}
        temporary.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return file


def find(kind: str, key: dict[str, Any]) -> dict[str, Any] | None:
    """What was kept for ``key``, if it can be read and is for that key."""
    try:
        whole = json.loads(place(kind, key).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return whole if isinstance(whole, dict) and whole.get("key") == key else None
