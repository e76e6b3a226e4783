"""Laps add up by name; on a GPU without anybody waiting for it."""

import time
from itertools import count

import pytest
import torch

from frspec import clock
from frspec.clock import Clock


def test_laps_add_up_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = count()
    monkeypatch.setattr(clock, "perf_counter", lambda: next(ticks))
    watch = Clock()  # 0
    watch.lap("a")  # 1
    watch.lap("b")  # 2
    watch.start()  # 3: forgets one second
    watch.lap("a")  # 4
    assert watch.seconds == {"a": 2, "b": 1}
    assert watch.seconds == {"a": 2, "b": 1}


class Event:
    """CUDA's, as its documentation has it: a time in milliseconds that is known once somebody waited."""

    now, waited = 0.0, 0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing

    def record(self, stream: str) -> None:
        assert stream == "stream of cuda:1"
        Event.now += 1000.0
        self.time = Event.now

    def synchronize(self) -> None:
        Event.waited += 1

    def elapsed_time(self, end: "Event") -> float:
        assert Event.waited
        return end.time - self.time


def test_a_gpu_is_not_waited_for_until_seconds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(clock, "PENDING", 8)
    watch = Clock(torch.device("cuda:1"))
    watch.lap("a")
    watch.start()
    watch.lap("b")
    watch.lap("a")
    assert Event.waited == 0
    assert watch.seconds == {"a": 2, "b": 1}
    for _ in range(100):
        watch.lap("c")
    assert Event.waited == 1 + 100 // 7
    assert watch.seconds == {"a": 2, "b": 1, "c": 100}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_laps_of_a_gpu_are_the_time_of_its_kernels() -> None:
    matrix = torch.randn(4096, 4096, device="cuda")
    watch = Clock("cuda")
    torch.cuda.synchronize()
    started = time.perf_counter()
    watch.start()
    for _ in range(20):
        matrix @ matrix
    watch.lap("products")
    assert 0 < watch.seconds["products"] <= time.perf_counter() - started
