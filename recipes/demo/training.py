"""The steps of the demo target's training, resumable at any of them.

Knows: batches, the loss over candidate rows, optimiser, schedule, held-out losses. Does not know: texts, files of the
finished model.
Weights and moments are float32; every product is bfloat16, on the weights as they will be stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from attention import MatrixAttention
from candidates import Candidates, Choice
from compact import Compact
from cross_entropy import cross_entropy, losses
from packed import Packed, filled
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
PARTS = 2
"""Every step's tokens are worked on in so many parts side by side, a thread each, so that threads wait for one another
once a step and not at every product. The result does not depend on the number of cores."""
INIT, DRAWS = 1, 2
"""Keys of the random streams beside the epochs' orders."""
EXAM_TOKENS = 8_000
"""Held-out tokens of each source that are measured during training."""


@dataclass(frozen=True)
class Settings:
    """What a run does; another value is another run, but for ``steps``. ``batch_tokens``, ``seq_len`` in tokens."""

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
        del self.identity["steps"]  # until the rate falls, a longer run is the same run
        self.windows = corpus.windows(settings.seq_len)
        self.workers = ThreadPoolExecutor(PARTS)
        if file.parent.exists():
            clear_leftovers(file.parent)
        if file.exists():
            self.state.load(file, self.identity)

    def run(self) -> Iterator[Progress]:
        """Yield after every step; the state is saved now and then, and at the end."""
        saved = perf_counter()
        for number, parts in enumerate(self._batches(), self.state.step):
            loss, tokens = self._step(number, parts), sum(int(part.real.sum()) for part in parts)
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
                    features, table = self._features(self.state.tensors, everything, packed)
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

    def _batches(self) -> Iterator[list[Packed]]:
        """The parts of each step that is still to do."""
        lengths = [filled(window.stop - window.start) for window in self.windows]
        each = self.settings.batch_tokens // PARTS
        left = islice(batches(lengths, each, self.settings.seed), self.state.step * PARTS, self.settings.steps * PARTS)
        while parts := list(islice(left, PARTS)):
            yield [Packed.of([self.corpus.tokens[self.windows[n]] for n in part], each) for part in parts]

    def _step(self, number: int, parts: list[Packed]) -> float:
        settings, tensors, optimizer = self.settings, self.state.tensors, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, settings.steps, settings.learning_rate, DECAY)
        draws = generator(settings.seed, DRAWS, number)
        parts = [replace(part, inputs=self._with_unknown(part.inputs, draws)) for part in parts]
        choice = self._choice(number, parts, draws)
        leaves = {**tensors, EMBEDDING: tensors[EMBEDDING].detach()[choice.rows].requires_grad_()}
        done = list(self.workers.map(lambda part: self._slopes(leaves, choice, part), parts))
        for name, *slopes in zip(leaves, *(slopes for _, slopes in done), strict=True):
            mean = torch.stack(slopes).mean(0)
            if name == EMBEDDING:
                mean = torch.zeros_like(tensors[name]).index_copy_(0, choice.rows, mean)
            tensors[name].grad = mean
        torch.nn.utils.clip_grad_norm_(tensors.values(), CLIP)
        optimizer.step()
        return sum(loss for loss, _ in done) / len(done)

    def _slopes(self, leaves: Mapping[str, Tensor], choice: Choice, part: Packed) -> tuple[float, Sequence[Tensor]]:
        """The loss of one part, and its gradient in each leaf."""
        features, table = self._features(leaves, choice, part)
        targets, weights = choice.place[part.targets], part.real.to(table.dtype)
        found = cross_entropy(features.detach(), table.detach(), targets, weights, choice.log_counts)
        outer = [found.features, found.table.to(table.dtype)]
        return found.loss, torch.autograd.grad([features, table], list(leaves.values()), outer)

    def _with_unknown(self, inputs: Tensor, draws: torch.Generator) -> Tensor:
        return inputs.masked_fill(torch.rand(len(inputs), generator=draws) < UNKNOWN, self.compact.rows - 1)

    def _choice(self, number: int, parts: list[Packed], draws: torch.Generator) -> Choice:
        if number >= self.settings.steps * (1 - EXACT):
            return self.candidates.everything()
        present = [tokens for part in parts for tokens in (part.inputs, part.targets)]
        return self.candidates.choose(torch.cat(present), draws)

    def _features(self, leaves: Mapping[str, Tensor], choice: Choice, packed: Packed) -> tuple[Tensor, Tensor]:
        """Features [T, H] of the inputs, and the chosen rows of the table [C, H], both with gradients."""
        weights = {name: leaf if leaf.ndim == 1 else leaf.bfloat16() for name, leaf in leaves.items()}
        decoder = decoder_of(self.config, weights)
        angles = decoder.rope(packed.positions)
        attend = MatrixAttention(packed.lengths)
        stream = F.embedding(choice.place[packed.inputs], decoder.embedding)  # quicker than indexing on the way back
        for block in decoder.blocks:
            stream = block(stream, angles, attend)
        return decoder.norm(stream), decoder.embedding


def _sizes(config: ModelConfig) -> dict[str, int]:
    return {"layers": config.num_hidden_layers, "hidden": config.hidden_size, "vocabulary": config.vocab_size}


def _optimizer(tensors: Mapping[str, Tensor]) -> torch.optim.Optimizer:
    """AdamW; matrices decay, norms and the table do not: rows of rare tokens would fade between their occurrences."""
    decayed = [tensor for name, tensor in tensors.items() if tensor.ndim == 2 and name != EMBEDDING]
    kept = [tensor for name, tensor in tensors.items() if tensor.ndim == 1 or name == EMBEDDING]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": kept, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=BETAS, fused=True)
