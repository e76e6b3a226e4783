"""The loop: draft, verify, commit, for all running requests in one target pass.

Knows: the life of requests in a batch. Does not know: text, HTTP, how any token is drafted.
Plain decoding is the same loop with trees of one node, and so is reading a prompt: a chunk of it is a chain
of which every node is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter
from typing import cast

import torch
from torch import Tensor

from frspec.clock import Clock
from frspec.engine.accepting import Accepting
from frspec.engine.request import Request
from frspec.engine.scheduler import Scheduler
from frspec.engine.share import Share
from frspec.engine.synthetic import SyntheticAcceptance
from frspec.models.decoder import Decoder
from frspec.models.layers.split import one_thread
from frspec.speculation.controller import Controller
from frspec.speculation.drafters.base import Adaptive, Drafter
from frspec.speculation.experience import Verdict
from frspec.speculation.guidance import LARGEST_TREE
from frspec.speculation.plan import Plan
from frspec.types import StepStats, TokenTree

log = logging.getLogger("frspec")
BESIDE = 64
"""Tokens of one prompt that a CPU reads in one pass while it writes other texts: enough for matrix products to be as
quick as they get, and few enough for those texts to go on. Of many prompts it reads as many each: with 64 in all, 16
clients with prompts of 100 tokens and short answers waited 247 ms for their first token instead of 99."""


class Engine:
    """Runs requests to their end.

    drafter: None decodes plainly. max_num_seqs: requests in one batch. prefill_chunk: prompt tokens in one pass;
    prefill_beside: as many of each prompt while other texts are being written. kept_prefixes: finished texts whose
    caches are kept for requests that begin alike. cache_bytes: the budget of all caches, None for no limit. controller:
    decides round by round what an ``Adaptive`` drafter drafts, if anything; None leaves it to the drafter. synthetic:
    acceptance that is drawn instead of earned, for timing alone.
    """

    def __init__(
        self,
        target: Decoder,
        drafter: Drafter | None = None,
        max_num_seqs: int = 16,
        prefill_chunk: int = 512,
        kept_prefixes: int = 0,
        controller: Controller | None = None,
        synthetic: SyntheticAcceptance | None = None,
        cache_bytes: int | None = None,
        prefill_beside: int | None = None,
    ) -> None:
        self.target, self.controller = target, controller
        beside = prefill_beside or (prefill_chunk if target.device.type != "cpu" else min(prefill_chunk, BESIDE))
        self.scheduler = Scheduler(target, max_num_seqs, cache_bytes, kept_prefixes, prefill_chunk, beside)
        self.drafter = drafter
        self._plan: Plan | None = None
        self.stats, self.clock = StepStats(), Clock(target.device)
        self._accepting = Accepting(self.stats, self.scheduler.counts, synthetic)

    def without_drafter(self) -> Engine:
        """Another engine for the same target, with the same limits, that decodes plainly so far."""
        own = self.scheduler
        return Engine(
            self.target, None, own.max_num_seqs, own.chunk, own.prefixes.most,
            cache_bytes=own.budget, prefill_beside=own.beside,
        )  # fmt: skip

    @property
    def drafter(self) -> Drafter | None:
        """What drafts."""
        return self.scheduler.drafter

    @drafter.setter
    def drafter(self, drafter: Drafter | None) -> None:
        self.scheduler.drafter = drafter

    @property
    def synthetic(self) -> SyntheticAcceptance | None:
        """Acceptance that is drawn instead of earned."""
        return self._accepting.synthetic

    @synthetic.setter
    def synthetic(self, drawn: SyntheticAcceptance | None) -> None:
        self._accepting.synthetic = drawn

    @property
    def running(self) -> list[Request]:
        """The requests that have a slot."""
        return self.scheduler.running

    @property
    def _most_drafted(self) -> int:
        """Nodes that a tree may have, what grammars force among them."""
        forced = LARGEST_TREE if any(request.sampler.guide is not None for request in self.running) else 0
        if self.drafter is None:
            return forced
        return max(forced, (self.controller or self.drafter).max_nodes)

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.scheduler.running or self.scheduler.waiting)

    def add(self, request: Request) -> None:
        """Queue a request."""
        self.scheduler.waiting.add(request)

    def abort(self, request: Request) -> None:
        """Take a request out, wherever it stands."""
        request.end("abort")
        self.scheduler.waiting.remove(request)
        self.scheduler.retire()

    def step(self) -> None:
        """One pass of the target for everything that runs; requests hold what came of it."""
        with torch.inference_mode(), one_thread(self.target.precision.light):
            self._step()

    def _step(self) -> None:
        started = perf_counter()
        self.clock.start()
        self.scheduler.admit()
        self.scheduler.make_room(1 + self._most_drafted)
        try:
            reading = self._read_prompts()
            begun = perf_counter()
            shares = reading + self._draft(sum(len(share.tree) for share in reading))
            self._accepting.draft_seconds = perf_counter() - begun
            verdicts = self._pass(shares)
        except BaseException:  # Ctrl-C: a half-done step must not go on as if it were whole
            for request in self.running:
                request.end("abort")
            self.scheduler.retire()
            raise
        self.scheduler.retire()
        alone = len(verdicts) == len(shares)  # nobody read a prompt meanwhile
        self._learn(verdicts, perf_counter() - started if alone else None)
        self.clock.lap("sampling")

    def _pass(self, shares: Sequence[Share]) -> list[Verdict]:
        """One pass of the target and what it says; where it breaks, one for each request, to see whose fault it is."""
        if not shares:
            return []
        begun = perf_counter()
        try:
            features, logits = self._forward(shares)
        except Exception as error:
            if len(shares) > 1:
                log.warning("a pass failed (%s: %s); each of its texts goes on alone", type(error).__name__, error)
                return [verdict for share in shares for verdict in self._pass([share])]
            shares[0].request.fail(error)
            return []
        self._accepting.verify_seconds = perf_counter() - begun
        return self._accepting.accept(shares, features, logits, self._observe)

    def _learn(self, verdicts: Sequence[Verdict], seconds: float | None) -> None:
        """Let the controller see what came of the round, if anybody is still drafted for."""
        if self.controller is None or all(verdict.state.failed for verdict in verdicts):
            return
        try:
            self.controller.learn(verdicts, self._plan, seconds)
        except Exception as error:
            self._stop_drafting([request for request in self.running if not request.draft.failed], error)
            self.controller.forget()

    def _read_prompts(self) -> list[Share]:
        shares = []
        for request, count in self.scheduler.chunks():
            assert request.cache is not None
            start = request.cache.length
            shares.append(Share(request, TokenTree.chain(request.tokens[start : start + count]), reading=True))
        return shares

    def _draft(self, beside: int) -> list[Share]:
        """A tree for every request past its prompt; only its root where a draft could not be used. beside: rows of
        prompts in the same pass."""
        ready = [request for request in self.running if request.unread == 0]
        for request in ready:
            request.draft.room = request.left - 1
        trees = {id(request): TokenTree.chain(request.tokens[-1:]) for request in ready}
        roomy = [request for request in ready if request.draft.room > 0 and not request.draft.failed]
        self._plan = None
        self.clock.lap("other")
        if self.drafter is not None and roomy:
            try:
                trees |= self._propose(self.drafter, roomy, beside)
            except Exception as error:
                self._stop_drafting(roomy, error)
        for request in ready:
            if request.sampler.guide is not None:
                try:
                    trees[id(request)] = request.sampler.guide.fit(trees[id(request)], request.draft.room)
                except Exception as error:
                    request.fail(error)
        return [Share(request, trees[id(request)], reading=False) for request in ready if not request.finished]

    def _propose(self, drafter: Drafter, requests: Sequence[Request], beside: int) -> dict[int, TokenTree]:
        """Checked trees by request: a wrong guess costs nothing, but a tree that is none would cost the text."""
        states = [request.draft for request in requests]
        vocabulary, most = self.target.config.vocab_size, drafter.max_nodes
        if self.controller is None:
            drafted = drafter.propose(states, self.clock)
        else:
            self._plan = self.controller.plan(states, beside)
            if self._plan is None:
                return {}
            most = self._plan.shape.nodes
            drafted = cast(Adaptive, drafter).propose(states, self.clock, self._plan)
        for request, tree in zip(requests, drafted, strict=True):
            tree.check(request.tokens[-1], vocabulary, request.draft.room, most)
        return {id(request): tree for request, tree in zip(requests, drafted, strict=True)}

    def _stop_drafting(self, requests: Sequence[Request], error: Exception) -> None:
        """A draft is only a guess at what the target will say: these texts go on without the drafter."""
        log.warning("the drafter failed (%s: %s); going on without it", type(error).__name__, error)
        log.debug("where the drafter failed", exc_info=error)
        self.stats.draft_failures += 1
        for request in requests:
            request.metrics.draft_failures += 1
            request.draft.failed, request.draft.memory = True, None

    def _forward(self, shares: Sequence[Share]) -> tuple[Tensor, Tensor]:
        """Features [T, H] of all rows; logits [W, V] float32 of the wanted ones."""
        wanted, start = list[int](), 0
        for share in shares:
            share.rows = slice(start, start + len(share.tree))
            wanted += [start + row for row in share.wanted]
            start = share.rows.stop
        device = self.target.device
        tokens = torch.cat([share.tree.tokens for share in shares]).to(device)
        positions = torch.cat([share.positions for share in shares]).to(device)
        features = self.target.forward(tokens, positions, [share.segment(device) for share in shares])
        logits = self.target.logits(features if len(wanted) == start else features[wanted])
        self.clock.lap("verify")
        return features, logits

    def _observe(self, request: Request, tokens: Sequence[int], features: Tensor) -> None:
        if self.drafter is not None and not (request.finished or request.draft.failed):
            self.clock.lap("sampling")
            request.draft.awaited = self.controller is None or self.controller.drafts
            try:
                self.drafter.observe(request.draft, tokens, features, self.clock)
            except Exception as error:
                self._stop_drafting([request], error)
