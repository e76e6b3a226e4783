"""What each part of a model's step costs, beside the rate at which memory is read at that moment.

Knows: a decoder's parts, how many bytes each must read. Does not know: terminals, where the decoder comes from.
A sample calls a part once for every layer, as a step does, so that matrices come from where they would come from in
a step: from memory, unless all of them fit into the caches. Before it the memory probe runs, which says how fast the
memory is just then, and one call that is not timed, for the program's own caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from frspec.bench.bandwidth import read_rate
from frspec.models.decoder import Decoder
from frspec.models.layers.prefixes import prefixes
from frspec.models.layers.rope import rotate
from frspec.models.layers.split import one_thread
from frspec.models.segments import CachedAttention, Segment
from frspec.speculation.sampler import Sampler
from frspec.speculation.search import argmax
from frspec.types import SamplingParams

SAMPLES = 9
SLICES = (2, 4, 8, 16)
"""Parts of the vocabulary that a draft head may search: a half, a quarter, ..."""
STEP_CONTEXT = 128
"""Rows of text before the rows of a whole step."""
MOST_AT_ONCE = 64 << 20
"""Bytes that the calls of a sample read at least, where a part belongs to no layer."""
Call = Callable[[], object]
Sweeps = Mapping[int, Sequence[Call]]
"""By number of rows, calls that follow each other."""


@dataclass(frozen=True)
class Cost:
    """What ``rows`` rows cost at ``part``.

    bytes: what must be read once whatever the rows; 0 where that is not what limits it. seconds, memory: medians of the
    samples and of the memory's rates in GB/s beside them. relative: the median over rounds of what these rows took to
    what the fewest took in the same round.
    """

    part: str
    rows: int
    bytes: int
    seconds: float
    memory: float
    relative: float

    @property
    def rate(self) -> float:
        """GB/s of what must be read."""
        return self.bytes / self.seconds / 1e9

    def as_json(self) -> dict[str, Any]:
        """Its fields, the rate, and what share of the memory's that is."""
        return asdict(self) | {"rate": self.rate, "share": self.rate / self.memory}


def measure(decoder: Decoder, rows: Sequence[int], contexts: Sequence[int]) -> Iterator[list[Cost]]:
    """Each part of a step of ``decoder`` with every number of ``rows``, then the whole step, part by part.

    contexts: rows of text before those that attention is measured with.
    """
    timer = _Timer(decoder)
    with torch.inference_mode():
        for name, products, weights in _products(decoder):
            inputs = {count: _inputs(decoder, count, weights // products[0].rows) for count in rows}
            sweeps: Sweeps = {count: [_bind(product, x) for product in products] for count, x in inputs.items()}
            yield timer.costs(name, weights * decoder.precision.matrices.itemsize, sweeps)
        for context in contexts:
            yield timer.costs(f"attention, {context:,} before", *_attention(decoder, context, rows))
        for name, sweeps in _small_parts(decoder, rows):
            yield timer.costs(name, 0, sweeps)
        for name, call in _picks(decoder.config.vocab_size):
            yield timer.costs(name, 4 * decoder.config.vocab_size, {1: [call]})
        yield timer.costs("whole step", *_step(decoder, rows))


class _Timer:
    """Samples calls one after the other in rounds, so that each number of rows sees the same moods of the machine."""

    def __init__(self, decoder: Decoder) -> None:
        self.alone = decoder.precision.light

    def costs(self, part: str, size: int, sweeps: Sweeps) -> list[Cost]:
        rounds = [{rows: self._sample(calls) for rows, calls in sweeps.items()} for _ in range(SAMPLES)]
        fewest = min(sweeps)
        return [
            Cost(
                part,
                rows,
                size,
                seconds=median(sample[rows][0] for sample in rounds),
                memory=median(sample[rows][1] for sample in rounds),
                relative=median(sample[rows][0] / sample[fewest][0] for sample in rounds),
            )
            for rows in sweeps
        ]

    def _sample(self, calls: Sequence[Call]) -> tuple[float, float]:
        """Seconds a call, and the memory's rate."""
        memory = read_rate(1)
        with one_thread(self.alone):
            calls[-1]()
            start = time.perf_counter()
            for call in calls:
                call()
            return (time.perf_counter() - start) / len(calls), memory


def _products(decoder: Decoder) -> Iterator[tuple[str, Sequence[Any], int]]:
    """Name, products and weights of each: the matrices of all layers, the head, and slices of it."""
    config, blocks = decoder.config, decoder.blocks
    size, hidden, light = config.vocab_size, config.hidden_size, decoder.precision.light
    queries = config.num_attention_heads * config.head_dim
    for name, products, inputs in (
        ("queries, keys, values", [block.attention.qkv for block in blocks], hidden),
        ("attention output", [block.attention.output for block in blocks], queries),
        ("gate and up", [block.mlp.gate_up for block in blocks], hidden),
        ("down", [block.mlp.down for block in blocks], config.intermediate_size),
    ):
        yield f"{name} {products[0].rows:,} × {inputs:,}", products, products[0].rows * inputs
    yield f"head {size:,} × {hidden:,}", [decoder.project], size * hidden
    sizes = sorted(size // part for part in SLICES)
    slices = prefixes(decoder.precision.hold(decoder.head[: sizes[-1]]), sizes, light)
    for part, count in zip(SLICES, reversed(sizes), strict=True):
        again = max(1, MOST_AT_ONCE // (count * hidden * decoder.precision.matrices.itemsize))
        yield f"head / {part}", [slices[count]] * again, count * hidden


def _attention(decoder: Decoder, context: int, rows: Sequence[int]) -> tuple[int, Sweeps]:
    """One layer's bytes, and the calls of all layers."""
    config, kind = decoder.config, decoder.precision.activations
    heads, kv_heads, width = config.num_attention_heads, config.num_key_value_heads, config.head_dim
    cache = decoder.new_cache(context + max(rows))
    cache.length = context
    sweeps = dict[int, Sequence[Call]]()
    for count in rows:
        attend = CachedAttention([Segment(cache, count)], kind, decoder.device)
        q, k, v = (torch.randn(count, n, width).to(kind) for n in (heads, kv_heads, kv_heads))
        sweeps[count] = [_bind(attend, layer, q, k, v) for layer in range(config.num_hidden_layers)]
    return 2 * context * kv_heads * width * kind.itemsize, sweeps


def _small_parts(decoder: Decoder, rows: Sequence[int]) -> Iterator[tuple[str, Sweeps]]:
    """What a layer does between its products, each as often as there are layers."""
    config, norm = decoder.config, decoder.blocks[0].mlp_norm
    layers, heads = config.num_hidden_layers, config.num_attention_heads + config.num_key_value_heads
    streams = {count: _inputs(decoder, count, config.hidden_size) for count in rows}
    yield "norm", {count: [_bind(norm, x)] * layers for count, x in streams.items()}
    angles = {count: decoder.rope(torch.arange(count)) for count in rows}
    turned = {count: _inputs(decoder, count, heads * config.head_dim).view(count, heads, -1) for count in rows}
    yield "rotation", {count: [_bind(rotate, turned[count], angles[count])] * layers for count in rows}
    inner = {count: _inputs(decoder, count, 2 * config.intermediate_size) for count in rows}
    yield "silu(gate) · up", {count: [_bind(_gated, *inner[count].chunk(2, -1))] * layers for count in rows}


def _gated(gate: Tensor, up: Tensor) -> Tensor:
    return F.silu(gate) * up


def _picks(vocab_size: int) -> Iterator[tuple[str, Call]]:
    logits = torch.randn(vocab_size, generator=torch.Generator().manual_seed(0))
    for name, temperature in (("best of all tokens", 0.0), ("sampled from all tokens", 1.0)):
        yield name, _bind(Sampler(SamplingParams(temperature=temperature), 0, [0]).pick, logits)


def _step(decoder: Decoder, rows: Sequence[int]) -> tuple[int, Sweeps]:
    """A pass over so many drafted rows behind a short text: bytes of all matrices and of the text's keys and values."""
    config, device = decoder.config, decoder.device
    cache = decoder.new_cache(STEP_CONTEXT + max(rows))
    cache.length = STEP_CONTEXT

    def step(count: int) -> None:
        positions = torch.arange(STEP_CONTEXT, STEP_CONTEXT + count, device=device)
        features = decoder.forward(positions % config.vocab_size, positions, [Segment(cache, count)])
        for scores in decoder.logits(features):
            argmax(scores)
        cache.truncate(STEP_CONTEXT)

    weights = sum(size for name, _, size in _products(decoder) if not name.startswith("head"))
    weights = weights * config.num_hidden_layers + config.vocab_size * config.hidden_size
    kept = 2 * STEP_CONTEXT * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    precision = decoder.precision
    size = weights * precision.matrices.itemsize + kept * precision.activations.itemsize
    return size, {count: [_bind(step, count)] for count in rows}


def _inputs(decoder: Decoder, count: int, width: int) -> Tensor:
    return torch.randn(count, width).to(decoder.precision.activations)


def _bind(function: Callable[..., object], *arguments: Any) -> Call:
    return lambda: function(*arguments)
