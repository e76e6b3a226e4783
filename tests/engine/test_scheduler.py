"""Slots, turns, the caches' budget, shared prefixes: none of them changes a text."""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frspec import LLM, SamplingParams
from frspec.engine.line import Line
from frspec.engine.prefixes import Prefixes
from frspec.engine.request import Request
from frspec.errors import UserError
from frspec.machine import free_memory
from frspec.speculation.drafters.base import Drafter
from tests.engine.conftest import GREEDY, PROMPTS, WARM, ids
from tests.engine.test_prefixes import drafters

LONG = " ".join(["Once upon a time there was a little dog who liked to play in the park."] * 12)


def with_budget(llm: LLM, drafter: Drafter | None, rows: int, kept: int = 0) -> LLM:
    """The same model with room for so many positions."""
    other = llm.with_draft(drafter)
    scheduler = other.engine.scheduler
    scheduler.budget, scheduler.prefixes = rows * scheduler.row_bytes, Prefixes(kept)
    return other


def run(llm: LLM, prompts: list[str], params: SamplingParams, watch: Callable[[], None]) -> list[list[int]]:
    """Generate with a look at the engine after every step."""
    groups = [llm.group(prompt, params) for prompt in prompts]
    for group in groups:
        for request in group.requests:
            llm.engine.add(request)
    while llm.engine.busy:
        llm.engine.step()
        watch()
    return [request.output.token_ids for group in groups for request in group.requests]


def request(client: str = "", tokens: int = 3) -> Request:
    made = Request(list(range(tokens)), SamplingParams(), 1, (), 64)
    made.client = client
    return made


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_clients_take_turns(clients: list[str]) -> None:
    line, order = Line(), []
    waiting = [request(client) for client in clients]
    for one in waiting:
        line.add(one)
    foreseen = list(line)
    assert len(line) == len(foreseen) == len(clients)
    while line:
        order.append(next(iter(line)))
        line.take(order[-1])
    assert order == foreseen, "the order shown is the order served"
    assert sorted(map(id, order)) == sorted(map(id, waiting))
    for client in set(clients):
        own = [one for one in order if one.client == client]
        assert own == [one for one in waiting if one.client == client], "each client's own are served as they came"
        for other in set(clients) - {client}:
            for place in range(1, len(own)):
                between = order[order.index(own[place - 1]) : order.index(own[place])]
                left = [one for one in order[order.index(own[place - 1]) :] if one.client == other]
                assert not left or any(one.client == other for one in between), "nobody is served twice in a row"


def test_who_was_interrupted_comes_next_and_who_leaves_is_gone() -> None:
    line = Line()
    first, second, third = request("a"), request("a"), request("b")
    for one in (first, second, third):
        line.add(one)
    line.take(first)
    line.put_back(first)
    assert list(line) == [first, third, second]
    stranger = request("a")
    for one in (third, third, stranger):
        line.remove(one)
    assert third not in line
    assert first in line
    assert list(line) == [first, second]


@pytest.mark.parametrize("name", ["none", "ngram", "model", "eagle"])
@pytest.mark.parametrize("params", [GREEDY, WARM], ids=["greedy", "warm"])
def test_a_small_budget_interrupts_and_changes_nothing(plain: LLM, name: str, params: SamplingParams) -> None:
    params = replace(params, max_tokens=150, ignore_eos=True)
    expected = [ids(plain.generate(prompt, params))[0] for prompt in PROMPTS]
    tight = with_budget(plain, drafters(plain)[name], rows=512)
    scheduler, most = tight.engine.scheduler, 0

    def watch() -> None:
        nonlocal most
        most = max(most, len(scheduler.running))
        assert scheduler.used <= (scheduler.budget or 0) or len(scheduler.running) == 1

    assert run(tight, PROMPTS, params, watch) == expected
    assert 1 <= most < len(PROMPTS)


def test_growing_texts_are_interrupted_and_go_on(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches begin small here, so that three texts get in and only later find that there is no room for all."""
    monkeypatch.setattr("frspec.engine.scheduler.NEW_ROWS", 16)
    params = replace(WARM, max_tokens=200, ignore_eos=True, logprobs=1, prompt_logprobs=1)
    expected = plain.generate(PROMPTS[:3], params)
    tight = with_budget(plain, None, rows=448)
    output = tight.generate(PROMPTS[:3], params)
    assert tight.engine.scheduler.counts.preemptions > 0
    assert ids(output) == ids(expected)
    for one, other in zip(output, expected, strict=True):
        assert len(one.prompt_logprobs or []) == len(other.prompt_logprobs or [])
        assert len(one.outputs[0].logprobs or []) == 200


def interrupt(llm: LLM, one: Request) -> None:
    """Take its slot, as a budget does."""
    scheduler = llm.engine.scheduler
    scheduler.running.remove(one)
    one.cache, one.draft.memory = None, None
    scheduler.waiting.put_back(one)


@pytest.mark.parametrize("steps", [1, 4], ids=["reading", "writing"])
def test_prompts_are_scored_once_however_they_are_read_again(plain: LLM, steps: int) -> None:
    """First in one chunk size, after an interruption in another; the last prompt token alone begins a chunk."""
    tokens = plain.get_tokenizer().encode(LONG)[:65]
    params = replace(WARM, prompt_logprobs=1)
    (expected,) = plain.generate([tokens], params)
    for first, then in ((64, 32), (40, 64), (64, 1), (20, 33)):
        llm = plain.with_draft(None)
        one = llm.group(tokens, params).requests[0]
        llm.engine.add(one)
        llm.engine.scheduler.chunk = first
        for _ in range(steps):
            llm.engine.step()
        interrupt(llm, one)
        llm.engine.scheduler.chunk = then
        while llm.engine.busy:
            llm.engine.step()
        assert [set(entry or ()) for entry in one.prompt_logprobs] == [
            set(entry or ()) for entry in expected.prompt_logprobs or []
        ]
        assert one.output.token_ids == expected.outputs[0].token_ids


@pytest.mark.parametrize("name", ["ngram", "model", "eagle"])
def test_an_interrupted_text_may_find_all_of_itself_in_another(plain: LLM, name: str) -> None:
    """Two that are alike: the other one went on meanwhile, so that nothing of this one is left to be read."""
    llm, params = plain.with_draft(drafters(plain)[name]), replace(GREEDY, max_tokens=80, ignore_eos=True)
    twins = [llm.group(LONG, params).requests[0] for _ in range(2)]
    for one in twins:
        llm.engine.add(one)
    while len(twins[1].output.token_ids) < 10:
        llm.engine.step()
    interrupt(llm, twins[1])
    llm.engine.scheduler.max_num_seqs = 1
    for _ in range(10):
        llm.engine.step()
    llm.engine.scheduler.max_num_seqs = 2
    while llm.engine.busy:
        llm.engine.step()
    assert llm.engine.stats.draft_failures == 0
    assert [one.output.token_ids for one in twins] == ids(plain.generate([LONG, LONG], params))


def test_a_cache_that_finds_no_memory_fails_alone(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = plain.with_draft(None)
    requests = [llm.group(prompt, WARM).requests[0] for prompt in (LONG, *PROMPTS[:2])]
    real = llm.engine.target.new_cache

    def new_cache(rows: int) -> object:
        if rows > 100:
            raise RuntimeError("can't allocate memory")
        return real(rows)

    monkeypatch.setattr(llm.engine.target, "new_cache", new_cache)
    for one in requests:
        llm.engine.add(one)
    while llm.engine.busy:
        llm.engine.step()
    monkeypatch.undo()
    assert [one.output.finish_reason == "error" for one in requests] == [True, False, False]
    assert [one.output.token_ids for one in requests[1:]] == ids(plain.generate(PROMPTS[:2], WARM))


def test_a_grammar_that_breaks_on_a_draft_fails_alone(plain: LLM) -> None:
    class Broken:
        def observe(self, token: int) -> None: ...

        def allowed(self) -> object:
            return np.ones(plain.config.vocab_size, dtype=bool)

        def fit(self, *_: object) -> None:
            raise RuntimeError("a panic in the parser")

    llm = plain.with_draft(drafters(plain)["ngram"])
    requests = [llm.group(prompt, GREEDY).requests[0] for prompt in PROMPTS[:3]]
    requests[1].sampler.guide = Broken()  # type: ignore[assignment]
    for one in requests:
        llm.engine.add(one)
    while llm.engine.busy:
        llm.engine.step()
    assert isinstance(requests[1].error, RuntimeError)
    expected = ids(plain.generate(PROMPTS[:3], GREEDY))
    assert [requests[place].output.token_ids for place in (0, 2)] == [expected[0], expected[2]]


@pytest.mark.parametrize("fault", ["raises", "too many"])
def test_a_drafter_that_cuts_its_memory_wrongly_harms_no_text(
    plain: LLM, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    drafter = drafters(plain)["ngram"]
    assert drafter is not None

    def resume(memory: object, rows: int, copy: bool) -> tuple[None, int]:
        if fault == "raises":
            raise IndexError("no such rows")
        return None, rows + 7

    monkeypatch.setattr(drafter, "resume", resume)
    llm, prompts = plain.with_draft(drafter), [LONG + end for end in ("", " The dog", " The cat")]
    llm.engine.scheduler.prefixes = Prefixes(2)
    expected = ids(plain.generate(prompts, WARM))
    for _ in range(2):
        assert ids(llm.generate(prompts, WARM)) == expected


def test_what_is_used_may_be_asked_while_a_text_loses_its_cache(plain: LLM) -> None:
    scheduler = plain.with_draft(None).engine.scheduler

    class Fleeting:
        @property
        def cache(self) -> object:
            cache, self._cache = self._cache, None
            return cache

        _cache: object = scheduler.target.new_cache(64)

    scheduler.running = [Fleeting()]  # type: ignore[list-item]
    assert scheduler.used == 64 * scheduler.row_bytes


def test_one_text_too_long_for_the_budget_is_refused_beforehand(plain: LLM, stories: object) -> None:
    row = plain.engine.scheduler.row_bytes
    with pytest.raises(UserError, match="max_model_len of at most 100"):
        LLM(str(stories), kv_cache_memory_bytes=100 * row, max_model_len=101)
    for kind in (0, -1):
        with pytest.raises(UserError, match="at least 1"):
            LLM(str(stories), kv_cache_memory_bytes=kind)
    assert LLM(str(stories), kv_cache_memory_bytes=100 * row, max_model_len=100).max_model_len == 100


def test_the_context_is_what_the_budget_holds(
    plain: LLM, stories: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    row = plain.engine.scheduler.row_bytes
    assert LLM(str(stories), kv_cache_memory_bytes=100 * row).max_model_len == 100
    assert "no text may be longer" in caplog.text
    for free, length in ((200 * row, 100), (10**12, plain.max_model_len), (None, plain.max_model_len)):
        monkeypatch.setattr("frspec.engine.budget.free_memory", lambda free=free: free)
        assert LLM(str(stories), kv_cache_memory_bytes="auto").max_model_len == length


def test_free_memory_is_some_of_what_the_machine_has() -> None:
    found = free_memory()
    if found is not None:
        assert 0 < found <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_kept_caches_make_way(plain: LLM) -> None:
    tight = with_budget(plain, None, rows=512, kept=4)
    for prompt in PROMPTS:
        tight.generate(prompt, replace(WARM, max_tokens=100, ignore_eos=True))
        scheduler = tight.engine.scheduler
        assert 0 < scheduler.prefixes.rows * scheduler.row_bytes <= (scheduler.budget or 0)


def test_kept_caches_make_way_for_one_that_runs_alone(plain: LLM) -> None:
    tight = with_budget(plain, None, rows=512, kept=4)
    scheduler, params = tight.engine.scheduler, replace(WARM, max_tokens=400, ignore_eos=True)

    def watch() -> None:
        assert scheduler.used + scheduler.prefixes.rows * scheduler.row_bytes <= (scheduler.budget or 0)

    for prompt in PROMPTS:
        run(tight, [prompt], params, watch)


@pytest.mark.parametrize("name", ["none", "ngram", "model", "eagle"])
def test_texts_in_one_batch_share_what_one_of_them_reads(plain: LLM, name: str) -> None:
    """`n` completions read their prompt once, and so do prompts that begin alike."""
    drafter, params = drafters(plain)[name], replace(WARM, n=3, max_tokens=30)
    prompts = [LONG + end for end in (" The dog", " The cat", "")]
    expected = plain.generate(prompts, params)
    sharing = plain.with_draft(drafter)
    output = sharing.generate(prompts, params)
    assert ids(output) == ids(expected)
    counts = sharing.engine.scheduler.counts
    whole = sum(3 * len(one.prompt_token_ids) for one in output)
    assert counts.prompt_tokens == counts.prefix_queries == whole
    assert counts.prefix_hits > 0.8 * (whole - len(output[0].prompt_token_ids))


def test_sharing_leaves_the_other_text_alone(plain: LLM) -> None:
    """A second text begins with the cache of one that is still being written, at every stage of that one."""
    params = replace(WARM, ignore_eos=True)
    for drafter in drafters(plain).values():
        for steps in (1, 3, 6):
            llm = plain.with_draft(drafter)
            first, second = llm.group(LONG, params).requests[0], llm.group(LONG + " And then", params).requests[0]
            llm.engine.add(first)
            for _ in range(steps):
                llm.engine.step()
            llm.engine.add(second)
            while llm.engine.busy:
                llm.engine.step()
            assert second.cached > 100
            assert first.output.token_ids == ids(plain.generate(LONG, params))[0]
            assert second.output.token_ids == ids(plain.generate(LONG + " And then", params))[0]


def test_a_long_prompt_does_not_stall_the_others(plain: LLM) -> None:
    llm = plain.with_draft(None)
    llm.engine.scheduler.beside = 8
    params = replace(WARM, max_tokens=60, ignore_eos=True)
    writing, long, short = (llm.group(prompt, params).requests[0] for prompt in (PROMPTS[0], LONG, PROMPTS[1]))
    llm.engine.add(writing)
    llm.engine.step()
    llm.engine.add(long)
    llm.engine.add(short)
    written = []
    while long.unread > 0 or long.cache is None:
        before = len(writing.output.token_ids)
        llm.engine.step()
        written.append(len(writing.output.token_ids) - before)
        assert long.cache is not None
    assert len(written) >= long.prompt_length // 8
    assert all(written[: 60 - 1]), "one token a step all the while"
    assert short.output.token_ids, "nor does a short prompt wait for a long one"
    while llm.engine.busy:
        llm.engine.step()
    expected = [ids(plain.generate(prompt, params))[0] for prompt in (PROMPTS[0], LONG, PROMPTS[1])]
    assert [r.output.token_ids for r in (writing, long, short)] == expected


def test_one_poisoned_text_fails_alone(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = plain.with_draft(None)
    groups = [llm.group(prompt, WARM) for prompt in PROMPTS]
    poisoned = groups[1].requests[0]

    def explode(*_: object) -> int:
        raise ZeroDivisionError("no such luck")

    for group in groups:
        llm.engine.add(group.requests[0])
    for _ in range(5):
        llm.engine.step()
    monkeypatch.setattr(poisoned.sampler, "pick", explode)
    while llm.engine.busy:
        llm.engine.step()
    assert isinstance(poisoned.error, ZeroDivisionError)
    assert poisoned.output.finish_reason == "error"
    for place in (0, 2, 3):
        assert groups[place].requests[0].output.token_ids == ids(plain.generate(PROMPTS[place], WARM))[0]


def test_a_broken_pass_is_taken_apart(plain: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the whole batch fails, each text goes on alone, and only the guilty one ends."""
    llm, params = plain.with_draft(drafters(plain)["ngram"]), replace(WARM, ignore_eos=True)
    groups = [llm.group(prompt, params) for prompt in PROMPTS]
    for group in groups:
        llm.engine.add(group.requests[0])
    for _ in range(5):
        llm.engine.step()
    guilty, real = groups[2].requests[0], llm.engine.target.forward

    def forward(tokens: object, positions: object, segments: list[object]) -> object:
        if any(segment.cache is guilty.cache for segment in segments):  # type: ignore[attr-defined]
            raise MemoryError("not for this one")
        return real(tokens, positions, segments)  # type: ignore[arg-type]

    monkeypatch.setattr(llm.engine.target, "forward", forward)
    while llm.engine.busy:
        llm.engine.step()
    monkeypatch.undo()
    assert isinstance(guilty.error, MemoryError)
    for place in (0, 1, 3):
        assert groups[place].requests[0].output.token_ids == ids(plain.generate(PROMPTS[place], params))[0]


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 40))
def test_prompts_share_a_pass(sizes: list[int], chunk: int) -> None:
    from frspec.engine.scheduler import Scheduler

    scheduler = Scheduler.__new__(Scheduler)
    scheduler.chunk = scheduler.beside = chunk
    scheduler.running = [request(tokens=size) for size in sizes]
    shares = {id(one): count for one, count in scheduler.chunks()}
    unread = {id(one): one.unread for one in scheduler.running if one.unread}
    assert sum(shares.values()) == min(chunk, sum(unread.values())), "the pass is as full as can be"
    assert all(0 < count <= unread[one] for one, count in shares.items())
    cut = [count for one, count in shares.items() if count < unread[one]]
    assert all(count <= min(cut) + 1 for count in shares.values()) if cut else True, "no one gets more than those cut"
