"""Each limit at its value and one beyond, and who may have how many requests open."""

from typing import Any

import pytest

from frspec.engine.service import Overloaded
from frspec.server.errors import ApiError
from frspec.server.limits import Gate, check_grammar, check_params, check_prompt, output_tokens
from frspec.server.settings import Settings
from frspec.types import SamplingParams

SMALL = Settings(
    max_prompt_tokens=10, max_output_tokens=20, max_n=4, max_stop=2, max_stop_length=5, max_logprobs=3,
    max_list_items=2, max_grammar_bytes=10, max_streams=3, max_streams_per_client=2,
)  # fmt: skip


@pytest.mark.parametrize(
    ("param", "fits", "too_much"),
    [
        ("n", 4, 5), ("max_tokens", 20, 21), ("stop", ["a", "b"], ["a", "b", "c"]), ("stop", "x" * 5, "x" * 6),
        ("logprobs", 3, 4), ("prompt_logprobs", 3, 4), ("logit_bias", {1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0, 3: 1.0}),
        ("stop_token_ids", [1, 2], [1, 2, 3]), ("bad_words", ["a", "b"], ["a", "b", "c"]),
    ],
)  # fmt: skip
def test_a_request_may_ask_for_so_much(param: str, fits: Any, too_much: Any) -> None:
    check_params(SMALL, SamplingParams(**{param: fits}))
    with pytest.raises(ApiError) as refused:
        check_params(SMALL, SamplingParams(**{param: too_much}))
    assert refused.value.status == 400
    assert refused.value.param == ("top_logprobs" if param == "logprobs" else param)


def test_completions_of_all_prompts_count() -> None:
    check_params(SMALL, SamplingParams(n=2), prompts=2)
    with pytest.raises(ApiError, match="n asks for 6"):
        check_params(SMALL, SamplingParams(n=2), prompts=3)


def test_prompts_and_grammars() -> None:
    check_prompt(SMALL, 10)
    check_prompt(Settings(), 10**9)
    with pytest.raises(ApiError, match="11 tokens"):
        check_prompt(SMALL, 11)
    check_grammar(SMALL, "response_format", "x" * 10)
    check_grammar(SMALL, "response_format", {"a": 1})
    for too_large in ("x" * 11, "é" * 6, {"a": "long"}, ["a", "b", "c"], "\ud800" * 4):
        with pytest.raises(ApiError) as refused:
            check_grammar(SMALL, "response_format", too_large)
        assert (refused.value.status, refused.value.param) == (400, "response_format")


def test_an_answer_without_a_length_takes_what_there_is() -> None:
    assert output_tokens(SMALL, 1000) == 20
    assert output_tokens(SMALL, 7) == 7
    assert output_tokens(Settings(), 1000) == 1000
    assert output_tokens(SMALL, 0) == 1, "the engine says that the prompt leaves no room, not this"


def test_the_gate_counts_all_and_each() -> None:
    gate = Gate(SMALL)
    with gate.entered("anna"), gate.entered("anna"):
        with pytest.raises(ApiError) as refused, gate.entered("anna"):
            pass
        assert (refused.value.status, refused.value.type) == (429, "rate_limit_error")
        assert "Retry-After" in refused.value.headers
        with gate.entered("bert"):
            with pytest.raises(Overloaded), gate.entered("carl"):
                pass
            assert gate.open == 3
        with pytest.raises(KeyError), gate.entered("carl"):
            raise KeyError("whatever happens inside")
    assert gate.open == 0
    assert not gate._open, "clients that have gone are forgotten"
