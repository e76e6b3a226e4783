"""``/metrics``, read by prometheus_client's parser and held against what a real engine was asked for and gave."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families as read

from frspec import LLM, SamplingParams
from frspec.engine.service import Service
from frspec.server.metrics import Metrics, add_metrics
from frspec.server.settings import Settings
from frspec.types import RequestMetrics
from tests.shipped.conftest import write_target

NAME = {"model_name": "tiny", "engine": "0"}


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> LLM:
    folder = write_target(tmp_path_factory.mktemp("models") / "tiny", 32, 0)
    return LLM(folder, draft="ngram", num_speculative_tokens=4, enable_prefix_caching=True)


class Served:
    """An app with nothing but metrics, and requests that go past HTTP."""

    def __init__(self, service: Service, vllm: bool) -> None:
        self.app, self.service = FastAPI(), service
        self.metrics: Metrics = add_metrics(self.app, service, Settings(vllm_metrics=vllm), "tiny")
        self.prefixes = ["frspec:", "vllm:"] if vllm else ["frspec:"]
        self.done: list[RequestMetrics] = []

    def samples(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample by its name and what its labels say beyond ``NAME``."""
        answer = TestClient(self.app).get("/metrics")
        assert answer.headers["content-type"].startswith("text/plain")
        found = {}
        for family in read(answer.text):
            for sample in family.samples:
                assert {name: sample.labels[name] for name in NAME} == NAME
                labels = frozenset((k, v) for k, v in sample.labels.items() if k not in NAME)
                assert (sample.name, labels) not in found
                found[sample.name, labels] = sample.value
        return found

    def value(self, name: str, **labels: str) -> float:
        return self.samples()[name, frozenset(labels.items())]

    def labelled(self, prefix: str, name: str, **labels: str) -> float:
        return self.value(prefix + name, **labels)

    async def request(self, prompt: list[int], leave: bool = False, **params: Any) -> int:
        """One request as a handler reads it; returns how many pieces came."""
        pieces = 0
        async with await self.service.submit(prompt, SamplingParams(**params)) as stream:
            with self.metrics.watch(stream) as watch:
                async for deltas in stream:
                    watch.saw(deltas)
                    pieces += sum(bool(delta.token_ids) for delta in deltas)
                    if leave:
                        break
            self.done += stream.metrics
        return pieces


@pytest.fixture(params=[False, True], ids=["frspec", "vllm"])
def served(llm: LLM, request: pytest.FixtureRequest) -> Iterator[Served]:
    service = Service(llm.with_draft("ngram"))
    service.start()
    yield Served(service, request.param)
    service.close()


def test_counts_are_those_of_what_was_generated(served: Served) -> None:
    async def work() -> list[int]:
        first = await served.request([5, 6, 7, 5, 6, 7, 5, 6], max_tokens=30, temperature=0, ignore_eos=True)
        second = served.request([5, 6, 7, 5, 6, 7, 5, 6, 9], max_tokens=20, n=2, temperature=0, ignore_eos=True)
        return [first, await second]

    pieces = asyncio.run(work())
    drafted = sum(sum(m.drafted_per_position) for m in served.done)
    accepted = [sum(column) for column in zip(*(m.accepted_per_position + [0] * 9 for m in served.done), strict=False)]
    assert drafted > 0, "the test needs drafts"
    for prefix in served.prefixes:
        value = partial(served.labelled, prefix)
        assert value("generation_tokens_total") == 30 + 2 * 20
        assert value("prompt_tokens_total") == 8 + 2 * 9
        assert value("spec_decode_num_draft_tokens_total") == drafted
        assert value("spec_decode_num_accepted_tokens_total") == sum(accepted)
        assert value("spec_decode_num_drafts_total") <= sum(m.target_passes for m in served.done)
        for position, count in enumerate(accepted):
            if count:
                assert value("spec_decode_num_accepted_tokens_per_pos_total", position=str(position)) == count
        assert 0 < value("prefix_cache_hits_total") <= value("prefix_cache_queries_total")
        assert value("request_success_total", finished_reason="length") == 3
        assert value("request_success_total", finished_reason="stop") == 0
        times = {"time_to_first_token": 3, "e2e_request_latency": 2, "request_queue_time": 2,
                 "request_time_per_output_token": 3, "inter_token_latency": sum(pieces) - 3}  # fmt: skip
        for name, count in times.items():
            assert value(f"{name}_seconds_count") == count, name
            assert value(f"{name}_seconds_bucket", le="+Inf") == count
        mean = sum(m.decode_seconds / m.emitted for m in served.done)
        assert value("request_time_per_output_token_seconds_sum") == pytest.approx(mean)
        waited = sum(m.time_to_first_token or 0 for m in served.done)
        assert value("time_to_first_token_seconds_sum") == pytest.approx(waited)
        assert (value("num_requests_running"), value("num_requests_waiting")) == (0, 0)


def test_the_switch_adds_vllms_prefix_to_every_name(served: Served) -> None:
    names = {name for name, _ in served.samples() if not name.endswith("_created")}
    own = {name.removeprefix("frspec:") for name in names if name.startswith("frspec:")}
    other = {name.removeprefix("vllm:") for name in names if name.startswith("vllm:")}
    assert other == (own if "vllm:" in served.prefixes else set())
    assert len(own) > 15


def test_the_document_lists_them_all(served: Served) -> None:
    document = (Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    listed = set(re.findall(r"`frspec:(\w+)`", document))
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name, _ in served.samples()}
    exposed = {name.removeprefix("frspec:") for name in families if name.startswith("frspec:")}
    exposed |= {"spec_decode_num_accepted_tokens_per_pos_total"}  # has samples only where something was accepted
    assert listed == {name for name in exposed if name + "_total" not in exposed}


def test_those_who_leave_are_counted_as_such(served: Served) -> None:
    asyncio.run(served.request([5, 6], leave=True, max_tokens=200, ignore_eos=True))
    assert served.value("frspec:request_success_total", finished_reason="abort") == 1

    async def fail() -> None:
        async with await served.service.submit([5, 6], SamplingParams(max_tokens=200, ignore_eos=True)) as stream:
            with served.metrics.watch(stream):
                raise RuntimeError("the handler's")

    with pytest.raises(RuntimeError):
        asyncio.run(fail())
    assert served.value("frspec:request_success_total", finished_reason="error") == 1


def test_two_servers_in_one_process_count_apart(llm: LLM) -> None:
    services = [Service(llm.with_draft("ngram")) for _ in range(2)]
    one, other = (Served(service, False) for service in services)
    services[0].start()
    asyncio.run(one.request([5, 6], max_tokens=3, ignore_eos=True))
    services[0].close()
    assert one.value("frspec:request_success_total", finished_reason="length") == 1
    assert other.value("frspec:request_success_total", finished_reason="length") == 0


@pytest.mark.parametrize(
    "accept",
    ["application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3"],
    ids=["prometheus-2", "prometheus-3"],
)  # fmt: skip
def test_names_are_the_same_for_every_prometheus(served: Served, accept: str) -> None:
    answer = TestClient(served.app).get("/metrics", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/plain")
    assert "\nfrspec:spec_decode_num_drafts_total{" in answer.text


def test_labels_survive_names_that_need_quoting(llm: LLM) -> None:
    app, strange = FastAPI(), 'a "model"\\ of mine'
    add_metrics(app, Service(llm), Settings(), strange)
    families = read(TestClient(app).get("/metrics").text)
    assert {sample.labels["model_name"] for family in families for sample in family.samples} == {strange}
