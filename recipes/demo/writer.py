"""Many texts at once in a model's own words: every pass gives each of some hundred texts one more token.

Knows: a decoder, which tokens of a text are given and where it writes. Does not know: conversations, files.
``LLM`` goes through a batch text by text, which is quick for a few; this is several times quicker for hundreds of
short ones. Rows of the LM head that are equal are scored once and chosen between by lot, so the distribution is that
of the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor

from frspec.models import Decoder
from frspec.models.layers.linear import Linear

GRAIN = 64
"""Cache columns are attended to in multiples of this; every new shape makes oneDNN prepare new kernels."""


@dataclass
class Draft:
    """A text in the making: before each answer come the ids of ``given``; answers end with a stop token.

    ``ids`` are all tokens so far and ``answers`` the finished ones, stop tokens left out. ``limit``: tokens in all.
    """

    given: list[list[int]]
    limit: int
    ids: list[int] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    begun: int = 0

    def __post_init__(self) -> None:
        self.ids += self.given[0]
        self.begun = len(self.ids)

    def add(self, token: int, stops: frozenset[int]) -> bool:
        """Take in what the model wrote; whether there is more to write."""
        self.ids.append(token)
        if token in stops:
            self.answers.append(self.ids[self.begun : -1])
            if len(self.answers) == len(self.given):
                return False
            self.ids += self.given[len(self.answers)]
            self.begun = len(self.ids)
        return len(self.ids) < self.limit


class Picker:
    """Samples from the softmax of a head [V, H], or takes the best at ``temperature`` 0."""

    def __init__(self, head: Tensor, temperature: float, draws: torch.Generator) -> None:
        rows, row_of, counts = torch.unique(head, dim=0, return_inverse=True, return_counts=True)
        self.project, self.temperature, self.draws = Linear(rows), temperature, draws
        self.log_counts, self.counts = counts.float().log(), counts
        self.ids, self.first = row_of.argsort(stable=True), counts.cumsum(0) - counts

    def pick(self, features: Tensor) -> Tensor:
        """An id for each of ``features`` [R, H]; int64 [R]."""
        scores = self.project(features)
        if self.temperature == 0:
            return self.ids[self.first[scores.argmax(-1)]]
        chances = torch.softmax(scores.float().div_(self.temperature).add_(self.log_counts), -1).cumsum_(-1)
        height = torch.rand((len(scores), 1), generator=self.draws) * chances[:, -1:]
        row = torch.searchsorted(chances, height, right=True).squeeze(1).clamp_(max=len(self.counts) - 1)
        lot = (torch.rand(len(row), generator=self.draws) * self.counts[row]).long()
        return self.ids[self.first[row] + lot]


class Slots:
    """Caches of ``count`` texts of up to ``length`` tokens, and attention of one new row in each of the first few."""

    def __init__(self, target: Decoder, count: int, length: int) -> None:
        config = target.config
        shape = (config.num_hidden_layers, count, config.num_key_value_heads, -(-length // GRAIN) * GRAIN)
        self.keys, self.values = torch.zeros((2, *shape, config.head_dim), dtype=target.dtype)
        self.places, self.bias = torch.empty(0), torch.empty(0)

    def at(self, places: Tensor) -> Slots:
        """For the pass whose row b stands at ``places[b]`` of text b."""
        columns = (int(places.max()) // GRAIN + 1) * GRAIN
        hidden = torch.arange(columns) > places[:, None]
        self.places = places
        self.bias = torch.zeros(hidden.shape, dtype=self.keys.dtype).masked_fill_(hidden, -torch.inf)[:, None]
        return self

    def move(self, source: int, target: int) -> None:
        """Text ``source`` goes on as text ``target``."""
        self.keys[:, target], self.values[:, target] = self.keys[:, source], self.values[:, source]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What ``Attend`` asks for: one matrix product per key head and text, for the query heads that share it."""
        (count, heads, width), columns = q.shape, self.bias.shape[-1]
        grouped = q.view(count, k.shape[1], -1, width)
        keys, values = self.keys[layer, :count], self.values[layer, :count]
        rows = torch.arange(count)
        keys[rows, :, self.places], values[rows, :, self.places] = k, v
        mixed = []
        for head in range(k.shape[1]):
            seen = keys[:, head, :columns].transpose(1, 2)
            scores = torch.baddbmm(self.bias, grouped[:, head], seen, alpha=width**-0.5)
            mixed.append(torch.bmm(scores.softmax(-1), values[:, head, :columns]))
        return torch.stack(mixed, 1).view(count, heads * width)


@torch.inference_mode()
def write(
    target: Decoder, picker: Picker, drafts: Iterable[Draft], stops: frozenset[int], most: int, length: int
) -> Iterator[Draft]:
    """Every draft when it is done, with up to ``most`` of them under way; no limit may be above ``length``."""
    waiting = iter(drafts)
    slots = list(islice(waiting, most))
    caches, places = Slots(target, len(slots), length), [0] * len(slots)
    while slots:
        inputs = torch.tensor([draft.ids[place] for draft, place in zip(slots, places, strict=True)])
        features = target.run(inputs, positions := torch.tensor(places), caches.at(positions))
        places = [place + 1 for place in places]
        asking = [slot for slot, draft in enumerate(slots) if places[slot] == len(draft.ids)]
        picked = picker.pick(features[asking]).tolist() if asking else []
        for slot, token in reversed(list(zip(asking, picked, strict=True))):
            if slots[slot].add(token, stops):
                continue
            yield slots[slot]
            following = next(waiting, None)
            if following is not None:
                slots[slot], places[slot] = following, 0
                continue
            slots[slot], places[slot] = slots[-1], places[-1]  # nothing left to begin: the last one takes its place
            caches.move(len(slots) - 1, slot)
            del slots[-1], places[-1]
