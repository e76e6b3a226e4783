"""The model that is really shipped, against Hugging Face and against itself."""

import hashlib

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from frspec import LLM, SamplingParams, shipped
from frspec.cli.main import frspec
from frspec.ranking.ranking import Ranking
from frspec.speculation.plan import TreeShape
from frspec.text.tokenizer import Tokenizer

if not shipped.FOLDER.is_dir():
    pytest.skip(f"no model in {shipped.FOLDER}; recipes/demo makes one", allow_module_level=True)

TALKS = [
    [{"role": "user", "content": "Tell me a story about a dog and a ball."}],
    [
        {"role": "user", "content": "I am looking for a restaurant."},
        {"role": "assistant", "content": "In which city?"},
        {"role": "user", "content": "In San Jose, please. Something Italian."},
    ],
    [{"role": "user", "content": "I need a flight from New York to Los Angeles."}],
]
BEGINNING = "Once upon a time, there was a little girl"


@pytest.fixture(scope="module")
def theirs() -> object:
    return AutoTokenizer.from_pretrained(shipped.target())


@pytest.fixture(scope="module")
def prompts(theirs: AutoTokenizer) -> list[list[int]]:
    """By Hugging Face's tokenizer and template."""
    talks = [theirs.apply_chat_template(t, tokenize=False, add_generation_prompt=True) for t in TALKS]
    return [theirs(text, add_special_tokens=False).input_ids for text in [*talks, BEGINNING]]


@pytest.fixture(scope="module")
def llm() -> LLM:
    return LLM("demo")


def test_every_file_is_listed_and_all_are_small_enough() -> None:
    listed = dict(reversed(line.split("  ")) for line in (shipped.FOLDER / "SHA256SUMS").read_text().splitlines())
    there = {p.relative_to(shipped.FOLDER).as_posix(): p for p in shipped.FOLDER.rglob("[!.]*") if p.is_file()}
    size = sum(file.stat().st_size for file in there.values())
    there.pop("SHA256SUMS")
    assert {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in there.items()} == listed
    assert size <= 80_000_000
    assert {"README.md", "demo.ranking", "head/model.safetensors", "target/model.safetensors"} < set(listed)


def test_card_gives_every_hash() -> None:
    card = (shipped.FOLDER / "README.md").read_text()
    for line in (shipped.FOLDER / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert name == "README.md" or (name in card and digest in card)


def test_large_vocabulary_with_a_whole_ranking(llm: LLM, theirs: AutoTokenizer) -> None:
    assert llm.config.vocab_size == llm.get_tokenizer().vocab_size == len(theirs) == 131_072
    ranking = Ranking.load("demo")
    assert sorted(ranking.ids.tolist()) == list(range(131_072))
    ranking.check_fingerprint(Tokenizer.load("demo").fingerprint)
    stops = {theirs.convert_tokens_to_ids("<|im_end|>"), theirs.convert_tokens_to_ids("<|endoftext|>")}
    assert set(llm.config.stop_token_ids) == stops


def test_ids_are_those_of_hugging_face(llm: LLM, prompts: list[list[int]]) -> None:
    own = [*(llm.chat_prompt(talk)["prompt_token_ids"] for talk in TALKS), llm.get_tokenizer().encode(BEGINNING)]
    assert own == prompts


def test_greedy_text_is_that_of_hugging_face(prompts: list[list[int]]) -> None:
    model = AutoModelForCausalLM.from_pretrained(shipped.target(), dtype=torch.float32)
    params = SamplingParams(temperature=0, max_tokens=40)
    outputs = LLM("demo", dtype="float32").generate([{"prompt_token_ids": ids} for ids in prompts], params)
    for ids, output in zip(prompts, outputs, strict=True):
        wanted = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0, len(ids) :].tolist()
        assert output.outputs[0].token_ids == wanted


def test_bfloat16_is_as_near_to_float32_as_hugging_face_is(llm: LLM, prompts: list[list[int]]) -> None:
    from frspec.models import Segment

    exact = AutoModelForCausalLM.from_pretrained(shipped.target(), dtype=torch.float32)
    rounded = AutoModelForCausalLM.from_pretrained(shipped.target(), dtype=torch.bfloat16)
    target = llm.engine.target
    for prompt in prompts:
        ids = torch.tensor(prompt)
        with torch.no_grad():
            wanted, theirs = exact(ids[None]).logits[0], rounded(ids[None]).logits[0].float()
        segment = Segment(target.new_cache(len(ids)), len(ids))
        own = target.logits(target.forward(ids, torch.arange(len(ids)), [segment]))
        assert (own - wanted).abs().mean() <= 1.5 * (theirs - wanted).abs().mean()


@pytest.mark.parametrize("temperature", [0, 1])
def test_no_drafter_changes_the_text(llm: LLM, prompts: list[list[int]], temperature: float) -> None:
    params = SamplingParams(temperature=temperature, seed=3, max_tokens=24)
    drafters = {
        "plain": llm,
        "ngram": llm.with_draft("ngram"),
        "full": llm.with_draft("demo", "full", shape=TreeShape()),
        "ranked quarter": llm.with_draft("demo", ranking="demo", shape=TreeShape()),
        "whatever pays": llm.with_draft("demo", ranking="demo"),
    }
    texts, lengths = {}, {}
    for name, drafted in drafters.items():
        outputs = [drafted.generate({"prompt_token_ids": ids}, params, use_tqdm=False)[0] for ids in prompts]
        texts[name] = [output.outputs[0].token_ids for output in outputs]
        lengths[name] = drafted.engine.stats.mean_acceptance_length
    assert all(text == texts["plain"] for text in texts.values())
    assert min(lengths["full"], lengths["ranked quarter"]) > 1.3, "the head was trained for this model"


def test_demo_without_arguments() -> None:
    done = CliRunner().invoke(frspec, ["demo"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "identical output: yes" in done.stdout


def test_nothing_tells_of_the_machine_it_was_made_on() -> None:
    for name in ("README.md", "head/frspec.json"):
        text = (shipped.FOLDER / name).read_text()
        assert not any(place in text for place in ("/home/", "/root/", "/tmp/"))
    assert not any(str(value).startswith("/") for value in Ranking.load("demo").provenance.values())
