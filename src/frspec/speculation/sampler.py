"""From the target's logits to the target's own next token, for one request.

Knows: ``SamplingParams``, the request's history. Does not know: drafts, trees, other requests.
The token is ``argmax_v(processed logit(v) + G(seed, position, v))``, the Gumbel-max form of sampling from the
processed softmax (Gumbel 1954; Maddison et al., "A* sampling", 2014), and the plain argmax at temperature 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from frspec.errors import UserError
from frspec.speculation.guidance import Guide
from frspec.speculation.noise import position_key, token_bits
from frspec.speculation.search import argmax, noisy_argmax
from frspec.types import Logprob, SamplingParams

_TOP_P_START = 1024
"""How many of the largest logits top-p looks at first; it never sorts the whole vocabulary."""
MOST = 0.25
"""If more than this share of all ids is allowed, the pick among all is tried first."""


class Sampler:
    """Picks one request's tokens; ``observe`` keeps its history.

    params: the request's; seed: a 64-bit integer; prompt_ids: what penalties and bad words look back on;
    stop_ids: tokens that ``min_tokens`` holds back; bad_word_ids: token sequences that must not be completed;
    guide: what the text's form allows, at its start.
    """

    def __init__(
        self,
        params: SamplingParams,
        seed: int,
        prompt_ids: Sequence[int],
        stop_ids: Sequence[int] = (),
        bad_word_ids: Sequence[Sequence[int]] = (),
        guide: Guide | None = None,
    ) -> None:
        self.params, self.seed, self.guide = params, seed, guide
        self._stop_ids, self._bad_word_ids = list(stop_ids), bad_word_ids
        self._history, self._prompt_length = list(prompt_ids), len(prompt_ids)
        self._bias, self._allowed = params.logit_bias or {}, params.allowed_token_ids
        self._penalised = (params.repetition_penalty, params.presence_penalty, params.frequency_penalty) != (1, 0, 0)
        self._counts: Tensor | None = None
        self._seen: Tensor | None = None

    @property
    def plain(self) -> bool:
        """Whether the pick is simply the argmax of the raw logits."""
        return self.params.greedy and not self._reshaped and self.guide is None

    @property
    def _reshaped(self) -> bool:
        return bool(self._bias or self._allowed or self._bad_word_ids or self._penalised or self._waiting)

    @property
    def _waiting(self) -> bool:
        return len(self._history) - self._prompt_length < self.params.min_tokens

    @property
    def _filtered(self) -> bool:
        """Whether ids lose their chance for the sake of others."""
        return self.params.min_p > 0 or self.params.top_k > 0 or self.params.top_p < 1

    def observe(self, token: int) -> None:
        """Add an emitted token to the history."""
        self._history.append(token)
        if self.guide is not None:
            self.guide.observe(token)
        if self._counts is not None and self._seen is not None:
            self._counts[token] += 1
            self._seen[token] = True

    def pick(self, logits: Tensor) -> int:
        """The target's token after the history: logits [V] float32 (left as they are) -> a token id.

        Raises:
            UserError: when the request's own restrictions leave no token.
        """
        if self._reshaped:
            logits = self._reshape(logits.clone())
            _check_left(logits, "bad_words, allowed_token_ids and min_tokens")
        return self._best(logits, None) if self.guide is None else self._guided(self.guide, logits)

    def _guided(self, guide: Guide, logits: Tensor) -> int:
        """The pick among what the text's form allows. No reshaping brings back what has no chance, so the order is as
        good as vLLM's, which begins with this."""
        allowed = guide.allowed()
        if not self._filtered and np.count_nonzero(allowed) > len(allowed) * MOST:
            best = self._best(logits, None)
            if allowed[best]:  # the best of all is the best of any part that holds it
                return best
        ids = torch.from_numpy(np.flatnonzero(allowed)).to(logits.device)
        left = logits[ids]
        _check_left(left, "structured_outputs, bad_words, allowed_token_ids and min_tokens")
        return int(ids[self._best(left, ids)])

    def _best(self, logits: Tensor, ids: Tensor | None) -> int:
        """The place of the pick in logits [A] of ``ids`` [A], ascending; None: of all ids."""
        return argmax(logits) if self.params.greedy else self._draw(logits / self.params.temperature, ids)

    def _draw(self, scaled: Tensor, ids: Tensor | None) -> int:
        """The place of the largest of scaled logits [A] and their noise, among those that the filters leave."""
        numbers = _every_id(len(scaled), scaled.device) if ids is None else ids.int()
        key = position_key(self.seed, len(self._history))
        places = self.candidates(scaled)
        if places is None:
            return noisy_argmax(scaled, token_bits(key, numbers))
        return int(places[noisy_argmax(scaled[places], token_bits(key, numbers[places]))])

    def _reshape(self, logits: Tensor) -> Tensor:
        """Apply what comes before the temperature, in vLLM's order; may write into ``logits``."""
        for token, bias in self._bias.items():
            logits[token] += bias
        if self._allowed is not None:
            allowed = list(self._allowed)
            logits = torch.full_like(logits, -torch.inf).index_copy_(
                0, torch.tensor(allowed, device=logits.device), logits[allowed]
            )
        for word in self._bad_word_ids:
            before = list(word[:-1])
            if not before or self._history[self._prompt_length :][-len(before) :] == before:
                logits[word[-1]] = -torch.inf
        if self._waiting:
            logits[self._stop_ids] = -torch.inf
        return self._penalise(logits) if self._penalised else logits

    def _penalise(self, logits: Tensor) -> Tensor:
        params = self.params
        if self._counts is None or self._seen is None:
            read = torch.tensor(self._history, dtype=torch.int64, device=logits.device)
            self._counts = torch.bincount(read[self._prompt_length :], minlength=len(logits))
            self._seen = torch.bincount(read, minlength=len(logits)) > 0
        if params.repetition_penalty != 1:
            shrunk = torch.where(logits > 0, logits / params.repetition_penalty, logits * params.repetition_penalty)
            logits = torch.where(self._seen, shrunk, logits)
        logits = logits - params.frequency_penalty * self._counts
        return logits - params.presence_penalty * (self._counts > 0)

    def candidates(self, scaled: Tensor) -> Tensor | None:
        """The ids that ``min_p``, ``top_k`` and ``top_p`` leave, ascending; None for all.

        Ties at a filter's border stay in, so that the result never depends on the order of equal logits.
        """
        params = self.params
        if not self._filtered:
            return None
        floor = scaled.new_tensor(-torch.inf)
        if params.min_p > 0:
            floor = scaled.max() + torch.log(scaled.new_tensor(params.min_p))
        if 0 < params.top_k < len(scaled):
            floor = torch.maximum(floor, scaled.topk(params.top_k).values[-1])
        if params.top_p < 1:
            floor = torch.maximum(floor, self._nucleus_floor(scaled, floor))
        return (scaled >= floor).nonzero().squeeze(1)

    def _nucleus_floor(self, scaled: Tensor, floor: Tensor) -> Tensor:
        """The smallest logit of the smallest set, largest first, that holds ``top_p`` of what is above ``floor``."""
        mass = torch.where(scaled >= floor, scaled, -torch.inf).logsumexp(0)
        size = min(_TOP_P_START, len(scaled))
        while True:
            top = scaled.topk(size).values
            held = (top - mass).exp().cumsum(0)
            if held[-1] >= self.params.top_p or size == len(scaled):
                last = int((held < self.params.top_p).sum())
                return top[min(last, size - 1)]
            size = min(size * 8, len(scaled))


def _check_left(logits: Tensor, named: str) -> None:
    if len(logits) == 0 or logits.max() == -torch.inf:
        raise UserError(f"{named} together leave no token to go on with")


@lru_cache(maxsize=4)
def _every_id(size: int, device: torch.device) -> Tensor:
    return torch.arange(size, dtype=torch.int32, device=device)


def describe(logits: Tensor, token: int, top: int, decode: Callable[[int], str] | None = None) -> dict[int, Logprob]:
    """The log-probabilities of ``token`` and of the ``top`` most likely ids, from raw logits [V] float32."""
    logprobs = logits.log_softmax(0)
    best = logprobs.topk(min(top, len(logprobs)))
    found = {token: (float(logprobs[token]), int((logprobs > logprobs[token]).sum()) + 1)}
    for rank, (value, index) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True), start=1):
        found.setdefault(index, (value, rank))
    return {index: Logprob(*entry, decode(index) if decode else None) for index, entry in found.items()}
