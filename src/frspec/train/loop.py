"""The steps of a run, from wherever it stands to its end.

Knows: optimiser, schedule, when to save and to measure. Does not know: where tokens come from, terminals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models import Decoder, WholeAttention, new_head
from frspec.train.acceptance import TOKENS, Acceptance, measure
from frspec.train.corpus import Corpus, batches, generator
from frspec.train.loss import Loss
from frspec.train.schedule import learning_rate
from frspec.train.state import State, clear_leftovers
from frspec.train.step import Batch, filled, gradients

BETAS, CLIP = (0.9, 0.95), 0.5
SAVE_SECONDS = 15.0
SAVE_SHARE = 0.05
"""A save comes when this many seconds have passed and saving has taken no more than this share of them."""
NOISE, INIT = 1, 2
"""Keys of the random streams beside the epochs' orders."""


@dataclass(frozen=True)
class Settings:
    """What a run does; a change of any of it is another run. Lengths in tokens, ``noise`` in feature units.

    Every step's tokens are worked on in ``workers`` parts side by side, a thread each.
    """

    steps: int
    batch_tokens: int
    workers: int
    seq_len: int
    learning_rate: float
    noise: float
    seed: int
    eval_every: int

    def __post_init__(self) -> None:
        if self.seq_len > self.batch_tokens // self.workers:
            shared = f" shared by {self.workers} workers" if self.workers > 1 else ""
            raise UserError(f"seq_len {self.seq_len} is above batch_tokens {self.batch_tokens}{shared}; lower it")

    @property
    def part(self) -> int:
        """Rows of one worker's part of a step, filling included."""
        return filled(self.batch_tokens // self.workers)


def rows_of(windows: Sequence[slice]) -> list[int]:
    """How many rows of a batch each window takes."""
    return [filled(window.stop - window.start) for window in windows]


@dataclass(frozen=True)
class Progress:
    """One step done. ``tokens`` trained on so far, over all epochs; ``acceptance`` the latest measured."""

    step: int
    tokens: int
    loss: Loss
    acceptance: Acceptance | None


class Trainer:
    """Trains one head for ``llm``'s target; ``file`` keeps the state between processes.

    ``rows`` [V', H]: the part of the LM head that the token loss is over. ``prompts``: what acceptance is measured on,
    none to leave it out. ``saved``: the step a new process would go on after. An interrupt may strike inside a step,
    so it never causes a save.
    """

    def __init__(
        self,
        llm: LLM,
        corpus: Corpus,
        rows: Tensor,
        prompts: list[list[int]],
        settings: Settings,
        file: Path,
        facts: dict[str, Any],
    ) -> None:
        self.llm, self.corpus, self.rows, self.prompts = llm, corpus, rows, prompts
        self.settings, self.file = settings, file
        self.target: Decoder = llm.engine.target
        self.config, tensors = new_head(self.target, generator(settings.seed, INIT))
        for tensor in tensors.values():
            tensor.requires_grad_()
        optimizer = torch.optim.AdamW(tensors.values(), betas=BETAS)
        self.state = State(tensors, optimizer)
        self.identity = {**asdict(settings), **facts, "corpus": corpus.digest(), "model": probe(self.target)}
        self.windows = corpus.windows(settings.seq_len)
        self.map: Any = ThreadPoolExecutor(settings.workers).map if settings.workers > 1 else map
        if file.parent.exists():
            clear_leftovers(file.parent)
        if file.exists():
            self.state.load(file, self.identity)
        self.saved = self.state.step

    def run(self) -> Iterator[Progress]:
        """Yield after every step. Whatever stops the caller, the next run goes on from the last save."""
        saved, cost = perf_counter(), 0.0
        acceptance = None
        for number, parts in enumerate(self._batches(), self.state.step):
            loss = self._step(number, parts)
            self.state.step, self.state.tokens = number + 1, self.state.tokens + sum(part.used for part in parts)
            if self.state.step % self.settings.eval_every == 0 or self.state.step == self.settings.steps:
                acceptance = self._note(loss)
            yield Progress(self.state.step, self.state.tokens, loss, acceptance)
            waited = perf_counter() - saved
            if waited >= SAVE_SECONDS and cost <= SAVE_SHARE * waited:
                saved, cost = self.save()
        self.save()

    def save(self) -> tuple[float, float]:
        """Write the state; returns when that ended and how many seconds it took."""
        started = perf_counter()
        self.state.save(self.file, self.identity)
        self.saved = self.state.step
        ended = perf_counter()
        return ended, ended - started

    def _batches(self) -> Iterator[list[Batch]]:
        """The parts of each step that is still to do."""
        settings = self.settings
        order = batches(rows_of(self.windows), settings.part, settings.seed)
        left = islice(order, self.state.step * settings.workers, settings.steps * settings.workers)
        while parts := list(islice(left, settings.workers)):
            yield [Batch.of(self.corpus, [self.windows[n] for n in part], settings.part) for part in parts]

    def _step(self, number: int, parts: list[Batch]) -> Loss:
        settings, optimizer = self.settings, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, settings.steps, settings.learning_rate)
        pairs = sum(int(part.counted.sum()) for part in parts)
        draws = generator(settings.seed, NOISE, number)
        noises = [self._noise(draws) for _ in parts]

        def work(part: Batch, noise: Tensor | None) -> tuple[Loss, Sequence[Tensor]]:
            return gradients(self.target, self.config, self.state.tensors, self.rows, part, pairs, noise)

        losses, slopes = zip(*self.map(work, parts, noises), strict=True)
        for tensor, *shares in zip(self.state.tensors.values(), *slopes, strict=True):
            tensor.grad = torch.stack(shares).sum(0) if len(shares) > 1 else shares[0]
        torch.nn.utils.clip_grad_norm_(self.state.tensors.values(), CLIP)
        optimizer.step()
        return sum(losses, Loss(0.0, 0.0))

    def _noise(self, draws: torch.Generator) -> Tensor | None:
        """Uniform, up to ``settings.noise`` to either side; always drawn on the CPU, so that devices agree."""
        if self.settings.noise == 0:
            return None
        noise = torch.rand((self.settings.part, self.target.config.hidden_size), generator=draws)
        return noise.mul_(2).sub_(1).mul_(self.settings.noise)

    def _note(self, loss: Loss) -> Acceptance | None:
        acceptance = measure(self.llm, self.config, self.state.tensors, self.prompts) if self.prompts else None
        self.state.history.append(
            {
                "step": self.state.step,
                "tokens": self.state.tokens,
                "feature_loss": loss.feature,
                "token_loss": loss.token,
                "acceptance": acceptance.facts() if acceptance else None,
            }
        )
        return acceptance


def held_out_prompts(corpus: Corpus, prompt_tokens: int, limit: int, context: int) -> list[list[int]]:
    """Up to ``limit`` beginnings: of a text ``prompt_tokens`` tokens, of a conversation all before the first answer."""
    prompts = []
    for number in range(len(corpus)):
        start, end = corpus.starts[number : number + 2].tolist()
        first = int(corpus.counted[start:end].int().argmax()) or prompt_tokens
        if 0 < first < end - start and first + TOKENS < context:
            prompts.append(corpus.document(number)[:first])
        if len(prompts) == limit:
            break
    return prompts


def probe(target: Decoder) -> list[float]:
    """A few features of fixed tokens: any change of weights or mathematics shows in them."""
    ids = torch.arange(16, device=target.device) % target.config.vocab_size
    with torch.inference_mode():
        features = target.run(ids, torch.arange(16, device=target.device), WholeAttention([16]))
    values: list[float] = features[-1, :16].float().tolist()
    return [round(value, 4) for value in values]
