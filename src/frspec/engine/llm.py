"""The offline API: ``LLM(model).generate(prompts, SamplingParams(...))``, shaped like vLLM's.

Knows: prompts, texts, requests that belong together. Does not know: how a step works.
"""

from __future__ import annotations

import copy
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

from frspec import hub
from frspec.engine.budget import Budget, budget_bytes, fitting_length
from frspec.engine.controlling import make_controller
from frspec.engine.drafting import check_draft, make_drafter
from frspec.engine.engine import Engine
from frspec.engine.group import Group
from frspec.engine.progress import follow
from frspec.errors import UserError
from frspec.models.checkpoint import load_decoder
from frspec.models.config import load_config
from frspec.models.exact import ExactDecoder
from frspec.ranking.ranking import Ranking
from frspec.speculation.drafters.base import Drafter
from frspec.speculation.plan import TreeShape, tree_shape
from frspec.speculation.vocabulary import Spec
from frspec.text.tokenizer import Tokenizer
from frspec.types import RequestOutput, SamplingParams

KEPT_PREFIXES = 4
Prompt = str | Sequence[int] | Mapping[str, Any]


class LLM:
    """A target model, its tokenizer and, if given, a drafter.

    model: a checkpoint folder, hub id, or "demo", the model that comes with frspec. draft: None or "none" (plain
    decoding, of "demo" too), "ngram", the folder or hub id of an EAGLE head or of a smaller model with the same
    vocabulary, "demo" (the shipped head), or a ``Drafter`` of your own, which drafts as it likes. draft_vocab: which
    part of the vocabulary a draft head searches: a size, a share of the counts below 1.0, "full", or a ranking or id
    list (or its path); sizes and shares are taken from ``ranking``, a file or "demo", or from one part of it:
    "32768@de", "0.99@de", or "@de" for that part without a size.
    dtype: "auto" (the checkpoint's), "float32", "bfloat16". device: "auto", "cpu", "cuda".
    quantize: "int8" for a target whose matrices are 8-bit integers (CPUs only); None for those of ``dtype``.
    num_speculative_tokens, tree_depth, tree_width: how many tokens one pass may verify, how deep, how wide (1 is a
    chain); those left out of a shape are 15, 5 and 4. Without any of them a ``Controller`` chooses round by round, from
    what each part of a round costs on this machine and from how guesses did lately: shape, depth, and where a ranking
    is given without a size the part of the vocabulary too; or not to draft. With a shape, such a ranking gives a
    quarter of the vocabulary.
    max_model_len: prompt and output together. max_num_batched_tokens: prompt tokens in one pass.
    draft_quantize: "int8" for a drafter of 8-bit integers, whatever the target is made of.
    kv_cache_memory_bytes: what the caches of all texts may take; those that don't fit wait, or are interrupted and go
    on later, with the same text. "auto": half of what is free once the models are loaded, and if that does not hold a
    text of the model's full length, no text is so long. None for no limit.
    enable_prefix_caching: keep the caches of the last few texts for prompts that begin alike, such as a conversation's
    next turn. seed: makes the seeds of requests that have none reproducible. exact: run the target so that every row is
    bit for bit the same in any company: slower, and bitwise lossless in every dtype.

    No drafter, vocabulary or tree changes what is generated.

    Raises:
        UserError: when anything named cannot be honoured exactly.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        draft: str | Path | Drafter | None = None,
        draft_vocab: Spec = None,
        ranking: str | Path | Ranking | None = None,
        tokenizer: str | Path | None = None,
        revision: str | None = None,
        dtype: str = "auto",
        quantize: str | None = None,
        device: str = "auto",
        skip_tokenizer_init: bool = False,
        seed: int | None = None,
        max_model_len: int | None = None,
        max_num_seqs: int = 16,
        max_num_batched_tokens: int = 512,
        num_speculative_tokens: int | None = None,
        tree_depth: int | None = None,
        tree_width: int | None = None,
        enable_prefix_caching: bool = False,
        exact: bool = False,
        draft_quantize: str | None = None,
        kv_cache_memory_bytes: Budget = None,
    ) -> None:
        for name, value in (("max_num_seqs", max_num_seqs), ("max_num_batched_tokens", max_num_batched_tokens)):
            if value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        shape = tree_shape(num_speculative_tokens, tree_depth, tree_width)
        folder = hub.resolve(model, revision)
        self._tokenizer = None if skip_tokenizer_init else Tokenizer.load(tokenizer or folder)
        self.config = load_config(folder)
        self._longest, self._asked_length = self._context(max_model_len), max_model_len
        if draft is None or isinstance(draft, str | Path):
            check_draft(draft, draft_vocab, ranking, draft_quantize, self.config.vocab_size, self._tokenizer)
        target = load_decoder(folder, dtype, device, quantize)
        if exact:
            target = ExactDecoder.of(target)
        kept = max(KEPT_PREFIXES, max_num_seqs) if enable_prefix_caching else 0
        self.engine = Engine(target, None, max_num_seqs, max_num_batched_tokens, kept)
        self._shape = shape
        self._set_draft(draft, shape, draft_vocab, ranking, draft_quantize=draft_quantize)
        self.engine.scheduler.budget = budget_bytes(kv_cache_memory_bytes, target.device)
        self.max_model_len = self._fitting()
        self._seeds = random.SystemRandom() if seed is None else random.Random(seed)
        self._made = itertools.count()

    def with_draft(
        self,
        draft: str | Path | Drafter | None = None,
        draft_vocab: Spec = None,
        ranking: str | Path | Ranking | None = None,
        shape: TreeShape | None = None,
        use_noise: bool = True,
        draft_quantize: str | None = None,
    ) -> LLM:
        """The same target, in the same memory, with another drafter: for comparisons.

        shape: what is drafted; None for this one's own, and if it has none for a controller's choice. use_noise:
        whether draft heads use the noise that the target will sample with; the text is the same.
        """
        other = copy.copy(self)
        other.engine = self.engine.without_drafter()
        other._set_draft(draft, shape or self._shape, draft_vocab, ranking, use_noise, draft_quantize)
        other.max_model_len = other._fitting()  # drafters differ in what they keep of each position
        return other

    def _set_draft(
        self,
        draft: str | Path | Drafter | None,
        shape: TreeShape | None,
        vocab: Spec,
        ranking: str | Path | Ranking | None,
        use_noise: bool = True,
        draft_quantize: str | None = None,
    ) -> None:
        engine = self.engine
        if draft is not None and not isinstance(draft, str | Path):
            if any(given is not None for given in (vocab, ranking, draft_quantize)):
                raise UserError(
                    "a Drafter of your own brings its own vocabulary; leave draft_vocab, ranking and draft_quantize out"
                )
            engine.drafter = draft
            return
        drafter = make_drafter(draft, engine.target, self._tokenizer, shape, vocab, ranking, use_noise, draft_quantize)
        engine.drafter = drafter
        if drafter is not None and shape is None:
            engine.controller = make_controller(engine.target, drafter)

    def _fitting(self) -> int:
        return fitting_length(self.engine.scheduler, self._longest, self._asked_length)

    def _context(self, asked: int | None) -> int:
        longest = self.config.context_length
        if asked is not None and not 1 <= asked <= longest:
            window = ": sliding windows are not implemented" if longest == self.config.sliding_window else ""
            raise UserError(f"max_model_len is {asked}, but the model can be run for 1 to {longest} positions{window}")
        return asked or longest

    def get_tokenizer(self) -> Tokenizer:
        """The target's tokenizer."""
        if self._tokenizer is None:
            raise UserError("this LLM was made with skip_tokenizer_init=True: give token ids, no text")
        return self._tokenizer

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
    ) -> list[RequestOutput]:
        """Complete the prompts, as one batch, and return them in their order.

        prompts: one or several of: a text, token ids, {"prompt": text}, {"prompt_token_ids": ids}.
        sampling_params: one for all, or one each. use_tqdm (vLLM's name): show progress where stderr is a terminal.
        """
        groups = self._groups(prompts, sampling_params)
        with follow(len(groups), use_tqdm) as progress:
            for group in self._run(groups):
                progress(sum(g.finished for g in groups) if group.finished else None, self.engine.stats.emitted)
        return [group.output() for group in groups]

    def stream(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
    ) -> Iterator[RequestOutput]:
        """Yield each request as it grows, texts and ids cumulative; the last one of each is ``finished``.

        Several streams and ``generate`` calls of one thread may run at the same time: they share a batch.
        """
        groups = self._groups(prompts, sampling_params)
        return (group.output() for group in self._run(groups))

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]] | Sequence[Sequence[Mapping[str, Any]]],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        use_tqdm: bool = True,
        add_generation_prompt: bool = True,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> list[RequestOutput]:
        """Answer one conversation or several, through the checkpoint's chat template.

        chat_template_kwargs: variables for the template, such as {"enable_thinking": False} for Qwen3.
        """
        talks = [messages] if messages and isinstance(messages[0], Mapping) else messages
        prompts = [self.chat_prompt(talk, add_generation_prompt, chat_template_kwargs) for talk in talks]
        return self.generate(prompts, sampling_params, use_tqdm)

    def chat_prompt(
        self,
        messages: Any,
        add_generation_prompt: bool = True,
        chat_template_kwargs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """A conversation as a prompt: its text and ids; the template writes its own BOS."""
        tokenizer = self.get_tokenizer()
        text = tokenizer.render_chat(list(messages), add_generation_prompt, **(chat_template_kwargs or {}))
        return {"prompt": text, "prompt_token_ids": tokenizer.encode(text, add_special_tokens=False)}

    def _run(self, groups: Sequence[Group]) -> Iterator[Group]:
        """Step until all are done; whatever stops the caller, nothing stays behind in the engine.

        A step may be another caller's and still move these groups, so what is new is told by their lengths.
        """
        shown = [0] * len(groups)
        try:
            for group in groups:
                for request in group.requests:
                    self.engine.add(request)
            while True:
                for group in groups:
                    group.check()
                fresh = [number for number, group in enumerate(groups) if group.length > shown[number]]
                for number in fresh:
                    shown[number] = groups[number].length
                    yield groups[number]
                if not fresh:
                    if all(group.finished for group in groups):
                        return
                    self.engine.step()
        finally:
            for group in groups:
                for request in group.requests:
                    if not request.finished:
                        self.engine.abort(request)

    def _groups(
        self, prompts: Prompt | Sequence[Prompt], params: SamplingParams | Sequence[SamplingParams] | None
    ) -> list[Group]:
        several: Any = prompts
        if isinstance(prompts, str | Mapping) or (len(prompts) > 0 and isinstance(prompts[0], Integral)):
            several = [prompts]
        if params is None or isinstance(params, SamplingParams):
            params = [params or SamplingParams()] * len(several)
        if len(params) != len(several):
            raise UserError(f"{len(several)} prompts but {len(params)} sampling_params; give one, or one each")
        return [self.group(prompt, own) for prompt, own in zip(several, params, strict=True)]

    def group(self, prompt: Prompt, params: SamplingParams) -> Group:
        """The requests of one prompt, checked; may be called from any thread."""
        text, ids = self._read(prompt)
        seed = self._seeds.getrandbits(63) if params.seed is None else params.seed
        return Group(str(next(self._made)), text, ids, params, seed, self.config, self.max_model_len, self._tokenizer)

    def _read(self, prompt: Prompt) -> tuple[str | None, list[int]]:
        if isinstance(prompt, Mapping):
            unknown = set(prompt) - {"prompt", "prompt_token_ids"}
            if unknown or not prompt:
                raise UserError(
                    f"a prompt holds {sorted(unknown) or 'nothing'}; only prompt and prompt_token_ids are known"
                )
            if prompt.get("prompt_token_ids") is not None:
                return prompt.get("prompt"), list(prompt["prompt_token_ids"])
            return self._read(prompt["prompt"])
        if isinstance(prompt, str):
            return prompt, self.get_tokenizer().encode(prompt)
        return None, list(prompt)
