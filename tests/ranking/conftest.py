"""The published tokenizers and sample texts of the text tests, and a tokenizer that is loaded in no time."""

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, trainers

from frspec.text.tokenizer import Tokenizer
from tests.text.conftest import o200k as o200k
from tests.text.conftest import qwen2 as qwen2
from tests.text.conftest import samples as samples


@pytest.fixture(scope="session")
def small() -> Tokenizer:
    """Bytes, a few merges and ``<|im_end|>``."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|im_end|>"])
    backend.train_from_iterator(["the little bird sang and the tower stood there"] * 3, trainer)
    return Tokenizer(backend, "small", {})
