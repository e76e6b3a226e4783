"""The incremental detokenizer against transformers' decode of everything at once."""

from collections.abc import Callable
from os.path import commonprefix
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from frspec.text.detokenizer import Detokenizer
from frspec.text.tokenizer import Tokenizer

TEXTS = [
    "Hello world",
    " leading",
    "naïve café 🦙🇩🇪",
    "日本語のテキスト",
    "a\n\n  b\t",
    "é" * 5,
    "",
    " ",
    "  ",
    "\x00ÿ",
]


@pytest.fixture(
    scope="module", params=["tokenizers/qwen2", "tokenizers/o200k/o200k_base.tiktoken", "models/tinystories-656k"]
)
def tokenizer(request: pytest.FixtureRequest, data: Path) -> Tokenizer:
    return Tokenizer.load(data / request.param)


Decode = Callable[..., str]


@pytest.fixture(scope="module")
def decode(tokenizer: Tokenizer, data: Path) -> Decode:
    """Decoding as transformers does it for the same folder, or for the same serialized tokenizer."""
    if tokenizer.decoding.byte_level:
        oracle = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend)
    else:
        oracle = AutoTokenizer.from_pretrained(data / "models" / "tinystories-656k")

    def decode(ids: list[int], skip: bool = True) -> str:
        return oracle.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)

    return decode


def pieces(tokenizer: Tokenizer, prompt: list[int], output: list[int], skip: bool, step: int = 1) -> list[str]:
    detokenizer = Detokenizer(tokenizer, prompt, skip)
    found = [detokenizer.push(output[i : i + step]) for i in range(0, len(output), step)]
    return [*found, detokenizer.flush()]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("step", [1, 3])
def test_text_comes_back(tokenizer: Tokenizer, decode: Decode, text: str, step: int) -> None:
    ids = tokenizer.encode(text)
    found = pieces(tokenizer, [], ids, True, step)
    assert "".join(found) == decode(ids)
    if "<unk>" not in tokenizer.backend.encode(text).tokens:
        assert "".join(found) == text


@settings(max_examples=300, suppress_health_check=list(HealthCheck), deadline=None)
@given(draw=st.data(), skip=st.booleans(), step=st.integers(1, 4))
def test_any_ids_at_any_border(
    tokenizer: Tokenizer, decode: Decode, draw: st.DataObject, skip: bool, step: int
) -> None:
    """Random ids, many of them single bytes and special tokens, split into prompt and output anywhere."""
    rare = sorted(tokenizer.special_ids) + [i for i in range(400) if len(tokenizer.token_bytes(i)) == 1]
    an_id = st.one_of(st.sampled_from(rare), st.integers(0, tokenizer.vocab_size + 5))
    ids = draw.draw(st.lists(an_id, max_size=12))
    border = draw.draw(st.integers(0, len(ids)))
    whole = decode(ids, skip)
    before = decode(ids[:border], skip)
    found = "".join(pieces(tokenizer, ids[:border], ids[border:], skip, step))
    assert found == whole[len(commonprefix([whole, before])) :]  # noqa: RUF071 - of strings, not paths


def test_half_a_character_waits(tokenizer: Tokenizer, decode: Decode) -> None:
    if not tokenizer.decoding.byte_level:
        pytest.skip("this vocabulary has no bytes to spell characters with")
    ids = tokenizer.encode("🫠🫠")
    assert len(ids) > 2, "each character takes several tokens"
    found = pieces(tokenizer, [], ids, True)
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in found)
    assert "".join(found) == decode(ids)


def test_output_after_a_prompt_keeps_its_space(stories: Path) -> None:
    tokenizer = Tokenizer.load(stories)
    once = tokenizer.encode("Once", add_special_tokens=False)
    assert "".join(pieces(tokenizer, [], once, True)) == "Once"
    assert "".join(pieces(tokenizer, once, once, True)) == " Once"


def test_character_begun_in_the_prompt_belongs_to_the_output(data: Path) -> None:
    tokenizer = Tokenizer.load(data / "tokenizers" / "qwen2")
    ids = tokenizer.encode("🫠")
    assert "".join(pieces(tokenizer, ids[:1], ids[1:], True)) == "🫠"
