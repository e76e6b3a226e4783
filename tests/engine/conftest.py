"""Real and random targets, loaded once."""

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from frspec.engine.llm import LLM
from frspec.types import RequestOutput, SamplingParams

PROMPTS = ["Once upon a time", "One day, Tim and his dog went to", '"Hello," said the bird.', "The"]


@pytest.fixture(scope="session")
def plain(stories: Path) -> LLM:
    """Plain decoding of the trained model."""
    return LLM(stories)


@pytest.fixture(scope="session")
def random_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama with a small vocabulary and logits far enough apart to be a language of sorts."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False,
        initializer_range=0.3,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("random")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def random_llm(random_checkpoint: Path) -> LLM:
    """Plain decoding of the random model, ids only."""
    return LLM(random_checkpoint, skip_tokenizer_init=True)


def ids(outputs: list[RequestOutput]) -> list[list[int]]:
    """The token ids of every completion."""
    return [completion.token_ids for output in outputs for completion in output.outputs]


def whole(outputs: list[RequestOutput]) -> list[list[int]]:
    """Prompts with their first completions: what an ``Oracle`` should know."""
    return [output.prompt_token_ids + output.outputs[0].token_ids for output in outputs]


GREEDY = SamplingParams(temperature=0, max_tokens=48)
WARM = SamplingParams(temperature=1.0, seed=11, max_tokens=48)
