"""Counting on a local Ray: what the tokenizers library counts, whoever dies on the way; what is wrong, in one line."""

import gzip
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from frspec.cli.main import frspec
from frspec.errors import UserError
from frspec.ranking import on_ray
from frspec.ranking.counts import Counts
from frspec.ranking.job import Plan, count_sources
from frspec.ranking.on_ray import count_on_ray
from frspec.ranking.ranking import Ranking
from frspec.ranking.ray_session import address_of, joined
from frspec.ranking.reader import Todo
from frspec.text.blocks import Mark
from frspec.text.document import Document, Piece
from frspec.text.reading import Reading, find_sources
from frspec.text.shards import split
from frspec.text.tokenizer import Tokenizer
from tests.patience import until

TEXTS = [f"The {n}th little bird sang <|im_end|> über 東京 {'la ' * n}" for n in range(40)]
ELSEWHERE = {"RAY_AUTH_MODE": "disabled", "RAY_TMPDIR": "/tmp"}
"""No token in the home folder; sockets whose names are short enough, wherever temporary files are."""
needed = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A local Ray, which every count of this module finds and uses. Nothing may import ray before."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ELSEWHERE.items():
            patch.setenv(name, value)
        with joined("ray", 2) as module:
            yield module


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The texts in four files of as many kinds."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    lines = [json.dumps({"text": text}) + "\n" for text in TEXTS]
    (folder / "a.jsonl").write_text("".join(lines[:10]))
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("".join(lines[10:20]).encode()))
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS[20:39]}), folder / "c.parquet")
    (folder / "d.txt").write_text(TEXTS[39])
    return folder


def expected(tokenizer: Tokenizer, texts: list[str]) -> Counter[int]:
    encodings = tokenizer.backend.encode_batch(texts, add_special_tokens=False)
    return Counter(id for encoding in encodings for id in encoding.ids)


def counted(by_id: Any) -> dict[int, int]:
    return {int(id): int(by_id[id]) for id in np.flatnonzero(by_id)}


def count(tokenizer: Tokenizer, corpus: Path, **reading: Any) -> Counts:
    return count_sources(tokenizer, find_sources([corpus], Reading(**reading)), Plan(on="ray"))


@pytest.mark.parametrize(
    ("on", "address"),
    [
        ("ray", "local"),
        ("ray:auto", "auto"),
        ("ray:head:6379", "head:6379"),
        ("ray://head:10001", "ray://head:10001"),
    ],
)
def test_addresses(on: str, address: str) -> None:
    assert address_of(on) == address


@pytest.mark.parametrize("on", ["", "ray:", "rays", "slurm", "slurm:auto"])
def test_no_addresses(on: str) -> None:
    with pytest.raises(UserError, match="say ray, ray:auto, ray:HOST:PORT"):
        address_of(on)


@pytest.mark.usefixtures("ray")
def test_parts_as_the_library_counts(small: Tokenizer, corpus: Path) -> None:
    asked = [f"one={corpus}/a.jsonl", f"two={corpus}/b.jsonl.gz", f"two={corpus}/c.parquet", f"one={corpus}/d.txt"]
    counts = count_sources(small, find_sources(asked), Plan(on="ray"))
    assert counted(counts.parts["one"].by_id) == expected(small, [*TEXTS[:10], TEXTS[39]])
    assert counted(counts.parts["two"].by_id) == expected(small, TEXTS[10:39])
    assert (counts.documents, counts.characters) == (40, sum(map(len, TEXTS)))


@pytest.mark.usefixtures("ray")
def test_bad_records(small: Tokenizer, corpus: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (corpus / "a.jsonl").open("a") as file:
        file.write('{"text": 1}\n{"text": "und"}\n')
    with pytest.raises(UserError) as refused:
        count(small, corpus)
    assert str(refused.value).startswith(f"{corpus}/a.jsonl, line 11: ")
    assert "\n" not in str(refused.value)
    counts = count(small, corpus, skip_bad=True)
    assert (counts.skipped, counted(counts.by_id)) == (1, expected(small, [*TEXTS, "und"]))
    assert "a.jsonl, line 11" in caplog.text


@pytest.mark.usefixtures("ray")
def test_files_that_a_node_does_not_see(small: Tokenizer, corpus: Path) -> None:
    sources = find_sources([corpus])
    (corpus / "d.txt").write_text("longer than before" * 100)
    with pytest.raises(UserError, match=r"d\.txt is another file on the Ray node \S+: 1,800 bytes instead of"):
        count_sources(small, sources, Plan(on="ray"))
    (corpus / "d.txt").unlink()
    with pytest.raises(UserError, match=r"d\.txt cannot be seen on the Ray node \S+: No such file"):
        count_sources(small, sources, Plan(on="ray"))


@pytest.mark.usefixtures("ray")
def test_another_version_on_a_node(small: Tokenizer, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "version", lambda name: "77.0")
    with pytest.raises(UserError, match=r"the Ray node \S+ has frspec 0\.1\.0, and this machine 77\.0"):
        count(small, corpus)


def test_no_frspec_on_a_node(ray: Any, tmp_path: Path) -> None:
    packages = Path(ray.__file__).parents[1]
    for found in packages.iterdir():
        if "frspec" not in found.name and found.suffix != ".pth":
            (tmp_path / found.name).symlink_to(found)
    task = ray.cloudpickle.dumps(on_ray.made_for(str(tmp_path), {"frspec": "0.1.0"}))
    line = "import sys, pickle; print(pickle.load(sys.stdin.buffer)(b'', b''))"
    bare = [sys.executable, "-S", "-c", line]
    said = subprocess.run(bare, input=task, capture_output=True, env={"PYTHONPATH": str(tmp_path)}, check=True).stdout
    assert b"has no frspec, and this machine 0.1.0; install the same there" in said


class Deadly:
    """A view that kills the process that looks at a certain text, so many times; without a number it waits for ever."""

    facts: Mapping[str, Any] = {}

    def __init__(self, folder: Path, text: str, times: int | None) -> None:
        self.folder, self.text, self.times = folder, text, times

    def __call__(self, document: Document) -> tuple[Piece, ...]:
        if document.text == self.text:
            if self.times is None:
                (self.folder / "reached").touch()
                time.sleep(600)
            elif len(deaths := list(self.folder.glob("death*"))) < self.times:
                (self.folder / f"death{len(deaths)}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return tuple(Piece(text) for text in document.texts())


@pytest.fixture
def deadly(tmp_path: Path) -> Callable[[int | None], Deadly]:
    return lambda times: Deadly(tmp_path, TEXTS[15], times)


@pytest.mark.usefixtures("ray")
def test_a_killed_process(small: Tokenizer, corpus: Path, tmp_path: Path, deadly: Callable[[int], Deadly]) -> None:
    assert counted(count(small, corpus, view=deadly(1)).by_id) == expected(small, TEXTS)
    assert (tmp_path / "death0").exists()


@pytest.mark.usefixtures("ray")
def test_processes_that_are_killed_every_time(
    small: Tokenizer,
    corpus: Path,
    deadly: Callable[[int], Deadly],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(on_ray, "RETRIES", 0)
    with pytest.raises(UserError, match=r"Ray gave up on .+/b\.jsonl\.gz, perhaps for lack of memory on a node: .+"):
        count(small, corpus, view=deadly(1))
    assert capfd.readouterr() == ("", ""), "what Ray says of it is ours to say"


def test_who_stops_early_leaves_nothing_running(
    ray: Any, small: Tokenizer, corpus: Path, tmp_path: Path, deadly: Callable[[None], Deadly]
) -> None:
    sources = find_sources([corpus], Reading(view=deadly(None)))
    todo = [Todo(index, shard, Mark()) for index, shard in enumerate(split(sources))]
    steps = count_on_ray(small, sources.reading, todo, "ray")
    assert next(steps).mark is None
    until((tmp_path / "reached").exists)
    steps.close()  # type: ignore[attr-defined]
    until(lambda: ray.available_resources().get("CPU") == 2)


@pytest.mark.usefixtures("ray")
def test_going_on_after_an_interruption(small: Tokenizer, corpus: Path, tmp_path: Path) -> None:
    plan = Plan(on="ray", journal=tmp_path / "journal")
    seen = list[int]()

    def interrupt(counts: Counts, position: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_sources(small, find_sources([corpus]), plan, interrupt)
    counts = count_sources(small, find_sources([corpus]), plan, lambda counts, *_: seen.append(counts.documents))
    assert 1 <= len(seen) <= 3, "of four shards, those are left that had not been counted"
    assert counted(counts.by_id) == expected(small, TEXTS)


@needed
def test_the_command_alone(small: Tokenizer, corpus: Path, tmp_path: Path) -> None:
    small.backend.save(str(tmp_path / "tokenizer.json"))
    words = ["rank", "--tokenizer", str(tmp_path / "tokenizer.json"), str(corpus), "--workers", "1", "-o"]
    CliRunner().invoke(frspec, [*words, str(tmp_path / "here.ranking")], catch_exceptions=False)
    mark = f"FRSPEC_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    ended = subprocess.run(
        [sys.executable, "-c", "from frspec.cli.main import main; main()", *words, "on-ray.ranking", "--on", "ray"],
        cwd=tmp_path,
        env=os.environ | dict([mark.split("=")]) | ELSEWHERE,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr.count("\n")) == ("", 1), ended.stderr
    there, here = (Ranking.load(tmp_path / f"{name}.ranking") for name in ("on-ray", "here"))
    assert there.ids.tobytes() == here.ids.tobytes()
    assert there.counts is not None
    assert here.counts is not None
    assert there.counts.tobytes() == here.counts.tobytes()
    assert {**there.provenance, "date": "", "command": ""} == {**here.provenance, "date": "", "command": ""}
    until(lambda: not [file for file in Path("/proc").glob("[0-9]*/environ") if mark in _content(file)])


def test_nobody_there(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with (
        pytest.raises(UserError, match=r"no Ray answers at 127\.0\.0\.1:1: Connection refused"),
        joined("ray:127.0.0.1:1", 1),
    ):
        pass


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'frspec\[ray\]'"), joined("ray", 1):
        pass
    assert dict(os.environ) == before


def _content(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""
