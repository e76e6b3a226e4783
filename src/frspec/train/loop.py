"""The steps of a run, from wherever it stands to its end.

Knows: optimiser, schedule, when to save and to measure. Does not know: where tokens come from, terminals.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.models import Decoder, WholeAttention, new_head
from frspec.train.acceptance import TOKENS, Acceptance, measure
from frspec.train.corpus import Corpus, batches, generator
from frspec.train.loss import Loss
from frspec.train.schedule import learning_rate
from frspec.train.state import State, clear_leftovers
from frspec.train.step import Batch, backward

BETAS, CLIP = (0.9, 0.95), 0.5
SAVE_SECONDS = 15.0
SAVE_SHARE = 0.05
"""A save comes when this many seconds have passed and saving has taken no more than this share of them."""
NOISE, INIT = 1, 2
"""Keys of the random streams beside the epochs' orders."""


@dataclass(frozen=True)
class Settings:
    """What a run does; a change of any of it is another run. Lengths in tokens, ``noise`` in feature units."""

    steps: int
    batch_tokens: int
    seq_len: int
    learning_rate: float
    noise: float
    seed: int
    eval_every: int

    def __post_init__(self) -> None:
        if self.seq_len > self.batch_tokens:
            raise UserError(f"seq_len {self.seq_len} is above batch_tokens {self.batch_tokens}; lower it")


@dataclass(frozen=True)
class Progress:
    """One step done. ``tokens`` trained on so far, over all epochs; ``acceptance`` the latest measured."""

    step: int
    tokens: int
    loss: Loss
    acceptance: Acceptance | None


class Trainer:
    """Trains one head for ``llm``'s target; ``file`` keeps the state between processes.

    ``prompts``: what acceptance is measured on, none to leave it out. ``saved``: the step a new process would go on
    after. An interrupt may strike inside a step, so it never causes a save.
    """

    def __init__(
        self, llm: LLM, corpus: Corpus, prompts: list[list[int]], settings: Settings, file: Path, facts: dict[str, Any]
    ) -> None:
        self.llm, self.corpus, self.prompts, self.settings, self.file = llm, corpus, prompts, settings, file
        self.target: Decoder = llm.engine.target
        self.config, tensors = new_head(self.target, generator(settings.seed, INIT))
        for tensor in tensors.values():
            tensor.requires_grad_()
        optimizer = torch.optim.AdamW(tensors.values(), betas=BETAS)
        self.state = State(tensors, optimizer)
        self.identity = {**asdict(settings), **facts, "corpus": corpus.digest(), "model": probe(self.target)}
        self.windows = corpus.windows(settings.seq_len)
        if file.parent.exists():
            clear_leftovers(file.parent)
        if file.exists():
            self.state.load(file, self.identity)
        self.saved = self.state.step

    def run(self) -> Iterator[Progress]:
        """Yield after every step. Whatever stops the caller, the next run goes on from the last save."""
        saved, cost = perf_counter(), 0.0
        acceptance = None
        for number, batch in enumerate(self._batches(), self.state.step):
            loss = self._step(number, batch)
            self.state.step, self.state.tokens = number + 1, self.state.tokens + len(batch.tokens)
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

    def _batches(self) -> Iterator[Batch]:
        lengths = [window.stop - window.start for window in self.windows]
        order = batches(lengths, self.settings.batch_tokens, self.settings.seed)
        for numbers in islice(order, self.state.step, self.settings.steps):
            chosen = [self.windows[number] for number in numbers]
            tokens = torch.cat([self.corpus.tokens[window] for window in chosen]).long()
            counted = torch.cat([self.corpus.counted[window] for window in chosen])
            yield Batch(tokens, counted, [lengths[number] for number in numbers])

    def _step(self, number: int, batch: Batch) -> Loss:
        settings, optimizer = self.settings, self.state.optimizer
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, settings.steps, settings.learning_rate)
        draws = generator(settings.seed, NOISE, number)
        loss = backward(self.target, self.config, self.state.tensors, batch, settings.noise, draws)
        torch.nn.utils.clip_grad_norm_(self.state.tensors.values(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return loss

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
