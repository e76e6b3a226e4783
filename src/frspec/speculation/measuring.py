"""Measures what the parts of a round cost: the controller's table.

Knows: which parts there are, how to run each with made-up tokens. Does not know: files, what the table is used for.
A part that takes long is run twice, a quick one some more times, and the least counts: what comes on top is other
programs'. Draft heads are measured at every third size; what lies between is on a line. Of a model with many layers a
few are run, large enough together not to stay in the processor's cache.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil
from time import perf_counter

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.models.decoder import Decoder
from frspec.models.layers.split import one_thread
from frspec.models.segments import Segment
from frspec.speculation.costs import Costs, Points, between
from frspec.speculation.drafters.base import Adaptive, Drafter, DraftState
from frspec.speculation.noise import position_key, rough_gumbel, token_bits
from frspec.speculation.plan import Plan, TreeShape
from frspec.speculation.sampler import Sampler
from frspec.types import SamplingParams

CONTEXT = 64
"""Tokens of text that passes are measured after; longer ones cost plain and drafted rounds alike."""
ROWS = (1, 2, 5, 9, 17, 33)
LEVELS = 2
"""Depth of the drafts that are measured: a root's children, and one level below them."""
WIDE = 8
"""Width of the trees that are measured."""
ENOUGH_BYTES = 1 << 28
PATIENCE, MOST = 0.02, 7
"""Seconds that a quick part is repeated for, and times at most."""


def measure(target: Decoder, drafter: Drafter) -> Costs:
    """The costs of ``target`` and of ``drafter``, if it is ``Adaptive`` and has a head, on their device."""
    with torch.inference_mode(), one_thread(target.precision.light):
        text = _text(target.config.vocab_size, drafter)
        points, features, scores = _target(target, text)
        greedy, noisy = (_least(partial(_pick, temperature, scores)) for temperature in (0.0, 1.0))
        if not isinstance(drafter, Adaptive) or not drafter.sizes:
            return Costs(points, greedy, noisy)
        return _Drafts(target, drafter, text, features).costs(points, greedy, noisy)


def _text(vocab_size: int, drafter: Drafter) -> Tensor:
    """[CONTEXT]: made-up tokens that ``drafter`` knows too: the target's vocabulary may be padded further."""
    known = torch.arange(vocab_size)
    if isinstance(drafter, Adaptive) and drafter.sizes:
        levels = torch.tensor(list(drafter.row_levels(vocab_size)))
        known = known[levels < len(drafter.sizes)]
    return known[torch.randint(len(known), (CONTEXT,), generator=torch.Generator().manual_seed(0))]


def _pick(temperature: float, scores: Tensor) -> None:
    Sampler(SamplingParams(temperature=temperature, seed=0), 0, [0]).pick(scores)


def _noise(ids: Tensor) -> None:
    rough_gumbel(token_bits(position_key(0, 0), ids))


def _least(run: Callable[[], object], device: torch.device | None = None) -> float:
    """Seconds of the quickest run; the first one, which may have to fetch and compile, counts where it is long."""
    times = list[float]()
    while len(times) < 2 or (len(times) < MOST and sum(times) < PATIENCE):
        _wait(device)
        started = perf_counter()
        run()
        _wait(device)
        times.append(perf_counter() - started)
    return min(times)


def _wait(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def _target(target: Decoder, text: Tensor) -> tuple[Points, Tensor, Tensor]:
    """Costs of a pass; the text's features [CONTEXT, H] and the scores [V] of its last token."""
    layers = target.config.num_hidden_layers
    few = min(layers, ceil(ENOUGH_BYTES / (target.config.layer_weights * target.precision.matrices.itemsize)))
    if 2 * few >= layers:
        return _passes(target, layers, text)
    (less, _, _), (more, features, scores) = (_passes(target, count, text) for count in (few, 2 * few))
    rest = (layers - 2 * few) / few
    points = tuple((rows, b + rest * max(0.0, b - a)) for (rows, a), (_, b) in zip(less, more, strict=True))
    return points, features, scores


def _passes(target: Decoder, layers: int, text: Tensor) -> tuple[Points, Tensor, Tensor]:
    """``_target`` with the first ``layers`` alone."""
    part = copy.copy(target)
    part.blocks = target.blocks[:layers]
    cache, device = part.new_cache(CONTEXT + max(ROWS)), part.device
    features = part.forward(text.to(device), torch.arange(CONTEXT, device=device), [Segment(cache, CONTEXT)])
    cache.commit(CONTEXT)
    scores = part.logits(features[-1:])

    def run(rows: int) -> None:
        positions = torch.arange(CONTEXT, CONTEXT + rows, device=device)
        part.logits(part.forward(text[:rows].to(device), positions, [Segment(cache, rows)]))
        cache.commit(0)

    return tuple((rows, _least(partial(run, rows), device)) for rows in ROWS), features, scores[0]


@dataclass
class _Drafts:
    """Runs whole drafts and reads their clocks."""

    target: Decoder
    drafter: Adaptive
    text: Tensor
    features: Tensor

    def costs(self, points: Points, greedy: float, noisy: float) -> Costs:
        """The table, from the target's part of it."""
        sizes, widest = self.drafter.sizes, min(WIDE, self.drafter.widest)
        measured = sorted({*sizes[:1], *sizes[2:-2:3], *sizes[-2:]})
        layers, wide_layers, trees = list[float](), list[float](), list[float]()
        ones, wides = list[tuple[int, float]](), list[tuple[int, float]]()
        for size in measured:
            chain, width = self._laps(Plan(TreeShape(LEVELS, LEVELS, 1), size)), min(widest, size)
            layers.append(chain["draft layer"] / LEVELS)
            ones.append((size, chain["draft head"] / LEVELS))
            tree = self._laps(Plan(TreeShape(width, LEVELS, width), size)) if width > 1 else chain
            wide_layers.append(tree["draft layer"] - layers[-1])
            wides.append((size, max(ones[-1][1], tree["draft head"] - ones[-1][1])))
            trees.append(tree["draft tree"])
        one, wide = min(layers), max(min(layers), min(wide_layers))
        heads = {size: ((1, between(tuple(ones), size)), (WIDE, between(tuple(wides), size))) for size in sizes}
        noise = {size: _least(partial(_noise, self._ids(size)), self.target.device) for size in sizes}
        return Costs(points, greedy, noisy, ((1, one), (WIDE, wide)), heads, noise, min(trees))

    def _ids(self, size: int) -> Tensor:
        return torch.arange(size, dtype=torch.int32, device=self.target.device)

    def _laps(self, plan: Plan) -> dict[str, float]:
        """Seconds of one draft by name, the quickest of a few, after two tokens that the drafter has yet to read."""
        state = DraftState(self.text.tolist(), 0, 0.0, room=LEVELS + 1)
        clock = Clock(self.target.device)
        self.drafter.observe(state, state.tokens[1:], self.features[:-1], clock)
        self.drafter.propose([state], clock, plan)
        found = list[dict[str, float]]()
        while len(found) < 2 or (len(found) < MOST and sum(sum(laps.values()) for laps in found) < PATIENCE):
            new = state.tokens[1:3]
            state.tokens.extend(new)
            self.drafter.observe(state, new, self.features[:2], clock)
            before = clock.seconds
            clock.start()
            self.drafter.propose([state], clock, plan)
            found.append({name: value - before.get(name, 0.0) for name, value in clock.seconds.items()})
        return min(found, key=lambda laps: sum(laps.values()))
