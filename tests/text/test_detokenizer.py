"""The incremental detokenizer against transformers' decode of everything at once."""

from collections.abc import Callable
from os.path import commonprefix
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers
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


def byte_fallback() -> Tokenizer:
    """A Llama 2-style vocabulary: every byte, some pieces with spaces, a special token."""
    pieces = ["<unk>", "<s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁▁", "▁a", "b", "é", "▁日"]
    backend = Backend(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True))
    backend.add_special_tokens(["<unk>", "<s>"])
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    return Tokenizer(backend, "made up", {})


@pytest.fixture(scope="module", params=["byte_fallback", "qwen2", "o200k", "tinystories"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "byte_fallback":
        return byte_fallback()
    loaded: Tokenizer = request.getfixturevalue(request.param)
    return loaded


Decode = Callable[..., str]


@pytest.fixture(scope="module")
def decode(tokenizer: Tokenizer) -> Decode:
    """Decoding as transformers does it for the same folder, or for the same serialized tokenizer."""
    if Path(tokenizer.name).name == "tinystories-656k":
        oracle = AutoTokenizer.from_pretrained(tokenizer.name)
    else:
        oracle = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend)

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
    if "<unk>" not in map(tokenizer.token, ids):
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


@pytest.mark.parametrize("name", ["qwen2", "tinystories"])
def test_copies_know_nothing_of_each_other(name: str, request: pytest.FixtureRequest) -> None:
    """The prompt ends within a character; each copy ends it in its own way."""
    tokenizer: Tokenizer = request.getfixturevalue(name)
    ids = tokenizer.encode("Once ☃", add_special_tokens=False)
    first = Detokenizer(tokenizer, ids[:-1])
    copies = [first.copy() for _ in range(3)]
    continuations = [ids[-1:], tokenizer.encode("a dog", add_special_tokens=False), tokenizer.encode("☃☃")]
    for copy, more in zip(copies, continuations, strict=True):
        alone = Detokenizer(tokenizer, ids[:-1])
        assert copy.push(more) + copy.flush() == alone.push(more) + alone.flush()


def test_half_a_character_waits(tokenizer: Tokenizer, decode: Decode) -> None:
    ids = tokenizer.encode("🫠🫠")
    if "<unk>" in map(tokenizer.token, ids):
        pytest.skip("this vocabulary has no bytes to spell characters with")
    assert len(ids) > 2, "each character takes several tokens"
    found = pieces(tokenizer, [], ids, True)
    assert all("\N{REPLACEMENT CHARACTER}" not in piece for piece in found)
    assert "".join(found) == decode(ids)


def test_output_after_a_prompt_keeps_its_space(tinystories: Tokenizer) -> None:
    tokenizer = tinystories
    once = tokenizer.encode("Once", add_special_tokens=False)
    assert "".join(pieces(tokenizer, [], once, True)) == "Once"
    assert "".join(pieces(tokenizer, once, once, True)) == " Once"


def test_character_begun_in_the_prompt_belongs_to_the_output(qwen2: Tokenizer) -> None:
    ids = qwen2.encode("🫠")
    assert "".join(pieces(qwen2, ids[:1], ids[1:], True)) == "🫠"


def test_a_space_spelled_as_a_byte_is_stripped_too() -> None:
    space = 2 + ord(" ")
    assert "".join(pieces(byte_fallback(), [], [space], True)) == ""
    assert "".join(pieces(byte_fallback(), [], [space, space], True)) == " "
    assert "".join(pieces(byte_fallback(), [space], [space], True)) == " "
