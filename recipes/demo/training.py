"""The steps of the demo target's training, resumable at any of them.

Knows: batches, the loss over candidate rows, optimiser, schedule, held-out losses. Does not know: texts, files of the
finished model.
Weights and moments are float32; every product is bfloat16, on the weights as they will be stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from attention import GRAIN, MatrixAttention
from candidates import Candidates, Choice
from compact import Compact
from cross_entropy import cross_entropy, losses
from target import decoder_of, first_tensors
from torch import Tensor

from frspec.models import ModelConfig
from frspec.models.checkpoint import EMBEDDING
from frspec.train.corpus import Corpus, batches, generator
from frspec.train.schedule import learning_rate
from frspec.train.state import State, clear_leftovers

BETAS, WEIGHT_DECAY, CLIP = (0.9, 0.95), 0.1, 1.0
DECAY, EXACT = 0.2, 0.04
"""Shares of all steps at the end: in which the rate falls, and in which the softmax is over every row."""
UNKNOWN = 0.003
"""Share of input tokens shown as the shared row, so that an id never seen means "some word" and no more."""
SAVE_SECONDS = 120.0
INIT, DRAWS = 1, 2
"""Keys of the random streams beside the epochs' orders."""
EXAM_TOKENS = 8_000
"""Held-out tokens of each source that are measured during training."""


@dataclass(frozen=True)
class Settings:
    """What a run does; another value is another run. ``batch_tokens`` and ``seq_len`` in tokens."""

    steps: int
    batch_tokens: int
    seq_len: int
    learning_rate: float
    seed: int
    exams: int


@dataclass(frozen=True)
class Exam:
    """Held-out loss in nats a token by source, and the probability on never-seen ids, averaged over tokens."""

    losses: dict[str, float]
    unseen: float


@dataclass(frozen=True)
class Progress:
    """One step done; ``exam`` only after the steps that have one."""

    step: int
    tokens: int
    loss: float
    exam: Exam | None


class Training:
    """Trains ``config``'s weights on ``corpus``; ``held_out`` by source. Both hold table rows of ``compact``.

    ``file`` keeps the state; a new process goes on from there to the same result.
    """

    def __init__(
        self,
        config: ModelConfig,
        compact: Compact,
        corpus: Corpus,
        held_out: Mapping[str, Corpus],
        settings: Settings,
        file: Path,
    ) -> None:
        self.config, self.compact, self.corpus, self.held_out = config, compact, corpus, held_out
        self.settings, self.file = settings, file
        tensors = first_tensors(config, compact.rows, generator(settings.seed, INIT))
        for tensor in tensors.values():
            tensor.requires_grad_()
        self.candidates = Candidates(corpus.tokens.bincount(minlength=compact.rows), compact.log_counts())
        self.state = State(tensors, _optimizer(tensors))
        self.identity: dict[str, Any] = {**asdict(settings), "corpus": corpus.digest(), **_sizes(config)}
        self.windows = corpus.windows(settings.seq_len)
        if file.parent.exists():
            clear_leftovers(file.parent)
        if file.exists():
            self.state.load(file, self.identity)

    def run(self) -> Iterator[Progress]:
        """Yield after every step; the state is saved now and then, and at the end."""
        saved = perf_counter()
        for number, packed in enumerate(self._batches(), self.state.step):
            loss, tokens = self._step(number, packed), int(packed.real.sum())
            self.state.step, self.state.tokens = number + 1, self.state.tokens + tokens
            yield Progress(self.state.step, self.state.tokens, loss, self._exam_if_due(loss))
            if perf_counter() - saved >= SAVE_SECONDS:
                self.state.save(self.file, self.identity)
                saved = perf_counter()
        self.state.save(self.file, self.identity)

    def exam(self, most: int | None = None) -> Exam:
        """Held-out losses over up to ``most`` tokens of each source, with the weights as they will be stored."""
        everything = self.candidates.everything()
        found, unseen, count = dict[str, float](), 0.0, 0
        for source, corpus in self.held_out.items():
            total, number = 0.0, 0
            for window in corpus.windows(self.settings.seq_len):
                packed = Packed.of([corpus.tokens[window]], filled(window.stop - window.start))
                with torch.no_grad():
                    features, table = self._features(everything, packed)
                real = packed.real
                loss, shares = losses(features[real], table, packed.targets[real], everything.log_counts)
                total, number = total + loss.sum().item(), number + len(loss)
                unseen, count = unseen + shares.sum().item(), count + len(loss)
                if most is not None and number >= most:
                    break
            found[source] = round(total / number, 4)
        return Exam(found, unseen / count)

    def _exam_if_due(self, loss: float) -> Exam | None:
        steps, exams = self.settings.steps, self.settings.exams
        if self.state.step * exams // steps == (self.state.step - 1) * exams // steps:
            return None
        exam = self.exam(EXAM_TOKENS)
        self.state.history.append({"step": self.state.step, "tokens": self.state.tokens, "loss": loss, **asdict(exam)})
        return exam

    def _batches(self) -> Iterator[Packed]:
        lengths = [filled(window.stop - window.start) for window in self.windows]
        order = batches(lengths, self.settings.batch_tokens, self.settings.seed)
        for numbers in islice(order, self.state.step, self.settings.steps):
            yield Packed.of(
                [self.corpus.tokens[self.windows[number]] for number in numbers], self.settings.batch_tokens
            )

    def _step(self, number: int, packed: Packed) -> float:
        settings, optimizer = self.settings, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, settings.steps, settings.learning_rate, DECAY)
        draws = generator(settings.seed, DRAWS, number)
        packed = replace(packed, inputs=self._with_unknown(packed.inputs, draws))
        choice = self._choice(number, packed, draws)
        features, table = self._features(choice, packed)
        targets, weights = choice.place[packed.targets], packed.real.to(table.dtype)
        slopes = cross_entropy(features.detach(), table.detach(), targets, weights, choice.log_counts)
        torch.autograd.backward([features, table], [slopes.features, slopes.table.to(table.dtype)])
        torch.nn.utils.clip_grad_norm_(self.state.tensors.values(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return slopes.loss

    def _with_unknown(self, inputs: Tensor, draws: torch.Generator) -> Tensor:
        return inputs.masked_fill(torch.rand(len(inputs), generator=draws) < UNKNOWN, self.compact.rows - 1)

    def _choice(self, number: int, packed: Packed, draws: torch.Generator) -> Choice:
        if number >= self.settings.steps * (1 - EXACT):
            return self.candidates.everything()
        return self.candidates.choose(torch.cat((packed.inputs, packed.targets)), draws)

    def _features(self, choice: Choice, packed: Packed) -> tuple[Tensor, Tensor]:
        """Features [T, H] of the inputs, and the chosen rows of the table [C, H], which gradients reach."""
        weights = {
            name: tensor if tensor.ndim == 1 else tensor.bfloat16()
            for name, tensor in self.state.tensors.items()
            if name != EMBEDDING
        }
        table = self.state.tensors[EMBEDDING][choice.rows].bfloat16()
        decoder = decoder_of(self.config, weights | {EMBEDDING: table})
        angles = decoder.rope(packed.positions)
        attend = MatrixAttention(packed.lengths)
        stream = F.embedding(choice.place[packed.inputs], table)  # quicker than indexing on the way back
        for block in decoder.blocks:
            stream = block(stream, angles, attend)
        return decoder.norm(stream), table


@dataclass(frozen=True)
class Packed:
    """Windows as inputs and what follows each: ``inputs``, ``targets`` and ``positions`` [T] int64, ``real`` [T] bool.

    Each window is filled up to a multiple of ``GRAIN``, which ``lengths`` says; the rest of T is filling too.
    """

    inputs: Tensor
    targets: Tensor
    positions: Tensor
    real: Tensor
    lengths: list[int]

    @staticmethod
    def of(windows: Sequence[Tensor], total: int) -> Packed:
        """``total``: T, at least the sum of the lengths."""
        inputs, targets, positions = torch.zeros((3, total), dtype=torch.int64)
        real = torch.zeros(total, dtype=torch.bool)
        lengths, start = [filled(len(window)) for window in windows], 0
        for window, length in zip(windows, lengths, strict=True):
            part = slice(start, start + len(window) - 1)
            inputs[part], targets[part] = window[:-1], window[1:]
            positions[start : start + length] = torch.arange(length)
            real[part] = True
            start += length
        return Packed(inputs, targets, positions, real, lengths)


def filled(tokens: int) -> int:
    """Rows that a window of so many tokens takes."""
    return -(-(tokens - 1) // GRAIN) * GRAIN


def _sizes(config: ModelConfig) -> dict[str, int]:
    return {"layers": config.num_hidden_layers, "hidden": config.hidden_size, "vocabulary": config.vocab_size}


def _optimizer(tensors: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """AdamW; matrices decay, norms and the table do not: rows of rare tokens would fade between their occurrences."""
    decayed = [tensor for name, tensor in tensors.items() if tensor.ndim == 2 and name != EMBEDDING]
    kept = [tensor for name, tensor in tensors.items() if tensor.ndim == 1 or name == EMBEDDING]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=BETAS, fused=True)
