"""Who is killed takes its counting processes with it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ENVIRONMENTS = Path("/proc")


def running(mark: str) -> list[Path]:
    """The processes that have inherited ``mark``; a zombie has nothing."""
    found = []
    for file in ENVIRONMENTS.glob("[0-9]*/environ"):
        try:
            if mark.encode() in file.read_bytes():
                found.append(file.parent)
        except OSError:
            continue
    return found


def wait(mark: str, processes: range) -> int:
    end = time.monotonic() + 30
    while (found := len(running(mark))) not in processes and time.monotonic() < end:
        time.sleep(0.05)
    return found


@pytest.mark.skipif(not (ENVIRONMENTS / "self" / "environ").exists(), reason="no /proc to look at")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_command(tmp_path: Path, how: signal.Signals) -> None:
    mark = f"FRSPEC_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    corpus, output = tmp_path / "corpus.jsonl", tmp_path / "r.ranking"
    corpus.write_text('{"text": "Once upon a time"}\n' * 2_000_000)
    line = [sys.executable, "-c", "from frspec.cli.main import main; main()", "rank", "--tokenizer", "demo"]
    command = subprocess.Popen(
        [*line, str(corpus), "-o", str(output), "--workers", "3"],
        env=os.environ | dict([mark.split("=")]),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert wait(mark, range(4, 5)) == 4, "itself and three"
        command.send_signal(how)
        said = command.communicate(timeout=30)[1]
        assert wait(mark, range(1)) == 0
        assert command.returncode in (-how, 130)
        assert "Traceback" not in said
        assert not output.exists()
    finally:
        command.kill()
