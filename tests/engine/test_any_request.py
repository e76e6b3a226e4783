"""Requests of every kind in one batch, drafted for by somebody who is nearly always right."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frspec import LLM, SamplingParams
from frspec.types import RequestOutput
from tests.engine.conftest import PROMPTS
from tests.engine.drafters import Oracle

ids_of_common_words = st.integers(3, 300)


@st.composite
def requests(draw: st.DrawFn) -> SamplingParams:
    most = draw(st.integers(1, 40))
    return SamplingParams(
        n=draw(st.integers(1, 2)),
        temperature=draw(st.sampled_from([0.0, 0.0, 0.3, 1.0, 1.8])),
        top_p=draw(st.sampled_from([1.0, 1.0, 0.9, 0.3])),
        top_k=draw(st.sampled_from([-1, 0, 1, 5, 100])),
        min_p=draw(st.sampled_from([0.0, 0.0, 0.1])),
        seed=draw(st.integers(0, 2**62)),
        max_tokens=most,
        min_tokens=draw(st.integers(0, most)),
        stop=draw(st.lists(st.sampled_from([" the", "a", ".", "mom", "Tim"]), max_size=2)),
        stop_token_ids=draw(st.lists(ids_of_common_words, max_size=3)),
        bad_words=draw(st.lists(st.sampled_from(["was", "a little girl", "She", "the"]), max_size=2)),
        include_stop_str_in_output=draw(st.booleans()),
        ignore_eos=draw(st.booleans()),
        repetition_penalty=draw(st.sampled_from([1.0, 1.0, 1.3, 0.9])),
        presence_penalty=draw(st.sampled_from([0.0, 0.0, 0.7, -0.5])),
        frequency_penalty=draw(st.sampled_from([0.0, 0.0, 1.1])),
        logit_bias=draw(st.dictionaries(ids_of_common_words, st.floats(-5, 5), max_size=3)),
        allowed_token_ids=draw(st.one_of(st.none(), st.just(list(range(0, 2048, 2))))),
        logprobs=draw(st.sampled_from([None, 0, 3])),
        prompt_logprobs=draw(st.sampled_from([None, None, 2])),
    )


def visible(output: RequestOutput) -> list[tuple[object, ...]]:
    """All that a user sees; of log-probabilities, whose they are."""
    return [
        (own.text, own.token_ids, own.finish_reason, own.stop_reason, [set(step) for step in own.logprobs or []])
        for own in output.outputs
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(requests(), min_size=1, max_size=3), st.sampled_from([1, 5, 512]), st.sampled_from([1, 2, 16]))
def test_any_requests_come_out_as_by_plain_decoding(
    plain: LLM, params: list[SamplingParams], chunk: int, seqs: int
) -> None:
    prompts = PROMPTS[: len(params)]
    alone = [plain.generate(prompt, own)[0] for prompt, own in zip(prompts, params, strict=True)]
    texts = [[*output.prompt_token_ids, *own.token_ids] for output in alone for own in output.outputs]
    drafted = plain.with_draft(Oracle(plain.config.vocab_size, texts, honesty=0.95))
    drafted.engine.scheduler.chunk, drafted.engine.scheduler.max_num_seqs = chunk, seqs
    together = drafted.generate(prompts, params)
    assert [visible(output) for output in together] == [visible(output) for output in alone]
    for one, other in zip(together, alone, strict=True):
        assert (one.prompt_logprobs is None) == (other.prompt_logprobs is None)
        assert len(one.prompt_logprobs or []) == len(other.prompt_logprobs or [])
