"""Chats through OpenAI's own client, against the same model asked without a server and against Hugging Face."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import openai
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from frspec import LLM, SamplingParams, shipped
from frspec.engine.service import Service
from frspec.server.settings import Settings
from tests.patience import PATIENCE
from tests.server.conftest import client_of, idle, new_ids, said, served, slow

ASK = [{"role": "user", "content": "I would like to find a place to eat in San Jose."}]
TALK = [
    {"role": "system", "content": "You are kind."},
    *ASK,
    {"role": "assistant", "content": "What would you like to eat?"},
    {"role": "user", "content": "Some pizza."},
]


def ask(client: openai.OpenAI, messages: Any = ASK, **more: Any) -> Any:
    return client.chat.completions.create(model="demo", messages=messages, **{"max_tokens": 24, **more})


@pytest.fixture(scope="module")
def reference() -> Any:
    return AutoTokenizer.from_pretrained(str(shipped.FOLDER / "target"))


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0},
        {"temperature": 1.0, "seed": 3},
        {"temperature": 0.7, "top_p": 0.8, "seed": 5, "frequency_penalty": 0.5},
        {"temperature": 0.9, "seed": 1, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.2},
    ],
    ids=str,
)
def test_the_text_is_that_of_the_model_alone(client: openai.OpenAI, alone: LLM, params: dict[str, Any]) -> None:
    expected = alone.chat(TALK, SamplingParams(max_tokens=24, **params))[0].outputs[0]
    ours = {key: params[key] for key in params if key in ("top_k", "min_p", "repetition_penalty")}
    theirs = {key: params[key] for key in params if key not in ours}
    body = {**ours, "return_token_ids": True}
    answer = ask(client, TALK, **theirs, extra_body=body)
    chunks = list(ask(client, TALK, **theirs, extra_body=body, stream=True))
    assert answer.choices[0].token_ids == expected.token_ids
    assert answer.choices[0].message.content == expected.text == said(chunks)
    assert new_ids(chunks) == expected.token_ids
    assert answer.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == expected.finish_reason


def test_the_shape_of_an_answer(client: openai.OpenAI, reference: Any) -> None:
    answer = ask(client, TALK, temperature=0, max_tokens=3)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "demo"
    assert answer.system_fingerprint.startswith("frspec-")
    (choice,) = answer.choices
    assert (choice.index, choice.finish_reason, choice.logprobs, choice.message.role) == (
        0,
        "length",
        None,
        "assistant",
    )
    prompt = reference.apply_chat_template(TALK, add_generation_prompt=True, tokenize=False)
    tokens = len(reference(prompt, add_special_tokens=False)["input_ids"])
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (tokens, 3, tokens + 3)
    assert ask(client, TALK, temperature=0, max_tokens=3).usage.prompt_tokens_details.cached_tokens >= tokens - 1


def test_the_shape_of_a_stream(url: str) -> None:
    body = {
        "messages": ASK,
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
    }
    response = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == ("no-cache", "no")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["system_fingerprint"]) for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["length"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 5


def test_usage_in_every_chunk(client: openai.OpenAI) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = list(ask(client, stream=True, stream_options=options, max_tokens=6))
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[-1] == 6


def test_several_answers(client: openai.OpenAI, alone: LLM) -> None:
    expected = [c.text for c in alone.chat(ASK, SamplingParams(n=3, seed=2, max_tokens=16))[0].outputs]
    answer = ask(client, n=3, seed=2, max_tokens=16)
    assert [choice.message.content for choice in answer.choices] == expected
    chunks = list(ask(client, n=3, seed=2, max_tokens=16, stream=True, stream_options={"include_usage": True}))
    assert [said(chunks, index) for index in range(3)] == expected
    assert chunks[-1].usage.completion_tokens == answer.usage.completion_tokens
    assert len([c for chunk in chunks for c in chunk.choices if c.finish_reason]) == 3
    assert len([c for chunk in chunks for c in chunk.choices if c.delta.role]) == 3


def test_logprobs_are_those_of_hugging_face(client: openai.OpenAI, reference: Any) -> None:
    body = {"return_token_ids": True, "prompt_logprobs": 1}
    answer = ask(client, temperature=1, seed=4, max_tokens=8, logprobs=True, top_logprobs=3, extra_body=body)
    choice = answer.choices[0]
    model = AutoModelForCausalLM.from_pretrained(str(shipped.FOLDER / "target"), dtype=torch.float32)
    ids, prompt = choice.token_ids, answer.prompt_token_ids
    with torch.inference_mode():
        scores = model(torch.tensor([prompt + ids])).logits[0].log_softmax(-1)
    for place, (id, told) in enumerate(zip(ids, choice.logprobs.content, strict=True), len(prompt) - 1):
        assert told.logprob == pytest.approx(float(scores[place, id]), abs=0.05)  # bfloat16 against float32
        assert bytes(told.bytes).decode() == told.token == reference.decode([id])
        assert len(told.top_logprobs) == 3
        best = scores[place].topk(3).values.tolist()
        assert [other.logprob for other in told.top_logprobs] == pytest.approx(best, abs=0.05)
    text = b"".join(bytes(told.bytes) for told in choice.logprobs.content)
    assert text.decode().startswith(choice.message.content)
    assert answer.prompt_logprobs[0] is None
    for place, (id, told) in enumerate(zip(prompt[1:], answer.prompt_logprobs[1:], strict=True)):
        assert told[str(id)]["logprob"] == pytest.approx(float(scores[place, id]), abs=0.05)


def test_logprobs_of_a_stream_are_those_of_the_whole(client: openai.OpenAI) -> None:
    params: dict[str, Any] = {"temperature": 0, "logprobs": True, "top_logprobs": 2, "max_tokens": 12}
    whole = ask(client, **params).choices[0].logprobs.content
    chunks = list(ask(client, **params, stream=True))
    pieces = [piece for chunk in chunks if chunk.choices[0].logprobs for piece in chunk.choices[0].logprobs.content]
    assert [(p.token, p.bytes) for p in pieces] == [(p.token, p.bytes) for p in whole]
    assert [p.logprob for p in pieces] == pytest.approx([p.logprob for p in whole], abs=1e-3)


def test_a_stop_string_across_tokens_is_never_half_sent(client: openai.OpenAI) -> None:
    text = ask(client, temperature=0).choices[0].message.content
    stop = text[7:15]  # from the middle of a word into another
    answer = ask(client, temperature=0, stop=[stop, "never said"])
    assert answer.choices[0].message.content == text[: text.index(stop)]
    assert (answer.choices[0].finish_reason, answer.choices[0].stop_reason) == ("stop", stop)
    assert said(ask(client, temperature=0, stop=stop, stream=True)) == text[: text.index(stop)]
    kept = ask(client, temperature=0, stop=stop, extra_body={"include_stop_str_in_output": True})
    assert kept.choices[0].message.content == text[: text.index(stop) + len(stop)]


def test_no_half_characters(tiny_client: openai.OpenAI, tiny: Service) -> None:
    """A model that writes random bytes: what is cut into tokens anywhere is never cut anywhere in the stream."""
    alone = tiny.llm.get_tokenizer()
    body = {"return_token_ids": True, "ignore_eos": True, "logit_bias": {str(id): -100 for id in (0, 1, 2)}}
    seen = 0
    for seed in range(6):
        chunks = list(
            tiny_client.chat.completions.create(
                model="tiny", messages=ASK, max_tokens=60, seed=seed, stream=True, extra_body=body
            )
        )
        ids = new_ids(chunks)
        content = b"".join(alone.token_bytes(id) for id in ids)
        assert said(chunks) == content.decode(errors="replace")
        seen += any(id for id in ids if alone.token_bytes(id).decode(errors="ignore") == "")
    assert seen  # or nothing was tried


def test_what_accepted_drafts_brought(client: openai.OpenAI) -> None:
    told = ask(client, temperature=0, extra_body={"speculation": "counts"}).speculation
    assert told["target_passes"] > 0
    assert sum(told["accepted"]) > 0
    assert all(accepted <= drafted for accepted, drafted in zip(told["accepted"], told["drafted"], strict=True))
    chunks = list(ask(client, temperature=0, stream=True, extra_body={"speculation": "tree", "return_token_ids": True}))
    text = said(chunks)
    pieces = [chunk for chunk in chunks if getattr(chunk, "speculation", None)]
    tokens = [token for piece in pieces for token in piece.speculation["tokens"]]
    assert [token["id"] for token in tokens] == new_ids(pieces)
    assert [token["end"] for token in tokens] == sorted(token["end"] for token in tokens)
    assert tokens[-1]["end"] == len(text)
    rounds = [one for piece in pieces for one in piece.speculation["rounds"]]
    emitted = [id for one in rounds for id in one["emitted"]]
    assert emitted == [token["id"] for token in tokens[1:]]  # the first comes of the prompt's own pass
    for one in rounds:
        assert len(one["tokens"]) == len(one["texts"]) == len(one["parents"]) == len(one["depths"])
        assert [one["tokens"][node] for node in one["path"][1:]] == one["emitted"][: len(one["path"]) - 1]
    assert pieces[-1].speculation["target_passes"] == told["target_passes"] == len(rounds)


def test_a_conversation_goes_on_where_it_was(client: openai.OpenAI, reference: Any) -> None:
    begun = [*ASK, {"role": "assistant", "content": "What kind of "}]
    body = {"continue_final_message": True, "add_generation_prompt": False, "return_token_ids": True}
    answer = ask(client, begun, temperature=0, max_tokens=4, extra_body=body)
    text = reference.apply_chat_template(begun, continue_final_message=True, tokenize=False)
    assert answer.prompt_token_ids == reference(text, add_special_tokens=False)["input_ids"]


def test_an_answer_can_be_sent_back_as_it_came(client: openai.OpenAI, reference: Any) -> None:
    answer = ask(client, temperature=0)
    message = answer.choices[0].message
    more = [*ASK, message, {"role": "user", "content": [{"type": "text", "text": "Thanks."}]}]
    again = ask(client, more, temperature=0, extra_body={"return_token_ids": True})
    plain = [*ASK, {"role": "assistant", "content": message.content}, {"role": "user", "content": "Thanks."}]
    text = reference.apply_chat_template(plain, add_generation_prompt=True, tokenize=False)
    assert again.prompt_token_ids == reference(text, add_special_tokens=False)["input_ids"]
    assert (
        again.usage.prompt_tokens_details.cached_tokens >= answer.usage.prompt_tokens
    )  # the first turn isn't read again


def test_ids_under_load_are_ids_alone(url: str, alone: LLM, demo: Service) -> None:
    talks = [
        [{"role": "user", "content": f"Tell me a story about {thing}."}]
        for thing in ["cat", "dog", "sun", "sea", "tree", "ball"]
    ]
    params = [{"temperature": float(i % 2), "seed": i, "max_tokens": 10 + 5 * i} for i in range(len(talks))]
    expected = [alone.chat(t, SamplingParams(**p))[0].outputs[0].token_ids for t, p in zip(talks, params, strict=True)]

    async def all_at_once() -> list[list[int]]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:

            async def one(number: int) -> list[int]:
                await asyncio.sleep(0.01 * number)
                stream = await client.chat.completions.create(
                    model="demo", messages=talks[number], **params[number], stream=True,
                    extra_body={"return_token_ids": True},
                )  # fmt: skip
                return [id async for chunk in stream for id in getattr(chunk.choices[0], "token_ids", None) or []]

            return await asyncio.gather(*map(one, range(len(talks))))

    assert asyncio.run(all_at_once()) == expected
    idle(demo)


def test_the_checkpoint_recommends_what_a_request_does_not_say(demo: Service, alone: LLM) -> None:
    settings = Settings(served_model_names=("demo",), default_sampling={"temperature": 0.0, "max_tokens": 5})
    with served(demo, settings) as url, client_of(url) as client:
        expected = alone.chat(ASK, SamplingParams(temperature=0, max_tokens=5))[0].outputs[0].text
        assert ask(client, max_tokens=openai.omit).choices[0].message.content == expected
        warm = SamplingParams(temperature=1, seed=4, max_tokens=9)
        answer = ask(client, max_tokens=9, temperature=1, seed=4)
        assert answer.choices[0].message.content == alone.chat(ASK, warm)[0].outputs[0].text


def test_a_stream_left_midway_frees_its_slot(client: openai.OpenAI, demo: Service) -> None:
    before = demo.snapshot().generated_tokens
    with slow(demo), ask(client, max_tokens=900, stream=True, extra_body={"ignore_eos": True}) as stream:
        next(iter(stream))
    idle(demo)
    assert demo.snapshot().generated_tokens - before < 900


def test_an_answer_nobody_waits_for_frees_its_slot(url: str, demo: Service) -> None:
    before = demo.snapshot().generated_tokens

    async def leave() -> None:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            asking = asyncio.create_task(
                client.chat.completions.create(
                    model="demo", messages=ASK, max_tokens=900, extra_body={"ignore_eos": True}
                )
            )
            while demo.snapshot().generated_tokens == before:
                await asyncio.sleep(0.01)
            asking.cancel()

    with slow(demo):
        asyncio.run(leave())
        idle(demo)
    assert demo.snapshot().generated_tokens - before < 900
