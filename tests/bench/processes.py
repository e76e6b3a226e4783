"""What becomes of processes, as Linux tells it."""

from pathlib import Path


def state(pid: int) -> str:
    """T is stopped, S sleeps, Z has ended; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""
