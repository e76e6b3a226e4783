"""Kill ``frspec rank`` with SIGKILL at random moments, go on each time, and compare what comes out.

    python recipes/ranking/kills.py SOURCES... --tokenizer NAME [--kills N] [--within SECONDS] [--seed N]

First it counts without interruption, on all cores, with one worker and with two. Then it starts the same command again
and again and kills it: all its processes, or only the first one, which leaves its workers alone. A run that ends before
its turn is compared, and the next one begins anew. At last everything is counted to the end. Every ranking must hold
the same arrays; nothing but the ranking may lie beside it or in the folder for temporary files, and no process live on.
The last line is one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from subprocess import Popen, TimeoutExpired

import click
import numpy as np
from program import members, run, start
from safetensors.numpy import load_file

GRACE = 10.0
"""Seconds after which a worker must have noticed that nobody wants its counts any more."""


@dataclass
class Seen:
    """``lost``: for each kill the seconds since the run began, or since its journal was written last, if later.
    ``lonely``: for each the seconds until its other processes had ended."""

    whom: Counter[str] = field(default_factory=Counter)
    lost: list[float] = field(default_factory=list)
    lonely: list[float] = field(default_factory=list)
    finished: int = 0


def check(made: Path, expected: Path, temporary: Path) -> None:
    """End the program unless ``made`` has the arrays of ``expected`` and lies there alone."""
    found, wanted = load_file(made), load_file(expected)
    if found.keys() != wanted.keys() or not all(np.array_equal(found[name], wanted[name]) for name in wanted):
        sys.exit(f"{made} is not what an uninterrupted count gives")
    strays = [file.name for folder in (made.parent, temporary) for file in folder.iterdir() if file != made]
    if strays:
        sys.exit(f"left over after a count that ended well: {', '.join(strays)}")


def kill(process: Popen[bytes], whom: str) -> float:
    """Kill "all" processes of a run or its "first" one; seconds until no other lives."""
    (os.killpg if whom == "all" else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    killed = time.monotonic()
    while members(process.pid):
        if time.monotonic() - killed > GRACE:
            os.killpg(process.pid, signal.SIGKILL)
            sys.exit(f"processes of a killed run were alive {GRACE:g} seconds later")
        time.sleep(0.01)
    return time.monotonic() - killed


def life(words: Sequence[str | Path], made: Path, moment: float, whom: str, seen: Seen) -> bool:
    """One run, killed after ``moment`` seconds; whether it had ended before."""
    journal = made.with_name(f"{made.name}.journal")
    begun = time.time()
    process = start(*words, "-o", made)
    try:
        status = process.wait(moment)
    except TimeoutExpired:
        written = journal.stat().st_mtime if journal.exists() else 0.0
        seen.lost.append(time.time() - max(written, begun))
        seen.lonely.append(kill(process, whom))
        seen.whom[whom] += 1
        return False
    if status != 0:
        sys.exit(f"a run that went on ended with {status}")
    return True


def torture(
    words: Sequence[str | Path], made: Path, expected: Path, kills: int, within: float, chance: random.Random
) -> Seen:
    """So many kills, then everything to the end."""
    seen, temporary = Seen(), Path(tempfile.gettempdir())
    while len(seen.lost) < kills:
        if life(words, made, chance.uniform(0, within), chance.choice(["all", "all", "first"]), seen):
            check(made, expected, temporary)
            seen.finished += 1
            made.unlink()
        else:
            print(f"kill {len(seen.lost)}/{kills}: {seen.lost[-1]:.2f} s lost", flush=True)
    run(*words, "-o", made)
    check(made, expected, temporary)
    seen.finished += 1
    return seen


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--tokenizer", "name", required=True, help="As for frspec rank.")
@click.option("--kills", default=20, show_default=True, help="How often.")
@click.option("--within", type=float, help="Seconds after a start within which it is killed; as long as all takes.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(sources: Sequence[str], name: str, kills: int, within: float | None, seed: int) -> None:
    """Kill, go on, compare."""
    with tempfile.TemporaryDirectory() as top:
        folders = {purpose: Path(top, purpose) for purpose in ("calm", "killed", "temporary")}
        for folder in folders.values():
            folder.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(folders["temporary"])
        words = ("rank", "--tokenizer", name, *sources)
        expected = folders["calm"] / "all.ranking"
        whole = run(*words, "-o", expected).seconds
        for workers in ("1", "2"):
            made = folders["killed"] / "all.ranking"
            run(*words, "--workers", workers, "-o", made)
            check(made, expected, folders["temporary"])
            made.unlink()
        print(f"{whole:.1f} s without interruption; the same ranking with 1 and 2 workers", flush=True)
        seen = torture(words, made, expected, kills, within or whole, random.Random(seed))
    result = {
        "seconds_without_interruption": round(whole, 1),
        "kills": dict(seen.whom),
        "finished_equal": seen.finished,
        "lost_seconds": {"median": round(median(seen.lost), 2), "most": round(max(seen.lost), 2)},
        "last_process_gone_after_seconds": round(max(seen.lonely), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
