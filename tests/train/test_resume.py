"""Runs that are killed, interrupted, finished twice or mixed up."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.text.sources import read_documents
from frspec.train.run import Plan, Run

STEPS = 14
PLAN = Plan(steps=STEPS, batch_tokens=256, seq_len=64, held_out=0.1, eval_every=5, prompt_tokens=8)

KILLED = """
import os, signal, sys
import frspec.train.loop as loop, frspec.train.state as state
from frspec.cli.main import main

loop.SAVE_SECONDS, loop.SAVE_SHARE = 0.0, float("inf")  # a save after every step
how, at = sys.argv.pop(1), int(sys.argv.pop(1))
whole_save, whole_write = loop.Trainer.save, state.save_tensors

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def save(trainer):
    if how == "before" and trainer.state.step == at:
        die()
    result = whole_save(trainer)
    if how == "after" and trainer.state.step == at:
        die()
    return result

def write(path, tensors, metadata):
    whole_write(path, tensors, metadata)
    if how == "during" and '"step": %d,' % at in metadata["frspec"]:
        os.truncate(path, os.path.getsize(path) // 2)
        die()

loop.Trainer.save, state.save_tensors = save, write
main()
"""


def command(tiny: Path, corpus: Path, output: Path) -> list[str]:
    return [
        "train", str(tiny), "--data", str(corpus), "-o", str(output), "--steps", str(STEPS), "--batch-tokens", "256",
        "--seq-len", "64", "--held-out", "0.1", "--eval-every", "5", "--prompt-tokens", "8", "--device", "cpu",
    ]  # fmt: skip


def run_killed(how: str, at: int, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FORCE_COLOR": "", "TERM": "dumb"}
    return subprocess.run(
        [sys.executable, "-c", KILLED, how, str(at), *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_killed_runs_end_with_the_same_head(tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    """SIGKILL between a step and its save, and in the middle of a write; then the file is as if nothing happened."""
    whole = run_killed("never", 0, command(tiny, corpus_file, tmp_path / "whole"), tmp_path)
    assert whole.returncode == 0, whole.stderr
    arguments = command(tiny, corpus_file, tmp_path / "killed")
    for how, at in (("before", 4), ("during", 9)):
        assert run_killed(how, at, arguments, tmp_path).returncode == -signal.SIGKILL
        assert not (tmp_path / "killed").exists()
    last = run_killed("never", 0, arguments, tmp_path)
    assert last.returncode == 0, last.stderr
    assert "going on after step 8" in last.stderr
    one, other = (tmp_path / name / "model.safetensors" for name in ("whole", "killed"))
    assert one.read_bytes() == other.read_bytes()
    histories = [json.loads((tmp_path / name / "frspec.json").read_text())["history"] for name in ("whole", "killed")]
    assert histories[0] == histories[1]
    assert [entry["step"] for entry in histories[0]] == [5, 10, 14]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


def make(llm: LLM, corpus: Path, output: Path, plan: Plan = PLAN) -> Run:
    return Run(llm, "tiny", lambda: read_documents(corpus), output, plan, lambda *_: None)


def stop_after(steps: int, run: Run) -> None:
    trainer = run.prepare(False)
    for _ in islice(run.train(trainer), steps):
        pass
    trainer.save()


@pytest.mark.parametrize("workers", [1, 3])
def test_stopping_in_process_is_the_same_as_not(workers: int, llm: LLM, corpus_file: Path, tmp_path: Path) -> None:
    plan = replace(PLAN, workers=workers)
    for name, stops in (("whole", []), ("stopped", [1, 5])):
        for steps in stops:
            stop_after(steps, make(llm, corpus_file, tmp_path / name, plan))
        run = make(llm, corpus_file, tmp_path / name, plan)
        seen = [progress.step for progress in run.train(run.prepare(False))]
        assert seen == list(range(sum(stops) + 1, STEPS + 1))
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"learning_rate": 0.5}, "learning_rate was .* and is now 0.5"),
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"steps": 99}, "steps was 14 and is now 99"),
        ({"held_out": 0.2}, "held_out"),
        ({"noise": 0.0}, "noise"),
        ({"workers": 2}, "workers was 1 and is now 2"),
    ],
)
def test_another_setting_is_refused(
    change: dict[str, float], named: str, llm: LLM, corpus_file: Path, tmp_path: Path
) -> None:
    stop_after(1, make(llm, corpus_file, tmp_path / "head"))
    changed = replace(PLAN, **change)
    with pytest.raises(UserError, match=named):
        make(llm, corpus_file, tmp_path / "head", changed).prepare(False)


def test_another_corpus_or_model_is_refused(llm: LLM, tiny: Path, corpus_file: Path, tmp_path: Path) -> None:
    stop_after(1, make(llm, corpus_file, tmp_path / "head"))
    other = tmp_path / "other.jsonl"
    other.write_text(corpus_file.read_text().replace("frog", "toad"))
    with pytest.raises(UserError, match="corpus was"):
        make(llm, other, tmp_path / "head").prepare(False)
    folder = tmp_path / "retrained"
    shutil.copytree(tiny, folder)
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"] *= 1.5
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="model has changed"):
        make(LLM(folder, device="cpu"), corpus_file, tmp_path / "head").prepare(False)


def test_a_damaged_state_is_named(llm: LLM, corpus_file: Path, tmp_path: Path) -> None:
    stop_after(1, make(llm, corpus_file, tmp_path / "head"))
    file = tmp_path / "head.training" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"state\.safetensors cannot be read .* delete it"):
        make(llm, corpus_file, tmp_path / "head").prepare(False)


def test_a_finished_head_is_not_overwritten(llm: LLM, corpus_file: Path, tmp_path: Path) -> None:
    (tmp_path / "head").mkdir()
    with pytest.raises(UserError, match="already there"):
        make(llm, corpus_file, tmp_path / "head")


def test_a_kill_between_writing_the_head_and_cleaning_up_is_harmless(
    llm: LLM, corpus_file: Path, tmp_path: Path
) -> None:
    run = make(llm, corpus_file, tmp_path / "head")
    trainer = run.prepare(False)
    for _ in trainer.run():
        pass
    shutil.copytree(tmp_path / "head.training", tmp_path / "left")
    run.write(trainer)
    before = (tmp_path / "head" / "model.safetensors").read_bytes()
    shutil.copytree(tmp_path / "left", tmp_path / "head.training")
    again = make(llm, corpus_file, tmp_path / "head")
    assert list(again.train(again.prepare(False))) == []
    assert (tmp_path / "head" / "model.safetensors").read_bytes() == before
    assert not (tmp_path / "head.training").exists()
