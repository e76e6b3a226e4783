"""The whole engine's output distribution, enumerated, against Hugging Face's probabilities."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from frspec import LLM, SamplingParams
from frspec.speculation import sampler
from frspec.speculation.drafters.base import Drafter
from tests.engine.conftest import ids
from tests.engine.drafters import Guesser, Oracle

VOCABULARY, LENGTH, PROMPT = 5, 3, [1, 4]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=32, bos_token_id=None, eos_token_id=None, pad_token_id=None,
        initializer_range=0.5,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


class Dice:
    """Stands for the noise: decides every pick, and remembers how likely the picked token was."""

    def __init__(self) -> None:
        self.choices: tuple[int, ...] = ()
        self.weight = 1.0

    def bits(self, position: int, tokens: Tensor) -> Tensor:
        """The most noise there is for the wanted token and the least for all others: 26 nats between them."""
        wanted = self.choices[position - len(PROMPT)]
        return torch.where(tokens == wanted, 2**31 - 1, -(2**31)).int()

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pick = sampler.Sampler.pick

        def weighed(own: sampler.Sampler, logits: Tensor) -> int:
            token = pick(own, logits)
            self.weight *= float((logits / own.params.temperature).softmax(0)[token])
            return token

        monkeypatch.setattr(sampler, "position_key", lambda seed, position: position)
        monkeypatch.setattr(sampler, "token_bits", self.bits)
        monkeypatch.setattr(sampler.Sampler, "pick", weighed)


def drafters() -> Iterator[Drafter | None]:
    yield None
    yield Guesser(VOCABULARY)
    yield Oracle(VOCABULARY, [[*PROMPT, *text] for text in itertools.product(range(VOCABULARY), repeat=LENGTH)])


def test_every_text_comes_out_as_often_as_the_target_says(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temperature = 0.8
    texts = list(itertools.product(range(VOCABULARY), repeat=LENGTH))
    model = LlamaForCausalLM.from_pretrained(tiny)
    with torch.no_grad():
        logits = model(torch.tensor([[*PROMPT, *text] for text in texts])).logits.double()
    steps = (logits[:, len(PROMPT) - 1 : -1] / temperature).log_softmax(-1)
    expected = steps.gather(2, torch.tensor(texts)[..., None]).sum((1, 2)).exp().tolist()
    llm = LLM(tiny, skip_tokenizer_init=True)
    dice = Dice()
    dice.watch(monkeypatch)
    for drafter in drafters():
        drafted = llm.with_draft(drafter)
        reached: Counter[tuple[int, ...]] = Counter()
        for choices in texts:
            dice.choices, dice.weight = choices, 1.0
            params = SamplingParams(temperature=temperature, max_tokens=LENGTH, seed=0)
            (output,) = ids(drafted.generate([PROMPT], params))
            reached[tuple(output)] += dice.weight
        assert [reached[text] for text in texts] == pytest.approx(expected, abs=1e-6)
        if drafter is not None:
            assert sum(drafted.engine.stats.accepted_per_position) > 10
