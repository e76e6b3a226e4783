"""The offline API: shapes as in vLLM, log-probabilities as in Hugging Face, and clear refusals."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

from frspec import LLM, Ranking, SamplingParams, UserError
from frspec.models.eagle import new_head, save_eagle
from tests.engine.conftest import GREEDY, PROMPTS, WARM, ids


def test_prompts_in_every_form(plain: LLM) -> None:
    tokens = plain.get_tokenizer().encode(PROMPTS[0])
    expected = ids(plain.generate(PROMPTS[0], GREEDY))
    for prompt in (tokens, [tokens], [PROMPTS[0]], {"prompt": PROMPTS[0]}, {"prompt_token_ids": tokens}):
        assert ids(plain.generate(prompt, GREEDY)) == expected
    output = plain.generate(PROMPTS[0], GREEDY)[0]
    assert (output.prompt, output.prompt_token_ids, output.finished) == (PROMPTS[0], tokens, True)
    assert plain.generate([], GREEDY) == []


def test_one_set_of_parameters_each(plain: LLM) -> None:
    several = [GREEDY, WARM, replace(WARM, seed=4, max_tokens=5)]
    together = plain.generate(PROMPTS[:3], several)
    alone = [plain.generate(prompt, params)[0] for prompt, params in zip(PROMPTS, several, strict=False)]
    assert ids(together) == ids(alone)
    with pytest.raises(UserError, match="3 prompts but 2"):
        plain.generate(PROMPTS[:3], several[:2])


def test_n_completions_are_seeded_one_by_one(plain: LLM) -> None:
    for llm in (plain, plain.with_draft("ngram")):
        output = llm.generate(PROMPTS[0], replace(WARM, n=3, seed=20))[0]
        assert [completion.index for completion in output.outputs] == [0, 1, 2]
        assert ids([output]) == [ids(plain.generate(PROMPTS[0], replace(WARM, seed=20 + i)))[0] for i in range(3)]


def test_ids_without_text(plain: LLM) -> None:
    output = plain.generate(PROMPTS[0], replace(GREEDY, detokenize=False))[0].outputs[0]
    assert (output.text, [output.token_ids]) == ("", ids(plain.generate(PROMPTS[0], GREEDY)))
    with pytest.raises(UserError, match="detokenize"):
        plain.generate(PROMPTS[0], replace(GREEDY, detokenize=False, stop="x"))


def test_an_engine_seed_makes_seedless_requests_reproducible(stories: Path) -> None:
    params = replace(WARM, seed=None)
    first, second = (ids(LLM(stories, seed=5).generate(PROMPTS, params, use_tqdm=False)) for _ in range(2))
    assert first == second
    assert len({tuple(text) for text in first}) == len(first)


def test_a_fresh_seed_is_drawn_and_told(plain: LLM) -> None:
    params = replace(WARM, seed=None)
    first, second = (plain.generate(PROMPTS[0], params)[0] for _ in range(2))
    assert first.seed != second.seed
    assert ids([first]) != ids([second])
    assert ids(plain.generate(PROMPTS[0], replace(params, seed=first.seed))) == ids([first])


def test_logprobs_are_hugging_faces(plain: LLM, stories: Path) -> None:
    reference = LlamaForCausalLM.from_pretrained(stories)
    params = replace(GREEDY, logprobs=4, prompt_logprobs=2, max_tokens=12)
    for llm in (plain, plain.with_draft("ngram")):
        llm.engine.scheduler.chunk = 3
        output = llm.generate(PROMPTS[1], params)[0]
        tokens = output.prompt_token_ids + output.outputs[0].token_ids
        with torch.no_grad():
            expected = reference(torch.tensor([tokens])).logits[0].log_softmax(-1)
        assert output.prompt_logprobs is not None
        assert output.prompt_logprobs[0] is None
        steps = output.prompt_logprobs[1:] + (output.outputs[0].logprobs or [])
        assert len(steps) == len(tokens) - 1
        for position, step in enumerate(steps):
            assert step is not None
            assert tokens[position + 1] in step
            order = expected[position].argsort(descending=True).tolist()
            for token, entry in step.items():
                assert entry.logprob == pytest.approx(float(expected[position, token]), abs=1e-4)
                assert order[entry.rank - 1] == token
                assert entry.decoded_token == plain.get_tokenizer().decode([token], skip_special_tokens=False)
        total = sum(
            step[t].logprob
            for t, step in zip(output.outputs[0].token_ids, output.outputs[0].logprobs or [], strict=True)
        )
        assert output.outputs[0].cumulative_logprob == pytest.approx(total)
    plain.engine.scheduler.chunk = 512


def test_streaming_ends_with_what_generate_returns(plain: LLM) -> None:
    for llm in (plain, plain.with_draft("ngram")):
        last: dict[str, list[int]] = {}
        finished: Counter[str] = Counter()
        for output in llm.stream(PROMPTS, WARM):
            before = last.get(output.request_id, [])
            now = output.outputs[0].token_ids
            assert now[: len(before)] == before
            assert len(now) > len(before)
            last[output.request_id] = now
            finished[output.request_id] += output.finished
        assert list(dict(sorted(last.items(), key=lambda i: int(i[0]))).values()) == ids(plain.generate(PROMPTS, WARM))
        assert set(finished.values()) == {1}


def test_streams_and_calls_share_the_engine(plain: LLM) -> None:
    expected = [ids(plain.generate(prompt, WARM)) for prompt in PROMPTS[:3]]
    for llm in (plain, plain.with_draft("ngram")):
        first, second = llm.stream(PROMPTS[0], WARM), llm.stream(PROMPTS[1], WARM)
        next(first)
        seen = list(second)
        assert ids(llm.generate(PROMPTS[2], WARM)) == expected[2]
        rest = list(first)
        assert ids(rest[-1:]) == expected[0]
        assert ids(seen[-1:]) == expected[1]
        assert rest[-1].finished


def test_a_request_without_a_way_on_fails_alone(plain: LLM) -> None:
    hopeless = SamplingParams(allowed_token_ids=[2], min_tokens=3)
    stream = plain.stream(PROMPTS[0], WARM)
    next(stream)
    with pytest.raises(UserError, match="leave no token"):
        plain.generate(PROMPTS[1], hopeless)
    assert ids(list(stream)[-1:]) == ids(plain.generate(PROMPTS[0], WARM))


@pytest.mark.parametrize("where", ["forward", "logits"])
@pytest.mark.parametrize("draft", [None, "ngram", "itself"])
def test_a_broken_off_step_spoils_no_other_text(
    stories: Path, where: str, draft: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C inside one stream's step: the text that shared it must not go on from half a step."""
    llm = LLM(stories, draft=str(stories) if draft == "itself" else draft, enable_prefix_caching=True)
    expected = [ids(llm.generate(prompt, WARM)) for prompt in PROMPTS]
    first, second = llm.stream(PROMPTS[0], WARM), llm.stream(PROMPTS[1], WARM)
    next(first), next(second), next(first)
    target, real, calls = llm.engine.target, getattr(llm.engine.target, where), []

    def interrupted(*arguments: object) -> object:
        done = real(*arguments)
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(target, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(first)
    with pytest.raises(UserError, match="broken off"):
        list(second)
    assert not llm.engine.running
    assert [ids([output]) for output in llm.generate(PROMPTS, WARM)] == expected


def test_rates_of_several_completions_are_of_the_whole(plain: LLM) -> None:
    one_by_one = plain.with_draft(None)
    one_by_one.engine.scheduler.max_num_seqs = 1
    metrics = one_by_one.generate(PROMPTS[0], replace(WARM, n=3, ignore_eos=True))[0].metrics
    alone = one_by_one.generate(PROMPTS[0], replace(WARM, ignore_eos=True))[0].metrics
    assert metrics.emitted == 3 * 47
    assert metrics.decode_seconds > 1.5 * alone.decode_seconds


def test_the_context_is_what_the_budget_holds_with_each_drafter(stories: Path) -> None:
    row = LLM(stories).engine.scheduler.row_bytes
    llm = LLM(stories, kv_cache_memory_bytes=300 * row)
    drafted = llm.with_draft(str(stories))
    both = drafted.engine.scheduler.row_bytes
    assert both > row
    assert (llm.max_model_len, drafted.max_model_len) == (300, 300 * row // both)
    assert drafted.with_draft(None).max_model_len == 300
    strict = LLM(stories, kv_cache_memory_bytes=300 * row, max_model_len=300)
    assert strict.with_draft("ngram").max_model_len == 300
    with pytest.raises(UserError, match="give more in kv_cache_memory_bytes"):
        strict.with_draft(str(stories))


def test_with_draft_keeps_the_shape(stories: Path) -> None:
    llm = LLM(stories, num_speculative_tokens=31, tree_width=7)
    drafter = llm.with_draft(str(stories)).engine.drafter
    assert drafter is not None
    assert drafter.max_nodes == 31


def test_damaged_weights_are_noticed(stories: Path) -> None:
    llm = LLM(stories)
    llm.engine.target.embedding[500] = float("nan")
    with pytest.raises(UserError, match="not finite"):
        llm.generate([[1, 500]], GREEDY)


def test_values_as_vllm_and_numpy_have_them(plain: LLM) -> None:
    params = SamplingParams(temperature=np.float32(0), max_tokens=8, stop=None, stop_token_ids=None, bad_words=None)
    tokens = np.array(plain.get_tokenizer().encode(PROMPTS[0]))
    expected = ids(plain.generate(PROMPTS[0], params))
    assert ids(plain.generate(tokens, params)) == expected
    assert ids(plain.generate({"prompt": PROMPTS[0], "prompt_token_ids": None}, params)) == expected
    assert SamplingParams(seed=-1).seed is None
    warm = replace(WARM, seed=np.int64(11))
    assert ids(plain.generate(PROMPTS[0], warm)) == ids(plain.generate(PROMPTS[0], WARM))


def test_a_stream_is_checked_when_it_is_asked_for(plain: LLM) -> None:
    with pytest.raises(UserError, match="no tokens"):
        plain.stream([[]], GREEDY)


def test_a_stream_left_early_leaves_nothing_behind(plain: LLM) -> None:
    stream = plain.stream(PROMPTS, WARM)
    next(stream)
    stream.close()
    assert not plain.engine.running
    assert not plain.engine.scheduler.waiting
    assert ids(plain.generate(PROMPTS[0], GREEDY)) == ids(plain.generate(PROMPTS[0], GREEDY))


def test_chat_goes_through_the_template(stories: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chatty"
    shutil.copytree(stories, folder)
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }} {% endfor %}")
    llm = LLM(folder)
    talk = [{"role": "user", "content": "Tell me about Tim"}]
    output = llm.chat(talk, GREEDY)[0]
    assert output.prompt == "user: Tell me about Tim "
    assert output.prompt_token_ids == llm.get_tokenizer().encode(output.prompt, add_special_tokens=False)
    assert ids(llm.chat([talk, talk], GREEDY)) == ids([output, output])
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}{% if shout %}!{% endif %}")
    assert LLM(folder).chat(talk, GREEDY, chat_template_kwargs={"shout": True})[0].prompt == "Tell me about Tim!"


def test_heads_and_rankings_are_checked(stories: Path, tmp_path: Path, plain: LLM) -> None:
    config, tensors = new_head(plain.engine.target, torch.Generator().manual_seed(0))
    save_eagle(tmp_path / "head", config, tensors, torch.float32, {})
    fingerprint = plain.get_tokenizer().fingerprint
    Ranking.from_counts(np.arange(2048), fingerprint).save(tmp_path / "good.ranking")
    Ranking.from_counts(np.arange(2048), "0" * 32).save(tmp_path / "other.ranking")
    head = str(tmp_path / "head")
    expected = ids(plain.generate(PROMPTS, WARM))
    for size in (64, 0.5, "full", None):
        llm = LLM(stories, draft=head, draft_vocab=size, ranking=tmp_path / "good.ranking")
        assert ids(llm.generate(PROMPTS, WARM)) == expected
    llm = LLM(stories, draft=str(stories), draft_vocab=str(tmp_path / "good.ranking"))
    assert ids(llm.generate(PROMPTS, WARM)) == expected
    with pytest.raises(UserError, match="another tokenizer"):
        LLM(stories, draft=head, draft_vocab=64, ranking=tmp_path / "other.ranking")
    with pytest.raises(UserError, match="needs a ranking"):
        LLM(stories, draft=head, draft_vocab=64)
    with pytest.raises(UserError, match="needs a drafter with a head"):
        LLM(stories, draft="ngram", draft_vocab=64, ranking=tmp_path / "good.ranking")
    wide = {name: torch.cat([t, t]) if name == "fc.weight" else t for name, t in tensors.items()}
    save_file(wide, tmp_path / "head" / "model.safetensors")
    with pytest.raises(UserError, match=r"fc\.weight"):
        LLM(stories, draft=head)


def test_a_draft_model_whose_head_is_padded_otherwise(stories: Path, tmp_path: Path, plain: LLM) -> None:
    """As Qwen2.5's sizes have it: one tokenizer, heads with more or fewer rows that stand for nothing."""
    folder = tmp_path / "padded"
    shutil.copytree(stories, folder)
    padded = LlamaForCausalLM.from_pretrained(stories)
    padded.resize_token_embeddings(2048 + 64, mean_resizing=False)
    padded.save_pretrained(folder)
    for target, draft in ((stories, folder), (folder, stories)):
        expected = ids(LLM(target).generate(PROMPTS, WARM))
        drafted = LLM(target, draft=draft, num_speculative_tokens=15)
        assert ids(drafted.generate(PROMPTS, WARM)) == expected
        assert drafted.engine.stats.mean_acceptance_length > 2


def test_a_draft_model_with_another_vocabulary_is_refused(stories: Path, random_checkpoint: Path) -> None:
    with pytest.raises(UserError, match="share a vocabulary"):
        LLM(stories, draft=str(random_checkpoint), skip_tokenizer_init=True)


BAD_PARAMS = {
    "temperature": [-1, float("nan"), float("inf"), "hot"],
    "top_p": [0, 1.1],
    "top_k": [-2, 1.5],
    "min_p": [-0.1, 2],
    "n": [0],
    "max_tokens": [0, "5"],
    "min_tokens": [-1, 17],
    "stop": [[""]],
    "repetition_penalty": [0],
    "presence_penalty": [3],
    "frequency_penalty": [-2.5],
    "seed": [2**64, 1.5],
    "logprobs": [-1],
    "allowed_token_ids": [[], [-1]],
    "logit_bias": [{-1: 1.0}, {3: float("nan")}],
    "stop_token_ids": [[-1], 5],
    "bad_words": [[""], "foo"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_PARAMS.items() for value in values])
def test_impossible_sampling_values(name: str, value: object) -> None:
    with pytest.raises(UserError, match=name):
        SamplingParams(**{name: value})


def test_unknown_arguments_are_errors(stories: Path) -> None:
    with pytest.raises(TypeError, match="beam_width"):
        SamplingParams(beam_width=3)
    with pytest.raises(TypeError, match="gpu_magic"):
        LLM(stories, gpu_magic=True)


@pytest.mark.parametrize(
    ("prompt", "params", "message"),
    [
        ([[]], {}, "no tokens"),
        ([[5000]], {}, "token 5000"),
        ([[1] * 512], {}, "512 tokens"),
        ({"prompt_tokens": [1]}, {}, "prompt_tokens"),
        ({}, {}, "nothing"),
        ("Hi", {"logit_bias": {9999: 1.0}}, "9999"),
        ("Hi", {"stop_token_ids": [4000]}, "4000"),
        ("Hi", {"logprobs": 3000}, "3000"),
    ],
)
def test_requests_that_cannot_be_honoured(plain: LLM, prompt: object, params: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plain.generate(prompt, SamplingParams(**params))
    assert not plain.engine.running


def test_text_needs_a_tokenizer(random_llm: LLM) -> None:
    for prompt, params in (("Hi", {}), ([1], {"stop": "x"}), ([1], {"bad_words": ["x"]})):
        with pytest.raises(UserError, match="skip_tokenizer_init"):
            random_llm.generate(prompt, SamplingParams(**params))


def test_settings_that_cannot_be_honoured(stories: Path) -> None:
    for setting in ({"max_model_len": 513}, {"max_num_seqs": 0}, {"num_speculative_tokens": 0}, {"dtype": "int3"}):
        with pytest.raises(UserError):
            LLM(stories, **setting)
