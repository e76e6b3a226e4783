"""A checkpoint with sampling settings of its own, and an end of sequence that its greedy texts reach."""

import json
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from frspec.bench.methods import OwnMethod
from frspec.bench.peers import Subject
from frspec.engine.llm import LLM
from tests.models.tiny import VOCAB, make, random_ids, save

PROMPTS = [random_ids(9, seed) for seed in range(4)] + [[5, 6, 7, 8] * 4]
LIMIT = 24


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama; its generation_config.json asks for what nobody here wants to sample with."""
    model = make("llama", pad_token_id=0)
    folder = save(model, tmp_path_factory.mktemp("bench"))
    prompt = torch.tensor(PROMPTS[:1])
    free = GenerationConfig(max_new_tokens=LIMIT, do_sample=False, pad_token_id=0)
    written = model.generate(prompt, generation_config=free)[0, prompt.shape[1] :].tolist()
    config = json.loads((folder / "config.json").read_text()) | {"eos_token_id": [written[6], VOCAB - 1]}
    (folder / "config.json").write_text(json.dumps(config))
    own = {"eos_token_id": config["eos_token_id"], "do_sample": True, "top_k": 3, "temperature": 0.2}
    (folder / "generation_config.json").write_text(json.dumps(own | {"repetition_penalty": 1.7}))
    return folder


@pytest.fixture(scope="session")
def plain(checkpoint: Path) -> OwnMethod:
    """Plain decoding of it."""
    return OwnMethod("plain", LLM(checkpoint, skip_tokenizer_init=True))


@pytest.fixture(scope="session")
def subject(checkpoint: Path, plain: OwnMethod) -> Subject:
    """What a peer is told."""
    target, config = plain.llm.engine.target, plain.llm.config
    return Subject(checkpoint, target.dtype, target.device, config.stop_token_ids, plain.llm.max_model_len)
