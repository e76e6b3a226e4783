"""The life of one completion: from prompt ids to finished text.

Knows: its tokens, its sampler, when it ends. Does not know: batches, models, drafters.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import perf_counter

from torch import Tensor

from frspec.errors import UserError
from frspec.models.cache import KVCache
from frspec.speculation.drafters.base import DraftState
from frspec.speculation.guidance import Guide
from frspec.speculation.sampler import Sampler, describe
from frspec.text.detokenizer import Detokenizer
from frspec.text.tokenizer import Tokenizer
from frspec.types import CompletionOutput, Logprob, RequestMetrics, Round, SamplingParams

log = logging.getLogger("frspec")


class Request:
    """One prompt on its way to one completion.

    prompt_ids: at least one token; seed: 64 bits; eos_ids: the checkpoint's; limit: the context length, prompt
    included; tokenizer: None where there is none; guide: of the form the text must have; words: at the prompt's end,
    None where no text was asked for. ``cached`` counts prompt tokens that an earlier text's cache already held.
    ``rounds`` is None unless somebody wants them. ``error`` is what it failed from. ``client``: whose it is.
    ``opened``: whether it ever had a slot.
    """

    def __init__(
        self,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        seed: int,
        eos_ids: Sequence[int],
        limit: int,
        tokenizer: Tokenizer | None = None,
        bad_word_ids: Sequence[Sequence[int]] = (),
        index: int = 0,
        guide: Guide | None = None,
        words: Detokenizer | None = None,
    ) -> None:
        self.params, self.index, self.prompt_length = params, index, len(prompt_ids)
        self.tokens = list(prompt_ids)
        self.eos_ids = frozenset() if params.ignore_eos else frozenset(eos_ids)
        stop_ids = self.eos_ids | set(params.stop_token_ids)
        self.sampler = Sampler(params, seed, prompt_ids, sorted(stop_ids), bad_word_ids, guide)
        self.draft = DraftState(
            self.tokens, seed, 0.0 if params.greedy else params.temperature, guided=guide is not None
        )
        self.cache: KVCache | None = None
        self.cached, self.opened, self.client = 0, False, ""
        self.metrics = RequestMetrics()
        self.output = CompletionOutput(index, "", [], logprobs=None if params.logprobs is None else [])
        self.prompt_logprobs: list[dict[int, Logprob] | None] = [None]
        self.rounds: list[Round] | None = None
        self.error: Exception | None = None
        self._decode = None if tokenizer is None else lambda id: tokenizer.decode([id], skip_special_tokens=False)
        self._text = None if words is None else _Text(words, params)
        self._most = limit - len(prompt_ids)
        if params.max_tokens is not None:
            self._most = min(self._most, params.max_tokens)
        self._started = perf_counter()

    @property
    def finished(self) -> bool:
        """Whether nothing more will be emitted."""
        return self.output.finish_reason is not None

    @property
    def left(self) -> int:
        """How many more tokens the request may emit."""
        return self._most - len(self.output.token_ids)

    @property
    def unread(self) -> int:
        """Tokens that the target must read before it can write: the prompt's, and, after an interruption, all but the
        last of the output's, which is the root of the next draft."""
        read = 0 if self.cache is None else self.cache.length
        return len(self.tokens) - bool(self.output.token_ids) - read

    def emit(self, token: int, logits: Tensor) -> bool:
        """Append the target's token, picked from logits [V]; returns whether the text ends with it."""
        output, params = self.output, self.params
        if params.logprobs is not None and output.logprobs is not None:
            entry = describe(logits, token, params.logprobs, self._decode)
            output.logprobs.append(entry)
            output.cumulative_logprob = (output.cumulative_logprob or 0.0) + entry[token].logprob
        self.tokens.append(token)
        output.token_ids.append(token)
        self.sampler.observe(token)
        if token in self.eos_ids:
            output.finish_reason = "stop"
        elif token in params.stop_token_ids:
            output.finish_reason, output.stop_reason = "stop", token
        self._write(token, hide=self.finished and not params.include_stop_str_in_output)
        if not self.finished and self.left <= 0:
            output.finish_reason = "length"
        if self.finished and self._text is not None:
            output.text = self._text.close()
        output.text_ends.append(0 if self._text is None else self._text.length)
        return self.finished

    def _write(self, token: int, hide: bool) -> None:
        if self._text is None or hide:
            return
        searching = not self.finished and len(self.output.token_ids) >= self.params.min_tokens
        stop = self._text.push(token, searching)
        if stop is not None:
            self.output.finish_reason, self.output.stop_reason = "stop", stop
        self.output.text = self._text.visible

    def end(self, finish_reason: str, stop_reason: str | None = None) -> None:
        """End where it stands."""
        if not self.finished:
            self.output.finish_reason, self.output.stop_reason = finish_reason, stop_reason
            if self._text is not None:
                self.output.text = self._text.close()

    def fail(self, error: Exception) -> None:
        """End with an error, which is this request's alone."""
        if not isinstance(error, UserError):
            log.error("a text failed (%s: %s); the others go on", type(error).__name__, error)
            log.debug("where it failed", exc_info=error)
        self.error = error
        self.end("error", str(error))

    def note_prompt(self, start: int, following: Sequence[int], logits: Tensor) -> None:
        """Keep the log-probabilities of prompt tokens, from the logits [n, V] of the rows before them, the first of
        which is row ``start`` of the text; once, however often they are read."""
        known = len(self.prompt_logprobs)
        if self.params.prompt_logprobs is None or known == self.prompt_length:
            return
        new = slice(known - start - 1, self.prompt_length - start - 1)  # an interrupted one is read in other chunks
        for token, row in zip(following[new], logits[new], strict=False):
            self.prompt_logprobs.append(describe(row, token, self.params.prompt_logprobs, self._decode))

    def note_time(self) -> None:
        """Look at the wall clock after a pass that emitted something."""
        now, metrics = perf_counter(), self.metrics
        if metrics.first_token_time is None:
            metrics.first_token_time, metrics.time_to_first_token = now, now - self._started
        metrics.last_token_time = now


class _Text:
    """Output text with stop strings cut off, and what of it may be shown already."""

    def __init__(self, detokenizer: Detokenizer, params: SamplingParams) -> None:
        self._detokenizer, self._stops = detokenizer, list(params.stop)
        self._keep_stop = params.include_stop_str_in_output
        self._longest = max(map(len, self._stops), default=0)
        self._text, self._stopped = "", False

    @property
    def length(self) -> int:
        """Characters so far, those that may not be shown yet among them."""
        return len(self._text)

    @property
    def visible(self) -> str:
        """The text so far, less an ending that may turn out to be the start of a stop string."""
        if not self._stopped:
            for size in range(min(self._longest - 1, len(self._text)), 0, -1):
                if any(stop.startswith(self._text[-size:]) for stop in self._stops):
                    return self._text[:-size]
        return self._text

    def push(self, token: int, searching: bool) -> str | None:
        """Add a token's text; returns the stop string it completed, if any."""
        start = max(0, len(self._text) - self._longest + 1)
        self._text += self._detokenizer.push([token])
        if searching and self._stops:
            found = [(at, stop) for stop in self._stops if (at := self._text.find(stop, start)) >= 0]
            if found:
                at, stop = min(found, key=lambda hit: hit[0])
                self._text = self._text[: at + len(stop) if self._keep_stop else at]
                self._stopped = True
                return stop
        return None

    def close(self) -> str:
        """The final text."""
        if not self._stopped:
            self._text += self._detokenizer.flush()
            self._stopped = True
        return self._text
