"""A process that answers questions: what it is told, and what becomes of one that dies, hangs or talks nonsense."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frspec.bench.peers import Subject
from frspec.bench.peers import worker as module
from frspec.bench.peers.worker import Worker
from frspec.bench.peers.worker_peer import WorkerMethod
from frspec.errors import UserError
from frspec.types import SamplingParams
from tests.bench.processes import state
from tests.patience import PATIENCE, until

WORKERS = Path(module.__file__).parent
FAKE = """
import os, sys, time
sys.path.insert(0, {workers!r})
from workers.protocol import serve

class Fake:
    versions, weights = {{"fake": "1.2"}}, "bfloat16"

    def __init__(self, told):
        if told.get("missing"):
            import no_such_module_at_all
        self.told = told
        print("noise on stdout")
        os.system("echo noise from below")

    def run(self, request, bursts):
        if request.max_tokens == 13:
            sys.exit("out of\\nmemory, it says")
        if request.max_tokens == 14:
            time.sleep(600)
        if request.max_tokens == 16:
            raise ValueError("not today\\nnor tomorrow")
        for number, token in enumerate(request.ids):
            time.sleep(0.02)
            if bursts.came([token], same_pass=number == 2):
                return

serve(Fake)
"""


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    file = tmp_path / "fake_worker.py"
    file.write_text(FAKE.format(workers=str(WORKERS)))
    return file


@pytest.fixture
def worker(fake: Path) -> Worker:
    return Worker([sys.executable, str(fake)], fake.parent, os.environ)


def question(max_tokens: int = 10, **more: object) -> dict:
    whole = {"ids": [5, 6, 7, 8, 9], "max_tokens": max_tokens, "temperature": 0.0, "top_p": 1.0, "seed": 1}
    return {"run": whole | {"stop_ids": [8]} | more}


def test_bursts_with_their_times(worker: Worker) -> None:
    assert worker.ask({"load": {}}, PATIENCE) == {"versions": {"fake": "1.2"}, "weights": "bfloat16"}
    bursts = worker.ask(question(), PATIENCE)["bursts"]
    assert [ids for _, ids in bursts] == [[5], [6, 7], [8]]  # and nothing after the stop
    times = [seconds for seconds, _ in bursts]
    assert times[0] >= 0.02
    assert times[1] - times[0] >= 0.04
    assert [ids for _, ids in worker.ask(question(2), PATIENCE)["bursts"]] == [[5], [6]]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_runs_only_while_it_is_asked(fake: Path) -> None:
    worker = Worker([sys.executable, str(fake)], fake.parent, os.environ)
    worker.ask({"load": {}}, PATIENCE)
    process = worker._process
    for _ in range(2):
        until(lambda: state(process.pid) == "T")  # a signal takes its time
        worker.ask(question(), PATIENCE)
    del worker
    assert process.wait(PATIENCE) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="other systems cannot tie a process to its parent")
def test_a_stopped_one_ends_with_whoever_asked(fake: Path) -> None:
    script = (
        "import os, sys, time; from pathlib import Path; from frspec.bench.peers.worker import Worker\n"
        f"worker = Worker([sys.executable, {str(fake)!r}], Path({str(fake.parent)!r}), os.environ)\n"
        f"worker.ask({{'load': {{}}}}, {PATIENCE}); print(worker._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    until(lambda: state(pid) in ("", "Z"))


FAILURES = {
    13: "its process ended with status 1: memory, it says",
    14: "no answer within 0.5 s",
}


@pytest.mark.parametrize("kind", FAILURES)
def test_one_that_fails_for_good_is_ended(worker: Worker, kind: int) -> None:
    worker.ask({"load": {}}, PATIENCE)
    with pytest.raises(UserError) as caught:
        worker.ask(question(kind), 0.5 if kind == 14 else PATIENCE)
    assert str(caught.value) == FAILURES[kind]
    assert worker._process.poll() is not None


@pytest.mark.parametrize("words", ["nonsense", "17", "[1, 2]"])
def test_one_that_talks_nonsense_is_ended(tmp_path: Path, words: str) -> None:
    code = f"input(); print({words!r}, flush=True); input()"
    worker = Worker([sys.executable, "-c", code], tmp_path, os.environ)
    with pytest.raises(UserError, match=re.escape(f"it wrote what is no answer: {words!r}")):
        worker.ask({"load": {}}, PATIENCE)
    assert worker._process.poll() is not None


@pytest.mark.parametrize(
    "bursts", [{}, {"bursts": 3}, {"bursts": [[0.1]]}, {"bursts": [["soon", [1]]]}, {"bursts": []}]
)
def test_answers_that_are_no_bursts(tmp_path: Path, subject: Subject, bursts: dict) -> None:
    code = f"input(); print({json.dumps(bursts)!r}, flush=True); input()"
    worker = Worker([sys.executable, "-c", code], tmp_path, os.environ)
    method = WorkerMethod("fake", worker, {"versions": {}, "weights": "float32"}, subject)
    with pytest.raises(UserError, match=r"it wrote what is no answer|it wrote nothing"):
        method.run([1, 2], SamplingParams(max_tokens=3))


def test_its_own_word_on_what_went_wrong(worker: Worker) -> None:
    worker.ask({"load": {}}, PATIENCE)
    with pytest.raises(UserError, match=r"^ValueError: not today$"):
        worker.ask(question(16), PATIENCE)
    assert [ids for _, ids in worker.ask(question(), PATIENCE)["bursts"]] == [[5], [6, 7], [8]]


def test_what_is_not_installed_is_named(worker: Worker) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        worker.ask({"load": {"missing": True}}, PATIENCE)
    assert caught.value.name == "no_such_module_at_all"


def test_no_such_interpreter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot start .*python: No such file or directory"):
        Worker([str(tmp_path / "python")], tmp_path, os.environ)


def test_workers_import_nothing_of_frspec() -> None:
    """They run where it is not installed: each is read with nothing but its folder on the path."""
    for file in (WORKERS / "workers").glob("*.py"):
        assert "frspec" not in [
            word for line in file.read_text().splitlines() if "import" in line for word in line.split()
        ]
    code = "import sys; sys.modules['frspec'] = None; from workers import checkpoint, protocol"
    subprocess.run([sys.executable, "-c", code], cwd=WORKERS, check=True)
