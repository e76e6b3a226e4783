"""The ``n`` completions of one prompt, checked against the model and shown as one ``RequestOutput``.

Knows: what a prompt and its parameters may be for this model. Does not know: the engine.
"""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any

from frspec.engine.request import Request
from frspec.errors import UserError
from frspec.models.config import ModelConfig
from frspec.speculation.guidance import Guide, compile_guide
from frspec.text.detokenizer import Detokenizer
from frspec.text.tokenizer import Tokenizer
from frspec.types import RequestMetrics, RequestOutput, SamplingParams


class Group:
    """Completion ``i`` is sampled with seed + i, so the same seed gives the same ``n`` texts."""

    def __init__(
        self,
        request_id: str,
        prompt: str | None,
        prompt_ids: list[int],
        params: SamplingParams,
        seed: int,
        config: ModelConfig,
        limit: int,
        tokenizer: Tokenizer | None,
    ) -> None:
        _check_prompt(prompt_ids, config.vocab_size, limit)
        _check_params(params, config.vocab_size, tokenizer)
        prompt_ids = [int(token) for token in prompt_ids]
        self.request_id, self.prompt, self.prompt_ids, self.seed = request_id, prompt, prompt_ids, seed
        self._tokenizer = tokenizer
        bad, guide = _bad_word_ids(params, tokenizer), _guide(params, tokenizer, config)
        words = None
        if tokenizer is not None and params.detokenize:
            words = Detokenizer(tokenizer, prompt_ids, params.skip_special_tokens)
        self.requests = [
            Request(
                prompt_ids, params, seed + i, config.stop_token_ids, limit, tokenizer, bad, i,
                guide and guide.copy(), words and words.copy(),
            )
            for i in range(params.n)
        ]  # fmt: skip

    @property
    def length(self) -> int:
        """Tokens of all completions so far."""
        return sum(len(request.output.token_ids) for request in self.requests)

    def check(self) -> None:
        """Raise what a completion failed from, or a ``UserError`` if it ended with another text's broken-off step."""
        for request in self.requests:
            if request.error is not None:
                raise request.error
            if request.output.finish_reason == "abort":
                raise UserError("a step that this text shared with another was broken off; ask for it again")

    @property
    def finished(self) -> bool:
        """Whether all completions are."""
        return all(request.finished for request in self.requests)

    def output(self) -> RequestOutput:
        """A snapshot; later steps don't change it."""
        first = self.requests[0]
        return RequestOutput(
            request_id=self.request_id,
            prompt=self.prompt,
            prompt_token_ids=self.prompt_ids,
            outputs=[
                replace(
                    one,
                    token_ids=list(one.token_ids),
                    logprobs=one.logprobs and [*one.logprobs],
                    text_ends=list(one.text_ends),
                    depths=list(one.depths),
                )
                for one in (request.output for request in self.requests)
            ],
            finished=self.finished,
            seed=self.seed,
            metrics=RequestMetrics.merge([r.metrics for r in self.requests]),
            num_cached_tokens=first.cached,
            prompt_logprobs=None if first.params.prompt_logprobs is None else list(first.prompt_logprobs),
        )


def _check_prompt(ids: list[Any], vocab_size: int, limit: int) -> None:
    if not ids:
        raise UserError("the prompt has no tokens; give at least one")
    outside = next((i for i in ids if not (isinstance(i, Integral) and 0 <= int(i) < vocab_size)), None)
    if outside is not None:
        raise UserError(f"the prompt names token {outside!r}, but the model's ids are 0 to {vocab_size - 1}")
    if len(ids) >= limit:
        raise UserError(
            f"the prompt has {len(ids)} tokens, but the context holds {limit}, the output included; shorten it"
        )


def _check_params(params: SamplingParams, vocab_size: int, tokenizer: Tokenizer | None) -> None:
    for name in ("logit_bias", "stop_token_ids", "allowed_token_ids"):
        highest = max(getattr(params, name) or (), default=-1)
        if highest >= vocab_size:
            raise UserError(f"{name} names token {highest}, but the model's ids are 0 to {vocab_size - 1}")
    for name in ("logprobs", "prompt_logprobs"):
        if (getattr(params, name) or 0) > vocab_size:
            raise UserError(f"{name}={getattr(params, name)}, but the vocabulary has {vocab_size} tokens")
    if tokenizer is None and (params.stop or params.bad_words):
        raise UserError("stop and bad_words are texts, but this LLM was made with skip_tokenizer_init=True")
    if params.stop and not params.detokenize:
        raise UserError("stop looks for text, but detokenize=False makes none; use stop_token_ids")


def _guide(params: SamplingParams, tokenizer: Tokenizer | None, config: ModelConfig) -> Guide | None:
    """At the start of a text of the form asked for, if any was."""
    if params.structured_outputs is None:
        return None
    eos_ids = config.stop_token_ids
    ends = {*params.stop_token_ids, *(() if params.ignore_eos else eos_ids)}
    return compile_guide(params.structured_outputs, tokenizer, config.vocab_size, eos_ids, ends)


def _bad_word_ids(params: SamplingParams, tokenizer: Tokenizer | None) -> list[list[int]]:
    """Each bad word as it is tokenised at the start of a text and, where that differs, after a space."""
    if tokenizer is None:
        return []
    found: list[list[int]] = []
    for word in params.bad_words:
        for text in (word, " " + word.lstrip()):
            ids = tokenizer.encode(text, add_special_tokens=False)
            if ids and ids not in found:
                found.append(ids)
    return found
