"""Texts that must have a form: they have it, are the target's own, and drafts change none of them."""

import itertools
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from scipy import stats
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

from frspec import LLM, SamplingParams
from frspec.engine.request import Request
from frspec.errors import UserError
from frspec.speculation.drafters.base import Drafter
from frspec.speculation.drafters.ngram import NgramDrafter
from frspec.speculation.guidance import Guide
from frspec.speculation.plan import TreeShape
from frspec.types import RequestOutput, StructuredOutputs, TokenTree
from tests.engine.conftest import ids, whole
from tests.engine.drafters import Guesser, Oracle, Wrong
from tests.engine.test_lossless import eagle_of
from tests.shipped.conftest import write_target
from tests.speculation.schemas import random_schema

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "maxItems": 3},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
FORMS: dict[str, dict[str, Any]] = {
    "json": {"json": PERSON},
    "json_object": {"json_object": True},
    "regex": {"regex": r"([0-9]{3}-[a-z]{2,5}! ?){2,4}"},
    "choice": {"choice": ["yes", "no", "perhaps", "perhaps later, or much later", "ünïcödé"]},
    "grammar": {"grammar": 'start: "a" b "c"\nb: "x" | "y" b | "begin" b "end"'},
}
PROMPTS = ["Once upon a time", "there was a little", "dog"]


def asking(form: dict[str, Any], **more: Any) -> SamplingParams:
    settings = {"seed": 5, "max_tokens": 60, **more}
    return SamplingParams(structured_outputs=StructuredOutputs(**form), **settings)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LLM:
    """Random weights, bytes and a few words: it says anything."""
    return LLM(write_target(tmp_path_factory.mktemp("small") / "model", 32, 0))


@pytest.fixture(scope="module")
def demo() -> LLM:
    return LLM("demo")


def check_answers(outputs: list[RequestOutput], schemas: list[dict[str, Any]], most_cut: int) -> None:
    """Every answer that ended by itself is valid; few were cut off."""
    cut = 0
    for output, schema in zip(outputs, schemas, strict=True):
        answer = output.outputs[0]
        if answer.finish_reason == "length":
            cut += 1
            continue
        assert answer.finish_reason == "stop"
        jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))
    assert cut <= most_cut


@pytest.mark.parametrize("start", range(0, 160, 20))
def test_answers_to_random_schemas_are_valid(small: LLM, start: int) -> None:
    schemas = [random_schema(seed) for seed in range(start, start + 20)]
    params = [asking({"json": schema}, seed=start + place, max_tokens=300) for place, schema in enumerate(schemas)]
    check_answers(small.with_draft(NgramDrafter(4)).generate(["once"] * 20, params), schemas, most_cut=2)


@pytest.mark.parametrize("start", range(200, 240, 10))
def test_answers_of_the_shipped_model_are_valid(demo: LLM, start: int) -> None:
    schemas = [random_schema(seed) for seed in range(start, start + 10)]
    params = [asking({"json": schema}, seed=start + place, max_tokens=300) for place, schema in enumerate(schemas)]
    check_answers(demo.generate(["As JSON: "] * 10, params), schemas, most_cut=1)


def test_a_regex_matches_the_whole_text(small: LLM) -> None:
    for regex in (
        FORMS["regex"]["regex"],
        r"[^a-z]{5,9}(x|yy)\n?",
        r"(?i)hello (world|[a-f]+)!{1,3}",
        r"(?s)..\.(\n|\t).{1,9}x",
    ):
        outputs = small.generate(PROMPTS, asking({"regex": regex}, n=4))
        texts = [answer.text for output in outputs for answer in output.outputs]
        assert all(re.fullmatch(regex, text) for text in texts), texts
        assert len(set(texts)) > 4


def test_a_choice_is_one_of_them(small: LLM) -> None:
    choices = FORMS["choice"]["choice"]
    outputs = small.generate("once", asking({"choice": choices}, n=40)).pop().outputs
    assert {answer.text for answer in outputs} <= set(choices)
    assert len({answer.text for answer in outputs}) > 2
    assert all(answer.finish_reason == "stop" for answer in outputs)


def test_a_grammar_is_followed(small: LLM) -> None:
    outputs = small.generate("once", asking(FORMS["grammar"], n=20)).pop().outputs
    for answer in outputs:
        if answer.finish_reason == "stop":
            inner = re.fullmatch("a((?:y|begin)*)x((?:end)*)c", answer.text)
            assert inner is not None
            assert inner[1].count("begin") == inner[2].count("end")
    assert sum(answer.finish_reason == "stop" for answer in outputs) > 5


def drafters(llm: LLM, expected: list[RequestOutput]) -> list[Drafter | None]:
    size = llm.config.vocab_size
    return [
        None, NgramDrafter(6), Guesser(size), Wrong(size, whole(expected)), Oracle(size, whole(expected)),
        eagle_of(llm, 60),
    ]  # fmt: skip


PARAMS = {
    "warm": {},
    "greedy": {"temperature": 0},
    "hot": {"temperature": 2.5, "top_k": 50},
    "filters": {"top_p": 0.9, "min_p": 0.01},
    "penalties": {"repetition_penalty": 1.3, "frequency_penalty": 0.5, "logit_bias": {40: 2.0}},
    "bad words": {"bad_words": ["a", "1"], "stop": ["zz"], "logprobs": 2},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PARAMS)
def test_drafts_change_nothing(small: LLM, form: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against plain guided decoding: no drafter, no forced tokens."""
    params = asking(FORMS[form], **PARAMS[name])
    with monkeypatch.context() as patch:
        patch.setattr(Guide, "fit", lambda self, tree, room: tree)
        expected = outcome(small, params)
    for drafter in drafters(small, expected if isinstance(expected, list) else []):
        drafted = small.with_draft(drafter)
        found = outcome(drafted, params)
        if isinstance(expected, str):
            assert found == expected
            continue
        assert ids(found) == ids(expected)
        assert [o.outputs[0].finish_reason for o in found] == [o.outputs[0].finish_reason for o in expected]
        if params.logprobs is not None:
            pairs = zip(found[0].outputs[0].logprobs, expected[0].outputs[0].logprobs, strict=True)
            assert all(one.keys() == other.keys() for one, other in pairs)


def outcome(llm: LLM, params: SamplingParams) -> Any:
    try:
        return llm.generate(PROMPTS, params)
    except UserError as error:  # "bad words" may leave a form no way on: then so they do whatever drafts
        return str(error)


def test_guided_texts_in_a_batch_with_others(small: LLM) -> None:
    params = [SamplingParams(seed=1, max_tokens=40), *(asking(form) for form in FORMS.values()),
              SamplingParams(temperature=0, max_tokens=30)]  # fmt: skip
    prompts = [PROMPTS[place % 3] for place in range(len(params))]
    alone = [ids(small.generate(prompt, own)) for prompt, own in zip(prompts, params, strict=True)]
    for drafter in (None, NgramDrafter(6), Guesser(small.config.vocab_size)):
        for slots in (2, 16):
            together = small.with_draft(drafter)
            together.engine.scheduler.max_num_seqs = slots
            assert [[one] for one in ids(together.generate(prompts, params))] == alone


def test_the_shipped_head_and_its_trees_change_nothing(demo: LLM) -> None:
    prompts = ["The restaurant as JSON: ", "Tim went to"]
    for params in (asking({"json": PERSON}), asking({"json": PERSON}, temperature=0, max_tokens=30)):
        expected = ids(demo.generate(prompts, params))
        for shape in (TreeShape(4, 4, 1), TreeShape(15, 5, 4)):
            drafted = demo.with_draft("demo", ranking="demo", shape=shape)
            assert ids(drafted.generate(prompts, params)) == expected


def test_what_is_forced_costs_no_pass(small: LLM) -> None:
    """Without any drafter, and never a draft refused."""
    sure = asking({"regex": "Once upon a time, there (was|lived) a little dog, who was called [A-Z][a-z]{2}\\."})
    (output,) = small.generate("dog", sure)
    stats = output.metrics
    assert output.outputs[0].text.startswith("Once upon a time, there ")
    assert stats.accepted_per_position == stats.drafted_per_position
    assert stats.target_passes <= 8 < stats.emitted / 3


def test_length_and_stops_end_a_guided_text_as_any_other(small: LLM) -> None:
    whole_text = small.generate("once", asking({"regex": "[a-c]{30}"}))[0].outputs[0]
    assert whole_text.finish_reason == "stop"
    cut = small.generate("once", asking({"regex": "[a-c]{30}"}, max_tokens=7))[0].outputs[0]
    assert (cut.finish_reason, cut.token_ids) == ("length", whole_text.token_ids[:7])
    stop = whole_text.text[10:12]
    stopped = small.generate("once", asking({"regex": "[a-c]{30}"}, stop=[stop]))[0].outputs[0]
    assert (stopped.stop_reason, stopped.text) == (stop, whole_text.text[: whole_text.text.index(stop)])


def test_a_contradiction_fails_alone(small: LLM) -> None:
    with pytest.raises(UserError, match=r"structured_outputs.*min_tokens"):
        small.generate("once", asking({"choice": ["a"]}, min_tokens=20))
    fine = small.generate("once", asking(FORMS["choice"]))
    small.group("once", asking(FORMS["choice"]))
    with pytest.raises(UserError, match="stop token"):
        small.group("once", asking(FORMS["choice"], ignore_eos=True))
    ended = small.generate("once", asking({"choice": ["aa"]}, ignore_eos=True, stop_token_ids=[70]))[0].outputs[0]
    assert (ended.text, ended.stop_reason) == ("aa", 70)
    assert ids(small.generate("once", asking(FORMS["choice"]))) == ids(fine)


def test_an_interrupted_guided_text_goes_on_where_it_stood(small: LLM) -> None:
    """Its slot is taken and given back at every step."""
    params = asking({"json": PERSON})
    expected = ids(small.generate(PROMPTS, params))
    other = small.with_draft(NgramDrafter(4))
    groups = [other.group(prompt, params) for prompt in PROMPTS]
    for group in groups:
        other.engine.add(group.requests[0])
    while other.engine.busy:
        other.engine.step()
        for request in list(other.engine.running)[1:]:
            interrupt(other, request)
    assert [group.requests[0].output.token_ids for group in groups] == expected


def interrupt(llm: LLM, request: Request) -> None:
    llm.engine.running.remove(request)
    request.cache, request.draft.memory = None, None
    llm.engine.scheduler.waiting.put_back(request)


LETTERS, TEXTS = ["a", "b", "c", "ab", "bc"], 1500
REGEX = re.compile("(a|bc|c){1,2}")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of six ids."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("letters")
    config = LlamaConfig(
        vocab_size=6, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, bos_token_id=None, eos_token_id=0, pad_token_id=None,
        initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    backend = Backend(models.BPE(vocab={text: id for id, text in enumerate(["</s>", *LETTERS])}, merges=[]))
    backend.add_special_tokens(["</s>"])
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    return folder


def test_texts_come_as_often_as_the_restricted_model_says(letters: Path) -> None:
    """Every text of a small language, with its probability by Hugging Face's logits, renormalised token by token."""
    language = {t for n in range(6) for t in map("".join, itertools.product("abc", repeat=n)) if REGEX.fullmatch(t)}
    reference = LlamaForCausalLM.from_pretrained(letters)

    def spread(text: list[int], chance: float) -> None:
        said = "".join(LETTERS[id - 1] for id in text[1:])
        fits = [id for id, more in enumerate(LETTERS, 1) if any(whole.startswith(said + more) for whole in language)]
        fits += [0] * (said in language)
        with torch.no_grad():
            logits = reference(torch.tensor([text])).logits[0, -1].double()
        for id, share in zip(fits, logits[fits].softmax(0).tolist(), strict=True):
            if id == 0:
                expected[tuple(text[1:])] = chance * share
            else:
                spread([*text, id], chance * share)

    expected: dict[tuple[int, ...], float] = {}
    spread([1], 1.0)
    assert sum(expected.values()) == pytest.approx(1.0)
    llm = LLM(letters)
    for drafter in (None, Guesser(6)):
        params = asking({"regex": REGEX.pattern}, n=TEXTS)
        found = Counter(tuple(text[:-1]) for text in ids(llm.with_draft(drafter).generate([1], params)))
        assert set(found) <= set(expected)
        likely = [text for text, chance in expected.items() if chance * TEXTS >= 5]
        rest = TEXTS - sum(found[text] for text in likely)
        chances = [expected[text] * TEXTS for text in likely]
        observed = [*(found[text] for text in likely), rest]
        assert stats.chisquare(observed, [*chances, TEXTS - sum(chances)]).pvalue > 1e-4


def test_forms_are_checked_where_the_request_is(small: LLM) -> None:
    with pytest.raises(UserError, match="Unimplemented"):
        small.group("once", asking({"json": {"not": {}}}))
    no_text = LLM(Path(small.get_tokenizer().name), skip_tokenizer_init=True)
    with pytest.raises(UserError, match="skip_tokenizer_init"):
        no_text.group([5], asking({"regex": "a"}))


def test_a_tree_that_is_fitted_is_the_engines_tree(small: LLM) -> None:
    """What is forbidden is not verified: a drafter that is never right costs a guided text no row."""
    params = asking({"regex": "[0-9]{20}"})
    nonsense = small.get_tokenizer().encode("the", add_special_tokens=False)

    class Nonsense(Guesser):
        def grow(self, state: Any) -> TokenTree:
            return TokenTree.chain([state.tokens[-1], *nonsense[: state.room]])

    (output,) = small.with_draft(Nonsense(small.config.vocab_size)).generate("once", params)
    assert output.metrics.drafted_per_position == []
    assert ids([output]) == ids(small.generate("once", replace(params)))
