"""``/metrics``: what the engine counted and how long requests took, as Prometheus reads it.

Knows: how long what takes by vLLM's names, one server's registry. Does not know: handlers, models.
Names and semantics: vllm/v1/metrics/loggers.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from frspec.engine.service import Service, Stream
from frspec.server.settings import Settings
from frspec.server.totals import LABELS, Totals
from frspec.types import Delta

PLAIN = "text/plain; version=0.0.4; charset=utf-8"
"""Whatever a client accepts: in OpenMetrics the library would write the colons of names as underscores."""
_SHORT = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
          160.0, 640.0, 2560.0)  # fmt: skip
_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
          20.0, 40.0, 80.0)  # fmt: skip
_LONG = (0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
         480.0, 960.0, 1920.0, 7680.0)  # fmt: skip


def add_metrics(app: FastAPI, service: Service, settings: Settings, model_name: str) -> Metrics:
    """Give ``app`` the route ``/metrics``; the result is what handlers tell of each request."""
    metrics = Metrics(service, model_name, ["frspec:", "vllm:"] if settings.vllm_metrics else ["frspec:"])

    async def expose() -> Response:
        return Response(generate_latest(metrics.registry), headers={"Content-Type": PLAIN})

    app.add_api_route("/metrics", expose, methods=["GET"], include_in_schema=False)
    return metrics


class Metrics:
    """One server's metrics; ``prefixes``: under which names each of them goes."""

    def __init__(self, service: Service, model_name: str, prefixes: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self._families = [_Family(self.registry, prefix, (model_name, "0")) for prefix in prefixes]
        self.registry.register(Totals(service, (model_name, "0"), prefixes))

    def watch(self, stream: Stream) -> Watch:
        """A context manager around the reading of ``stream``."""
        return Watch(stream, self._families)


class Watch:
    """One request as its answer goes out: ``saw`` what came of it, and at the end what it took.

    Completions that have not finished at the end count as aborted, those of a stream that failed as errors.
    """

    def __init__(self, stream: Stream, families: Iterable[_Family]) -> None:
        self._stream, self._families = stream, families
        self._last: dict[int, float] = {}
        self._reasons: dict[int, str] = {}

    def saw(self, deltas: Sequence[Delta]) -> None:
        """Count what came just now."""
        now = time.perf_counter()
        for delta in deltas:
            if delta.token_ids:
                before = self._last.get(delta.index)
                if before is not None:
                    for family in self._families:
                        family.inter_token_latency.observe(now - before)
                self._last[delta.index] = now
            if delta.finish_reason is not None:
                self._reasons[delta.index] = delta.finish_reason

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        otherwise = "error" if isinstance(error, Exception) else "abort"
        for family in self._families:
            family.end(self._stream, self._reasons, otherwise)


class _Family:
    """The counters and histograms that requests are put into, under one prefix."""

    def __init__(self, registry: CollectorRegistry, prefix: str, labels: Sequence[str]) -> None:
        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(prefix + name, text, LABELS, registry=registry, buckets=buckets).labels(*labels)

        self.time_to_first_token = histogram(
            "time_to_first_token_seconds", "From a request's arrival to its first token.", _SHORT
        )
        self.inter_token_latency = histogram(
            "inter_token_latency_seconds", "Between two pieces of an answer, of one token or several.", _TOKEN
        )
        self.time_per_output_token = histogram(
            "request_time_per_output_token_seconds", "Time after the first token over the tokens after it.", _TOKEN
        )
        self.e2e_latency = histogram("e2e_request_latency_seconds", "From a request's arrival to its end.", _LONG)
        self.queue_time = histogram("request_queue_time_seconds", "From a request's arrival to its slot.", _LONG)
        self._success = Counter(
            prefix + "request_success", "Completions that ended.", (*LABELS, "finished_reason"), registry=registry
        )
        self._labels = labels
        for reason in ("stop", "length", "abort", "error"):
            self._success.labels(*labels, reason)

    def end(self, stream: Stream, reasons: dict[int, str], otherwise: str) -> None:
        """Put in what is known of a request when it has ended."""
        for index, metrics in enumerate(stream.metrics):
            self._success.labels(*self._labels, reasons.get(index, otherwise)).inc()
            if metrics.time_to_first_token is not None:
                self.time_to_first_token.observe(metrics.time_to_first_token)
            if metrics.emitted and metrics.decode_seconds > 0:
                self.time_per_output_token.observe(metrics.decode_seconds / metrics.emitted)
        self.e2e_latency.observe(max(0.0, time.time() - stream.created))
        if stream.queued_seconds is not None:
            self.queue_time.observe(stream.queued_seconds)
