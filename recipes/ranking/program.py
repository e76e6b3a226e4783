"""``frspec`` as a program of its own: run, watched, killed. For Linux, whose /proc it reads.

Knows: processes, their memory and time. Does not know: what they do.
Each run is a session of its own, so whoever belongs to it is found even after its first process is dead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

FRSPEC = [sys.executable, "-c", "from frspec.cli.main import main; main()"]
APART = 0.1
"""Seconds between two looks at a run's memory: the kernel goes through all its pages for one."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """What a finished run took: ``seconds`` from start to end, ``megabytes`` of all its processes at their most (PSS:
    a page that some share counts once), and what it ``said`` on stdout and stderr."""

    seconds: float
    megabytes: float
    said: str


def start(*words: str | Path, said: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """``frspec WORDS...``, going on; ``said``: a file descriptor for its stdout and stderr."""
    return subprocess.Popen([*FRSPEC, *map(str, words)], stdout=said, stderr=said, start_new_session=True)


def run(*words: str | Path) -> Run:
    """``frspec WORDS...`` to its end, which ends this program where it fails."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = start(*words, said=said.fileno())
        peak, stop = [0], threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, peak, stop))
        watch.start()
        try:
            status = process.wait()
            seconds = time.perf_counter() - begun
        finally:
            process.kill()
            stop.set()
            watch.join()
        said.seek(0)
        text = said.read().decode()
    if status != 0:
        sys.exit(f"frspec {' '.join(map(str, words))} ended with {status}:\n{text}")
    return Run(seconds, peak[0] / 2**20, text)


def members(session: int) -> list[int]:
    """The processes of a session that are alive."""
    states = {int(entry.name): _stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    return [pid for pid, words in states.items() if words and int(words[3]) == session and words[0] not in "ZX"]


def cpu_seconds(session: int) -> float:
    """Processor time that the processes of a session have had so far."""
    stats = [_stat(Path(f"/proc/{pid}")) for pid in members(session)]
    return sum(int(words[11]) + int(words[12]) for words in stats if words) / TICKS


def memory(session: int) -> int:
    """Bytes that the processes of a session hold, shared pages once."""
    return sum(map(_pss, members(session)))


def _watch(session: int, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(APART):
        peak[0] = max(peak[0], memory(session))


def _stat(process: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold anything; none for a process that is gone."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
