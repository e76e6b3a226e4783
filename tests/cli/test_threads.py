"""--threads: what PyTorch then uses, and what is refused."""

import logging
import os

import pytest
import torch
from click.testing import CliRunner

from frspec import shipped
from frspec.cli import threads
from frspec.cli.generate import generate
from frspec.errors import UserError

WORDS = ["Hello", "--draft", "none", "--max-tokens", "1", "--model", shipped.NAME]


@pytest.fixture(autouse=True)
def _as_it_was() -> None:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_pytorch_uses_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "cores", lambda: 3)
    for wanted in (3, 1):
        done = CliRunner().invoke(generate, [*WORDS, "--threads", str(wanted)], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        assert torch.get_num_threads() == wanted


def test_more_than_the_cores_are_refused_before_anything_is_loaded() -> None:
    words = ["Hello", "--model", "no-such-model", "--threads", "4096"]
    with pytest.raises(UserError, match=f"--threads 4096 is more than the {threads.cores()} cores"):
        CliRunner().invoke(generate, words, catch_exceptions=False)
    assert CliRunner().invoke(generate, [*WORDS, "--threads", "0"]).exit_code == 2


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot take cores away")
def test_only_cores_that_may_be_used_count() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert threads.cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(("said", "lines"), [("4096", 1), ("4096,2", 1), ("1", 0), ("", 0), ("many", 0)])
def test_an_environment_that_asks_for_too_many_is_pointed_out(
    said: str, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    with caplog.at_level(logging.WARNING, "frspec"), pytest.raises(UserError):
        CliRunner().invoke(generate, ["Hello", "--model", "./no-such-model"], catch_exceptions=False)
    assert len(caplog.messages) == lines
    assert all(f"OMP_NUM_THREADS is 4096, but there are {threads.cores()} cores" in line for line in caplog.messages)
