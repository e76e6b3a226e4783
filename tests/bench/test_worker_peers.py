"""llama.cpp, OpenVINO and vLLM as peers, where they are: they write what transformers writes, sampled as asked.

FRSPEC_PEERS names their environments as ``frspec bench --peer`` does: "openvino=PYTHON llama.cpp=PYTHON vllm=PYTHON".
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from scipy.stats import chisquare

from frspec.bench.methods import OwnMethod, Peer
from frspec.bench.peers import PEERS, Subject, ready
from frspec.engine.llm import LLM
from frspec.models.eagle import new_head, save_eagle
from frspec.types import SamplingParams
from tests.models.tiny import VOCAB, make, random_ids, save

PROMPTS = [random_ids(9, seed) for seed in range(3)] + [[5, 6, 7, 8] * 4]
LIMIT = 24
GREEDY = SamplingParams(temperature=0, max_tokens=LIMIT, seed=0)
EIGHT_BITS = 0.2
"""Deviations of the logits by which 8 bits may move two of them: a weight moves by up to 1/254 of its row's largest,
and what flows is rounded as coarsely, layer after layer."""
MODULES = {"llama": "llama_cpp", "openvino": "openvino_genai", "vllm": "vllm"}
WIDE = {"hidden_size": 128, "intermediate_size": 160, "num_attention_heads": 4, "num_key_value_heads": 2}


@cache
def installed(python: str, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode == 0


def environment(name: str) -> str:
    """What --peer gets for it, or a skip that says what is missing."""
    program = name.partition("-")[0]
    named = dict(entry.split("=", 1) for entry in os.environ.get("FRSPEC_PEERS", "").split())
    module = MODULES[program.partition(".")[0]]
    python = named.get(program, sys.executable)
    if not installed(python, module):
        pytest.skip(f"{module} is not installed; FRSPEC_PEERS={program}=PYTHON names an environment that has it")
    return f"{name}={python}"


@pytest.fixture(scope="module", params=["untied", "tied"])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A random Llama with heads of 32, as vLLM wants them, and a random head."""
    folder = tmp_path_factory.mktemp("peers")
    save(make("llama", tie_word_embeddings=request.param == "tied", **WIDE), folder / "target")
    target = LLM(folder / "target", skip_tokenizer_init=True).engine.target
    config, tensors = new_head(target, torch.Generator().manual_seed(0))
    save_eagle(folder / "head", config, tensors, torch.float32, {})
    return Subject(folder / "target", torch.float32, torch.device("cpu"), (2,), 128, folder / "head")


@pytest.fixture(scope="module", params=[name for name, program in PEERS.items() if program.worker])
def peer(request: pytest.FixtureRequest, subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """Each in turn, its converted files in a cache of the tests' own."""
    if (
        request.param.startswith("vllm")
        and json.loads((subject.folder / "config.json").read_text())["tie_word_embeddings"]
    ):
        pytest.skip("vLLM takes a minute to load; one checkpoint does")
    asked = environment(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FRSPEC_CACHE", str(subject.folder.parent / "cache"))
        methods, missing = ready([asked], subject, lambda method: method.run(PROMPTS[0], GREEDY))
        assert missing == {}
        yield methods[0]


@pytest.fixture(scope="module")
def plain(subject: Subject) -> OwnMethod:
    return OwnMethod("plain", LLM(subject.folder, skip_tokenizer_init=True))


def test_the_ids_are_transformers(peer: Peer, subject: Subject) -> None:
    model = transformers_model(subject.folder)
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        settings = {"max_new_tokens": LIMIT, "do_sample": False, "pad_token_id": 0, "eos_token_id": 2}
        written = model.generate(ids, attention_mask=torch.ones_like(ids), **settings)[0, len(prompt) :].tolist()
        sample = peer.run(prompt, GREEDY)
        if peer.weights == "float32":
            assert sample.token_ids == written
        elif sample.token_ids != written:
            place = next(
                place for place, pair in enumerate(zip(sample.token_ids, written, strict=False)) if len({*pair}) > 1
            )
            with torch.inference_mode():
                logits = model(torch.tensor([prompt + written[:place]])).logits[0, -1]
            assert logits.max() - logits[sample.token_ids[place]] < EIGHT_BITS * logits.std()
        assert sample.stats.emitted <= len(sample.token_ids) - 1
        assert sample.first_token_seconds > 0
        assert (sample.decode_seconds > 0) == (sample.stats.target_passes > 0)


def test_the_end_of_sequence_ends_it_everywhere(peer: Peer, subject: Subject) -> None:
    free = peer.run(PROMPTS[0], GREEDY).token_ids
    stop = free[5]
    other = Subject(subject.folder, subject.dtype, subject.device, (stop, 95), subject.context)
    peer._subject, before = other, peer._subject  # type: ignore[attr-defined]
    try:
        assert peer.run(PROMPTS[0], GREEDY).token_ids == free[: free.index(stop) + 1]
    finally:
        peer._subject = before  # type: ignore[attr-defined]


def test_the_context_ends_where_ours_does(peer: Peer, plain: OwnMethod) -> None:
    prompt = [number % 7 + 3 for number in range(124)]
    long = SamplingParams(temperature=0, max_tokens=500, seed=0)
    assert len(peer.run(prompt, long).token_ids) == len(plain.run(prompt, long).token_ids) == 4


def test_it_samples_the_plain_softmax(peer: Peer, subject: Subject) -> None:
    """No filter of the library's own is in force."""
    prompt, count, temperature = PROMPTS[-1], 400, 2.0
    drawn = [
        peer.run(prompt, SamplingParams(temperature=temperature, max_tokens=1, seed=seed)).token_ids[0]
        for seed in range(count)
    ]
    with torch.inference_mode():
        logits = transformers_model(subject.folder)(torch.tensor([prompt])).logits[0, -1].double()
    expected = (logits / temperature).softmax(0) * count
    rare = expected < 5
    found = torch.bincount(torch.tensor(drawn), minlength=VOCAB).double()
    pooled = [torch.cat((counts[~rare], counts[rare].sum()[None])) for counts in (found, expected)]
    assert chisquare(*pooled).pvalue > 1e-3
    assert len(set(drawn)) > 20


def test_the_same_seed_draws_the_same_text(peer: Peer) -> None:
    if peer.name in ("vllm-ngram", "vllm-eagle"):
        pytest.skip("vLLM's drafts use up random numbers of the same generator")
    texts = [peer.run(PROMPTS[0], SamplingParams(max_tokens=8, seed=seed)).token_ids for seed in (4, 4, 5)]
    assert texts[0] == texts[1] != texts[2]


def transformers_model(folder: Path):
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
