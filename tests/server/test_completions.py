"""Completions through OpenAI's own client."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from frspec import LLM, SamplingParams
from tests.server.conftest import joined, said

PROMPTS = ["Once upon a time", "The little dog"]


def complete(client: openai.OpenAI, prompt: Any = PROMPTS[0], **more: Any) -> Any:
    return client.completions.create(model="demo", prompt=prompt, **{"temperature": 0, "max_tokens": 12, **more})


def test_texts_are_those_of_the_model_alone(client: openai.OpenAI, alone: LLM) -> None:
    outputs = alone.generate(PROMPTS, SamplingParams(n=2, seed=5, max_tokens=12))
    expected = [completion.text for output in outputs for completion in output.outputs]
    answer = complete(client, PROMPTS, n=2, seed=5, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in answer.choices] == expected
    assert answer.object == "text_completion"
    assert answer.id.startswith("cmpl-")
    assert answer.usage.prompt_tokens == sum(len(output.prompt_token_ids) for output in outputs)
    chunks = list(complete(client, PROMPTS, n=2, seed=5, temperature=1, stream=True))
    assert [said(chunks, index) for index in range(4)] == expected


def test_every_form_of_prompt(client: openai.OpenAI, alone: LLM) -> None:
    ids = [alone.get_tokenizer().encode(prompt) for prompt in PROMPTS]
    texts = [choice.text for choice in complete(client, PROMPTS).choices]
    assert [choice.text for choice in complete(client, ids).choices] == texts
    assert complete(client, ids[0]).choices[0].text == complete(client, PROMPTS[0]).choices[0].text == texts[0]


def test_sixteen_tokens_unless_more_are_asked_for(client: openai.OpenAI) -> None:
    answer = complete(client, max_tokens=openai.omit, extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 16
    assert answer.choices[0].finish_reason == "length"


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_with_places_in_the_text(client: openai.OpenAI, stream: bool) -> None:
    answer = complete(client, logprobs=2, echo=True, stream=stream)
    chunks = list(answer) if stream else [answer]
    text = "".join(chunk.choices[0].text for chunk in chunks)
    told = [chunk.choices[0].logprobs for chunk in chunks]
    tokens = joined(one.tokens for one in told)
    offsets = joined(one.text_offset for one in told)
    scores = joined(one.token_logprobs for one in told)
    tops = joined(one.top_logprobs for one in told)
    assert text.startswith(PROMPTS[0])
    assert "".join(tokens) == text
    assert [text[at : at + len(token)] for at, token in zip(offsets, tokens, strict=True)] == tokens
    assert (scores[0], tops[0]) == (None, None)
    for token, score, top in list(zip(tokens, scores, tops, strict=True))[1:]:
        assert top[token] == score
        assert 2 <= len(top) <= 3


def test_a_prompt_is_scored_without_a_word_of_its_own(client: openai.OpenAI) -> None:
    """What evaluation programs ask for."""
    answer = complete(client, echo=True, logprobs=1, max_tokens=0)
    longer = complete(client, echo=True, logprobs=1, max_tokens=2)
    assert answer.choices[0].text == PROMPTS[0]
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 0
    scores = answer.choices[0].logprobs.token_logprobs
    assert scores[1:] == pytest.approx(longer.choices[0].logprobs.token_logprobs[1 : len(scores)], abs=1e-3)
    assert said(complete(client, echo=True, max_tokens=0, stream=True)) == PROMPTS[0]


def test_bytes_that_are_no_character_have_names_of_their_own(tiny_client: openai.OpenAI) -> None:
    bias = {str(id): -100 for id in (0, 1, 2)}
    answer = tiny_client.completions.create(
        model="tiny", prompt="a", max_tokens=60, logprobs=2, seed=1, logit_bias=bias, extra_body={"ignore_eos": True}
    )
    told = answer.choices[0].logprobs
    content = b"".join(
        bytes.fromhex(token[6:].replace("\\x", "")) if token.startswith("bytes:") else token.encode()
        for token in told.tokens
    )
    assert content.decode(errors="replace") == answer.choices[0].text
    assert any(token.startswith("bytes:") for token in told.tokens)


def test_ids_and_scores_of_the_prompt(client: openai.OpenAI, alone: LLM) -> None:
    body = {"return_token_ids": True, "prompt_logprobs": 0}
    answer = complete(client, PROMPTS, extra_body=body)
    for prompt, choice in zip(PROMPTS, answer.choices, strict=True):
        ids = alone.get_tokenizer().encode(prompt)
        assert choice.prompt_token_ids == ids
        assert [None if one is None else list(one) for one in choice.prompt_logprobs] == [
            None,
            *([str(i)] for i in ids[1:]),
        ]
    chunks = list(complete(client, PROMPTS, stream=True, extra_body={"return_token_ids": True}))
    first = {chunk.choices[0].index: chunk.choices[0] for chunk in reversed(chunks)}
    assert [first[i].prompt_token_ids for i in (0, 1)] == [choice.prompt_token_ids for choice in answer.choices]


def test_a_bias_forbids(client: openai.OpenAI, alone: LLM) -> None:
    likely = alone.generate(PROMPTS[0], SamplingParams(temperature=0, max_tokens=1))[0].outputs[0].token_ids[0]
    answer = complete(client, max_tokens=1, logit_bias={str(likely): -100}, extra_body={"return_token_ids": True})
    assert answer.choices[0].token_ids != [likely]


def test_a_stop_token(client: openai.OpenAI) -> None:
    ids = complete(client, extra_body={"return_token_ids": True}).choices[0].token_ids
    answer = complete(client, extra_body={"return_token_ids": True, "stop_token_ids": [ids[4]]}).choices[0]
    assert (answer.token_ids, answer.finish_reason, answer.stop_reason) == (ids[:5], "stop", ids[4])
