"""Where the text ends, with and without drafts, against cutting the unstopped text by hand."""

from dataclasses import replace

import pytest

from frspec.engine.llm import LLM
from frspec.types import SamplingParams
from tests.engine.conftest import PROMPTS, ids, whole
from tests.engine.drafters import Oracle

LONG = SamplingParams(temperature=0, max_tokens=80, ignore_eos=True)


@pytest.fixture(scope="module")
def both(plain: LLM) -> tuple[LLM, LLM]:
    """Plain decoding, and long accepted paths for the stops to fall into."""
    texts = whole(plain.generate(PROMPTS, LONG))
    return plain, plain.with_draft(Oracle(plain.config.vocab_size, texts, honesty=0.97))


@pytest.mark.parametrize("stop", ["mom", "to play", ". She", "a", "ay with", "not in there"])
@pytest.mark.parametrize("keep", [False, True])
def test_stop_strings(both: tuple[LLM, LLM], stop: str, keep: bool) -> None:
    params = replace(LONG, stop=stop, include_stop_str_in_output=keep)
    for llm in both:
        full = llm.generate(PROMPTS, LONG)
        for unstopped, output in zip(full, llm.generate(PROMPTS, params), strict=True):
            text, got = unstopped.outputs[0].text, output.outputs[0]
            at = text.find(stop)
            if at < 0:
                assert (got.text, got.finish_reason, got.stop_reason) == (text, "length", None)
            else:
                assert got.text == text[: at + len(stop) if keep else at]
                assert (got.finish_reason, got.stop_reason) == ("stop", stop)
                tokens = unstopped.outputs[0].token_ids[: len(got.token_ids)]
                assert got.token_ids == tokens
                tokenizer = llm.get_tokenizer()
                before = tokenizer.decode(output.prompt_token_ids + tokens[:-1])
                prompt = tokenizer.decode(output.prompt_token_ids)
                assert stop not in before[len(prompt) :], "nothing is kept after the token that completes the stop"


def test_a_stop_string_is_never_half_shown(both: tuple[LLM, LLM]) -> None:
    for llm in both:
        full = llm.generate(PROMPTS[0], LONG)[0].outputs[0].text
        stop = full[30:42]
        params = replace(LONG, stop=[stop, "zzz"])
        shown = [output.outputs[0].text for output in llm.stream(PROMPTS[0], params)]
        assert shown[-1] == full[: full.find(stop)]
        assert all(shown[-1].startswith(text) for text in shown)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 17])
def test_max_tokens(both: tuple[LLM, LLM], most: int) -> None:
    for llm in both:
        full = ids(llm.generate(PROMPTS, LONG))
        outputs = llm.generate(PROMPTS, replace(LONG, max_tokens=most))
        assert ids(outputs) == [tokens[:most] for tokens in full]
        assert {output.outputs[0].finish_reason for output in outputs} == {"length"}


def test_stop_token_ids_end_the_ids_and_not_the_text(both: tuple[LLM, LLM]) -> None:
    for llm in both:
        full = llm.generate(PROMPTS[1], LONG)[0].outputs[0].token_ids
        token = full[20]
        at = full.index(token)
        got = llm.generate(PROMPTS[1], replace(LONG, stop_token_ids=[token]))[0].outputs[0]
        assert got.token_ids == full[: at + 1]
        assert (got.finish_reason, got.stop_reason) == ("stop", token)
        alone = llm.generate(PROMPTS[1], replace(LONG, max_tokens=max(at, 1)))[0].outputs[0]
        assert got.text == (alone.text if at else "")


def test_the_context_ends_the_text(plain: LLM, both: tuple[LLM, LLM]) -> None:
    context = plain.max_model_len
    for llm in both:
        output = llm.generate([[1] * (context - 3)], replace(LONG, max_tokens=None))[0]
        assert len(output.outputs[0].token_ids) == 3
        assert output.outputs[0].finish_reason == "length"


def test_eos_ends_the_text(both: tuple[LLM, LLM]) -> None:
    params = SamplingParams(temperature=1.0, seed=1, max_tokens=400)
    for llm in both:
        output = llm.generate(PROMPTS[0], params)[0]
        got, tokenizer, eos = output.outputs[0], llm.get_tokenizer(), llm.config.stop_token_ids[0]
        assert got.finish_reason == "stop"
        assert got.token_ids[-1] == eos
        assert eos not in got.token_ids[:-1]
        before = tokenizer.decode(output.prompt_token_ids)
        assert before + got.text == tokenizer.decode(output.prompt_token_ids + got.token_ids[:-1])


def test_metrics_add_up(both: tuple[LLM, LLM]) -> None:
    for llm in both:
        for output in llm.generate(PROMPTS, LONG):
            metrics = output.metrics
            assert metrics.emitted == len(output.outputs[0].token_ids) - 1  # the prompt's own pass gave the first
            assert metrics.emitted == metrics.target_passes + sum(metrics.accepted_per_position)
            drafted = metrics.drafted_per_position
            assert all(a <= metrics.target_passes for a in metrics.accepted_per_position)
            assert all(d >= a for d, a in zip(drafted, metrics.accepted_per_position, strict=True))
            assert metrics.time_to_first_token is not None
            assert metrics.tokens_per_second > 0
