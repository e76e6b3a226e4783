"""The engine's thread: texts as alone, queues that end, cancelled texts that leave nothing behind."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from frspec import LLM
from frspec.engine.service import EngineFailure, Overloaded, Service, Stream
from frspec.engine.share import Share
from frspec.errors import UserError
from frspec.text.detokenizer import Detokenizer
from frspec.types import Delta
from tests.engine.conftest import PROMPTS, WARM, ids
from tests.engine.test_prefixes import drafters
from tests.patience import PATIENCE

LASTING = replace(WARM, max_tokens=200, ignore_eos=True)
ENDLESS = replace(LASTING, max_tokens=1800)
"""Longer than any test, which something else must end."""


@asynccontextmanager
async def serving(llm: LLM, **limits: Any) -> AsyncIterator[Service]:
    service = Service(llm.with_draft(drafters(llm)["ngram"]), **limits)
    service.start()
    try:
        yield service
    finally:
        await asyncio.to_thread(service.close)
        assert not service.alive


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[LLM], None]:
    def run(plain: LLM) -> None:
        asyncio.run(asyncio.wait_for(test(plain), PATIENCE))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def whole(stream: Stream, pause: float = 0.0) -> list[Delta]:
    """All deltas of each completion put together, and checked on the way."""
    found: dict[int, Delta] = {}
    async with stream:
        async for deltas in stream:
            assert len({delta.index for delta in deltas}) == len(deltas) > 0
            for new in deltas:
                own = found.setdefault(new.index, Delta(new.index))
                assert own.finish_reason is None, "nothing comes after the end"
                own.text += new.text
                own.token_ids += new.token_ids
                own.text_ends += new.text_ends
                own.depths += new.depths
                own.rounds += new.rounds
                if new.logprobs is not None:
                    own.logprobs = (own.logprobs or []) + new.logprobs
                own.finish_reason, own.stop_reason = new.finish_reason, new.stop_reason
            await asyncio.sleep(pause)
    return [found[index] for index in sorted(found)]


def slow_down(service: Service) -> None:
    """Every step takes so long that a text is still being written when something happens to it."""
    step = service.engine.step
    service.engine.step = lambda: (time.sleep(0.005), step())[1]  # type: ignore[method-assign]


async def settled(service: Service) -> None:
    """Wait until the engine has nothing left; it must come to that by itself."""
    for _ in range(int(PATIENCE / 0.01)):
        snapshot = service.snapshot()
        if snapshot.running == snapshot.waiting == 0 and not service.engine.busy:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"something stays behind: {service.snapshot()}")


@in_loop
async def test_texts_in_company_are_those_alone(plain: LLM) -> None:
    params = [
        replace(WARM, seed=3),
        replace(WARM, seed=4, n=2, logprobs=2),
        replace(WARM, temperature=0.0),
        replace(WARM, stop=["dog", " was"], max_tokens=90),
    ]
    prompts = [*PROMPTS, *PROMPTS]
    expected = [plain.generate(prompt, params[i % 4])[0] for i, prompt in enumerate(prompts)]
    async with serving(plain) as service:
        streams = [await service.submit(prompt, params[i % 4], trace=i == 2) for i, prompt in enumerate(prompts)]
        found = await asyncio.gather(*(whole(stream, pause=0.02 * (i % 3)) for i, stream in enumerate(streams)))
        snapshot = service.snapshot()
    for stream, deltas, output in zip(streams, found, expected, strict=True):
        assert stream.prompt_token_ids == output.prompt_token_ids
        for delta, completion in zip(deltas, output.outputs, strict=True):
            assert (delta.text, delta.token_ids) == (completion.text, completion.token_ids)
            assert (delta.finish_reason, delta.stop_reason) == (completion.finish_reason, completion.stop_reason)
            if completion.logprobs is not None:
                assert [list(entry) for entry in delta.logprobs or []] == [list(e) for e in completion.logprobs]
    assert snapshot.generated_tokens == sum(len(one) for one in ids(expected))
    assert snapshot.prompt_tokens == sum(len(o.prompt_token_ids) * len(o.outputs) for o in expected)


@in_loop
async def test_every_token_says_where_its_text_ends_and_how_deep_it_was_drafted(plain: LLM) -> None:
    tokenizer = plain.get_tokenizer()
    async with serving(plain) as service:
        service.engine.drafter = drafters(plain)["model"]
        stream = await service.submit(PROMPTS[0], replace(LASTING, max_tokens=40), trace=True)
        (delta,) = await whole(stream)
    detokenizer, text = Detokenizer(tokenizer, stream.prompt_token_ids), ""
    for token, end in zip(delta.token_ids, delta.text_ends, strict=True):
        text += detokenizer.push([token])
        assert end == len(text) or token == delta.token_ids[-1]
    assert delta.text_ends[-1] == len(delta.text)
    (metrics,) = stream.metrics
    for depth, accepted in enumerate(metrics.accepted_per_position, 1):
        assert delta.depths.count(depth) == accepted
    assert max(delta.depths) > 1, "the model drafts for itself"
    first, *rest = delta.token_ids
    assert [token for one in delta.rounds for token in one.emitted] == rest
    for one in delta.rounds:
        assert one.path[0] == 0
        assert [one.parents[node] for node in one.path[1:]] == one.path[:-1]
        assert [one.tokens[node] for node in one.path[1:]] == one.emitted[: len(one.path) - 1]
    assert delta.rounds[0].tokens[0] == first


@in_loop
async def test_cancelled_texts_free_their_slots(plain: LLM) -> None:
    async with serving(plain) as service:
        for how in ("leave", "cancel", "drop", "before"):
            streams = [await service.submit(prompt, replace(ENDLESS, n=2)) for prompt in PROMPTS * 3]
            if how != "before":
                await anext(streams[0])
            if how == "leave":
                for stream in streams:
                    async with stream:
                        pass
            elif how == "drop":
                del stream, streams
                gc.collect()
            else:
                threads = [threading.Thread(target=stream.cancel) for stream in streams for _ in range(2)]
                for thread in threads:
                    thread.start()
                for stream in streams:
                    assert all(delta.finish_reason == "abort" for delta in await whole(stream))
                    stream.cancel()
            await settled(service)
        (delta,) = await whole(await service.submit(PROMPTS[0], WARM))
        assert delta.token_ids == ids(plain.generate(PROMPTS[0], WARM))[0]


@in_loop
async def test_the_queue_has_an_end(plain: LLM) -> None:
    async with serving(plain, max_queue=3) as service:
        service.engine.scheduler.max_num_seqs = 2
        results = await asyncio.gather(*(service.submit(PROMPTS[0], LASTING) for _ in range(9)), return_exceptions=True)
        streams = [one for one in results if isinstance(one, Stream)]
        assert len(streams) == 5
        assert all(isinstance(one, Overloaded) for one in results if not isinstance(one, Stream))
        streams.pop().cancel()
        for stream in streams:
            (delta,) = await whole(stream)
            assert len(delta.token_ids) == 200
        await settled(service)
        for _ in range(5):  # refusals leave no trace
            with pytest.raises(UserError, match="at least one"):
                await service.submit([], WARM)
        assert len(await whole(await service.submit(PROMPTS[0], replace(WARM, n=5)))) == 5


@in_loop
async def test_nobody_waits_for_ever(plain: LLM) -> None:
    async with serving(plain, max_queue_seconds=0.15) as service:
        service.engine.scheduler.max_num_seqs = 1
        slow_down(service)
        first = await service.submit(PROMPTS[0], ENDLESS)
        late = await service.submit(PROMPTS[1], WARM)
        with pytest.raises(Overloaded, match="no slot came free"):
            await whole(late)
        assert late.queued_seconds is None
        first.cancel()
        service.max_queue_seconds = None
        after = await service.submit(PROMPTS[1], WARM)
        assert (await whole(after))[0].token_ids == ids(plain.generate(PROMPTS[1], WARM))[0]
        assert after.queued_seconds is not None


@in_loop
async def test_a_poisoned_request_fails_alone(plain: LLM) -> None:
    async with serving(plain) as service:
        healthy = [await service.submit(prompt, LASTING) for prompt in PROMPTS]
        poisoned = await service.submit(PROMPTS[0], replace(ENDLESS, n=2))
        await anext(poisoned)

        def explode(*_: object) -> int:
            raise ZeroDivisionError("secret inside")

        poisoned._job.group.requests[1].sampler.pick = explode  # type: ignore[method-assign]
        with pytest.raises(EngineFailure) as failure:
            await whole(poisoned)
        assert "secret" not in str(failure.value), "what broke inside is for the log"
        for stream, prompt in zip(healthy, PROMPTS, strict=True):
            assert (await whole(stream))[0].token_ids == ids(plain.generate(prompt, LASTING))[0]
        await settled(service)


@in_loop
async def test_a_broken_step_loses_its_texts_but_not_the_thread(plain: LLM) -> None:
    async with serving(plain) as service:
        real = service.engine.step

        def broken() -> None:
            raise RuntimeError("a bug")

        service.engine.step = broken  # type: ignore[method-assign]
        stream = await service.submit(PROMPTS[0], LASTING)
        with pytest.raises(EngineFailure):
            await whole(stream)
        service.engine.step = real  # type: ignore[method-assign]
        assert service.alive
        assert (await whole(await service.submit(PROMPTS[0], WARM)))[0].finish_reason
        await settled(service)


@in_loop
async def test_a_broken_step_does_not_lose_who_waits(plain: LLM) -> None:
    """The engine breaks once, in a pass of the two texts that have a slot; the third goes on as if alone."""
    llm = plain.with_draft()
    llm.engine.scheduler.max_num_seqs = 2
    async with serving(llm) as service:
        running = [await service.submit(prompt, ENDLESS) for prompt in PROMPTS[:2]]
        for stream in running:
            await anext(stream)
        waiting, draft = await service.submit(PROMPTS[2], WARM), service.engine._draft

        def broken(*_: object) -> list[Share]:
            service.engine._draft = draft  # type: ignore[method-assign]
            raise RuntimeError("a bug")

        service.engine._draft = broken  # type: ignore[method-assign]
        for stream in running:
            with pytest.raises(EngineFailure):
                await whole(stream)
        assert (await whole(waiting))[0].token_ids == ids(plain.generate(PROMPTS[2], WARM))[0]
        await settled(service)


@pytest.mark.parametrize("seconds", [PATIENCE, 0.0])
def test_it_ends_in_order(plain: LLM, seconds: float) -> None:
    async def run() -> None:
        async with serving(plain) as service:
            stream = await service.submit(PROMPTS[0], LASTING if seconds else ENDLESS)
            reading = asyncio.ensure_future(whole(stream))
            await asyncio.sleep(0)
            ending: Awaitable[None] = asyncio.ensure_future(service.drain(seconds))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded, match="shutting down"):
                await service.submit(PROMPTS[0], WARM)
            await ending
            assert not service.alive
            if seconds:
                assert len((await reading)[0].token_ids) == 200
            else:
                with pytest.raises(Overloaded, match="shut down"):
                    await reading

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_a_reader_whose_loop_is_gone_holds_nothing_up(plain: LLM) -> None:
    service = Service(plain.with_draft(None))
    slow_down(service)
    service.start()

    async def begin() -> Stream:
        stream = await service.submit(PROMPTS[0], replace(LASTING, max_tokens=None))
        await anext(stream)
        return stream

    kept = asyncio.run(begin())
    asyncio.run(settled(service))
    assert kept._job.group.requests[0].output.finish_reason == "abort", "what nobody can read is not written"
    del kept
    service.close()


@in_loop
async def test_nobody_slips_in_behind_the_last_look_at_the_queue(plain: LLM) -> None:
    """The thread is told to end just after a request was found welcome, and before it is queued."""
    async with serving(plain) as service:
        check, calls = service._check_alive, []

        def slow_check() -> None:
            check()
            calls.append(1)
            if len(calls) == 2:
                service._stop.set()
                service._thread.join(1.0)

        service._check_alive = slow_check  # type: ignore[method-assign]
        stream = await service.submit(PROMPTS[0], WARM)
        with pytest.raises(Overloaded, match="shut down"):
            await whole(stream)


@in_loop
async def test_many_clients_coming_and_going(plain: LLM) -> None:
    """Whoever stays gets the text it would have got alone."""
    random_source = random.Random(0)
    kinds = [replace(WARM, seed=seed, max_tokens=30) for seed in range(4)]
    expected = {
        (p, k): ids(plain.generate(prompt, kind))[0] for p, prompt in enumerate(PROMPTS) for k, kind in enumerate(kinds)
    }

    async def client(service: Service, number: int) -> bool:
        await asyncio.sleep(random_source.random() * 0.5)
        p, k = random_source.randrange(4), random_source.randrange(4)
        stream = await service.submit(PROMPTS[p], kinds[k], client=str(number % 5))
        if number % 3 == 0:
            async with stream:
                await anext(stream)
            return False
        return (await whole(stream))[0].token_ids == expected[p, k]

    async with serving(plain) as service:
        service.engine.scheduler.max_num_seqs = 5
        service.engine.scheduler.prefixes.most = 3
        results = await asyncio.gather(*(client(service, number) for number in range(90)))
        await settled(service)
    assert results.count(True) == 60
