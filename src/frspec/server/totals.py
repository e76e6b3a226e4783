"""The engine's own counts as metrics, read whenever Prometheus asks.

Knows: vLLM's names of counts and what each means. Does not know: requests, HTTP.
Names and semantics: vllm/v1/metrics/loggers.py and vllm/v1/spec_decode/metrics.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from frspec.engine.service import Service, Snapshot

LABELS = ("model_name", "engine")


class Totals(Collector):
    """``prefixes``: under which names each count goes. labels: the values of ``LABELS``."""

    def __init__(self, service: Service, labels: Sequence[str], prefixes: Sequence[str]) -> None:
        self._service, self._labels, self._prefixes = service, labels, prefixes

    def collect(self) -> Iterator[Metric]:
        """All families, under each prefix."""
        snapshot = self._service.snapshot()
        for prefix in self._prefixes:
            for name, text, value in _gauges(snapshot):
                gauge = GaugeMetricFamily(prefix + name, text, labels=LABELS)
                gauge.add_metric(self._labels, value)
                yield gauge
            for name, text, count in _counters(snapshot):
                counter = CounterMetricFamily(prefix + name, text, labels=LABELS)
                counter.add_metric(self._labels, count)
                yield counter
            yield self._per_position(prefix, snapshot)

    def _per_position(self, prefix: str, snapshot: Snapshot) -> Metric:
        name = prefix + "spec_decode_num_accepted_tokens_per_pos"
        family = CounterMetricFamily(name, "Accepted drafts at each depth, from 0.", labels=(*LABELS, "position"))
        for position, accepted in enumerate(snapshot.stats.accepted_per_position):
            family.add_metric((*self._labels, str(position)), accepted)
        return family


def _gauges(snapshot: Snapshot) -> Iterator[tuple[str, str, float]]:
    yield "num_requests_running", "Completions that have a slot.", snapshot.running
    yield "num_requests_waiting", "Completions that wait for one.", snapshot.waiting
    yield "kv_cache_usage_perc", "Share of the cache's budget that running texts hold; 1 is all.", snapshot.cache_used


def _counters(snapshot: Snapshot) -> Iterator[tuple[str, str, int]]:
    stats = snapshot.stats
    yield "prompt_tokens", "Tokens of prompts.", snapshot.prompt_tokens
    yield "generation_tokens", "Tokens generated.", snapshot.generated_tokens
    yield "prefix_cache_queries", "Prompt tokens looked for among cached texts.", snapshot.prefix_queries
    yield "prefix_cache_hits", "Prompt tokens found there.", snapshot.prefix_hits
    yield "num_preemptions", "Times a running text gave way to another.", snapshot.preemptions
    yield "spec_decode_num_drafts", "Trees verified.", snapshot.num_drafts
    yield "spec_decode_num_draft_tokens", "Tokens drafted.", sum(stats.drafted_per_position)
    yield "spec_decode_num_accepted_tokens", "Drafted tokens accepted.", sum(stats.accepted_per_position)
