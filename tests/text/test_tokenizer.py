"""Token ids against Hugging Face, ggml's published cases and the golden file of a checkpoint."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, ByteLevelBPETokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend
from transformers import AutoTokenizer, GPT2TokenizerFast, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from frspec.errors import UserError
from frspec.text.tokenizer import Tokenizer

SEPARATOR = "\n__ggml_vocab_test__\n"
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PIECES = st.lists(
    st.sampled_from(["<|im_end|>", "<|im_start|>", "<think>", " ", "\n", "'S", "é", "e\u0301", "Å", "0", "a"])
    | ANY_TEXT
).map("".join)


def test_ggml_cases(qwen2: Tokenizer, data: Path) -> None:
    cases = data / "tokenizers" / "ggml_cases" / "ggml-vocab-qwen2.gguf"
    texts = Path(f"{cases}.inp").read_text("utf-8").removesuffix(SEPARATOR).split(SEPARATOR)
    expected = [[int(id) for id in line.split()] for line in Path(f"{cases}.out").read_text().splitlines()]
    assert len(texts) == len(expected) > 40
    assert [qwen2.encode(text) for text in texts] == expected


def test_qwen2_folder_like_hugging_face(
    qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase, samples: list[str]
) -> None:
    for text in samples:
        ids = qwen2_hf(text).input_ids
        assert qwen2.encode(text) == ids
        assert qwen2.decode(ids) == qwen2_hf.decode(ids, skip_special_tokens=True)


@settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
@given(text=PIECES)
def test_qwen2_folder_on_any_text(qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase, text: str) -> None:
    assert qwen2.encode(text) == qwen2_hf(text).input_ids


def test_golden_texts(tinystories: Tokenizer, stories: Path) -> None:
    golden = json.loads((stories / "golden_hf.json").read_text("utf-8"))
    for case in golden["cases"]:
        whole = tinystories.decode(case["prompt_ids"] + case["greedy_ids"], skip_special_tokens=False)
        assert whole.startswith(case["greedy_text"])


def test_tinystories_like_hugging_face(tinystories: Tokenizer, stories: Path, samples: list[str]) -> None:
    """Ids as the serialized file gives them; and as the checkpoint's own class does where that agrees: transformers
    5 rebuilds a Llama tokenizer, drops unknown characters, takes a leading space for the one it adds, and finds special
    tokens inside words."""
    literal = PreTrainedTokenizerFast(tokenizer_file=str(stories / "tokenizer.json"))
    oracle = AutoTokenizer.from_pretrained(stories)
    vocabulary = oracle.get_vocab()
    for text in samples:
        known = "".join(c for c in text.replace("<unk>", "") if c == " " or c in vocabulary).lstrip()
        for special in (True, False):
            assert tinystories.encode(text, special) == literal(text, add_special_tokens=special).input_ids
            ids = oracle(known, add_special_tokens=special).input_ids
            assert tinystories.encode(known, special) == ids
            for skip in (True, False):
                assert tinystories.decode(ids, skip) == oracle.decode(ids, skip_special_tokens=skip)
    assert (tinystories.bos_id, tinystories.eos_id) == (oracle.bos_token_id, oracle.eos_token_id) == (1, 2)
    assert tinystories.vocab_size == len(oracle) == 2048


def test_batch_is_each_alone(qwen2: Tokenizer, samples: list[str]) -> None:
    assert qwen2.encode_batch(samples) == [qwen2.encode(text) for text in samples]


def test_special_ids(qwen2: Tokenizer, qwen2_hf: PreTrainedTokenizerBase) -> None:
    special = {id for id, token in qwen2_hf.added_tokens_decoder.items() if token.special}
    assert qwen2.special_ids == special
    assert qwen2.vocab_size == max(qwen2_hf.get_vocab().values()) + 1
    assert qwen2.bos_id == qwen2_hf.bos_token_id
    assert qwen2.eos_id == qwen2_hf.eos_token_id


def test_control_ids_are_those_of_the_template(qwen2: Tokenizer, tinystories: Tokenizer) -> None:
    controls = {qwen2.token(id) for id in qwen2.control_ids()}
    assert {"<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>"} <= controls
    assert "<|vision_start|>" not in controls
    assert tinystories.control_ids() == {2}


def test_token_bytes_join_to_the_text(
    qwen2: Tokenizer, o200k: Tokenizer, tinystories: Tokenizer, samples: list[str]
) -> None:
    for tokenizer in (qwen2, o200k, tinystories):
        for text in samples:
            ids = tokenizer.encode(text, add_special_tokens=False)
            joined = b"".join(map(tokenizer.token_bytes, ids)).decode()
            assert joined.removeprefix(" " * tokenizer.decoding.strip) == tokenizer.decode(ids, False)
    assert qwen2.token_bytes(10**6) == b""
    assert o200k.token_bytes(199_998) == b"", "an unused id below the special tokens"


@pytest.fixture
def gpt2_folder(tmp_path: Path, samples: list[str]) -> Path:
    """A small vocabulary.json and merges.txt of GPT-2's kind."""
    made = ByteLevelBPETokenizer()
    made.train_from_iterator(samples, vocab_size=600, special_tokens=["<|endoftext|>"])
    made.save_model(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("add_bos", [False, True])
@pytest.mark.parametrize("add_prefix_space", [False, True])
def test_gpt2_folder_like_hugging_face(
    gpt2_folder: Path, samples: list[str], add_bos: bool, add_prefix_space: bool
) -> None:
    config = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": add_bos, "add_prefix_space": add_prefix_space}
    (gpt2_folder / "tokenizer_config.json").write_text(json.dumps(config))
    oracle = GPT2TokenizerFast.from_pretrained(gpt2_folder)
    tokenizer = Tokenizer.load(gpt2_folder)
    for text in [*samples, "a<|endoftext|> b", " 's'S 1234  \n\n x", ""]:
        assert tokenizer.encode(text) == oracle(text).input_ids
    assert tokenizer.encode("a")[0] == tokenizer.bos_id or not add_bos


@pytest.mark.parametrize("add_bos", [False, True])
def test_the_serialized_file_says_whether_bos_is_added(stories: Path, tmp_path: Path, add_bos: bool) -> None:
    """Not ``add_bos_token``: transformers 5 reads it only where there is no tokenizer.json."""
    state = json.loads((stories / "tokenizer.json").read_text("utf-8"))
    (tmp_path / "tokenizer.json").write_text(json.dumps(state | ({} if add_bos else {"post_processor": None})))
    config = json.loads((stories / "tokenizer_config.json").read_text("utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": not add_bos}))
    ids = Tokenizer.load(tmp_path).encode("Once upon")
    assert ids == AutoTokenizer.from_pretrained(tmp_path)("Once upon").input_ids
    assert (ids[0] == 1) == add_bos


def test_model_type_stands_in_for_the_class(gpt2_folder: Path) -> None:
    (gpt2_folder / "config.json").write_text('{"model_type": "gpt2"}')
    assert (
        Tokenizer.load(gpt2_folder).encode("hello") == GPT2TokenizerFast.from_pretrained(gpt2_folder)("hello").input_ids
    )


def test_old_folders_list_added_tokens_apart(gpt2_folder: Path) -> None:
    (gpt2_folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    (gpt2_folder / "added_tokens.json").write_text('{"<a>": 600, "<b>": 601}')
    (gpt2_folder / "special_tokens_map.json").write_text('{"eos_token": {"content": "<b>"}}')
    tokenizer = Tokenizer.load(gpt2_folder)
    assert tokenizer.encode("<a><b>") == [600, 601]
    assert tokenizer.special_ids >= {601}
    assert 600 not in tokenizer.special_ids
    assert tokenizer.eos_id == 601


def test_one_vocabulary_in_two_formats_has_one_fingerprint(
    qwen2: Tokenizer, o200k: Tokenizer, tinystories: Tokenizer, tmp_path: Path
) -> None:
    prints = []
    for tokenizer in (qwen2, o200k, tinystories):
        path = tmp_path / "tokenizer.json"
        tokenizer.backend.save(str(path))
        again = Tokenizer.load(path)
        assert again.fingerprint == tokenizer.fingerprint
        assert again.encode("Hello wörld") == tokenizer.encode("Hello wörld")
        prints.append(tokenizer.fingerprint)
    assert len(set(prints)) == 3


def test_fingerprint_is_of_ids_and_bytes_only() -> None:
    def fingerprint(vocabulary: dict[str, int], special: str | None = None) -> str:
        backend = Backend(models.BPE(vocab=vocabulary, merges=[]))
        backend.decoder = decoders.ByteLevel()
        if special:
            backend.add_special_tokens([special])
        return Tokenizer(backend, "made up", {}).fingerprint

    base = fingerprint({"a": 0, "b": 1, "c": 2})
    assert fingerprint({"a": 0, "b": 1, "c": 2}, special="c") == base
    assert len({base, fingerprint({"a": 0, "c": 1, "b": 2}), fingerprint({"a": 0, "b": 1, "c": 3})}) == 3
    assert fingerprint({"ab": 0, "c": 1}) != fingerprint({"a": 0, "bc": 1})


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(UserError) as error:
        Tokenizer.load(path, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_refusals(tmp_path: Path, stories: Path, gpt2_folder: Path) -> None:
    assert "no folder" in refusal(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has no tokenizer.json" in refusal(empty)
    (empty / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>\x00")
    assert "SentencePiece" in refusal(empty)
    (empty / "tokenizer.json").write_text("{")
    assert "is not a tokenizer.json" in refusal(empty)
    (gpt2_folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CodeGenTokenizer"}')
    assert "CodeGenTokenizer" in refusal(gpt2_folder)
    (gpt2_folder / "tokenizer_config.json").write_text("[]")
    assert "tokenizer_config.json holds no JSON object" in refusal(gpt2_folder)
    assert "local file" in refusal(stories / "tokenizer.json", revision="main")


def test_added_token_under_another_id_is_refused(stories: Path, tmp_path: Path) -> None:
    shutil.copy(stories / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"added_tokens_decoder": {"2050": {"content": "<new>"}}}')
    assert "'<new>' the id 2050" in refusal(tmp_path)


def test_a_tokenizer_with_dropout_is_refused(stories: Path, tmp_path: Path) -> None:
    """It would count the same text otherwise each time; 0 leaves nothing out."""
    content = json.loads((stories / "tokenizer.json").read_text("utf-8"))
    for rate in (None, 0.0, 0.1):
        content["model"]["dropout"] = rate
        (tmp_path / "tokenizer.json").write_text(json.dumps(content))
        if rate:
            with pytest.raises(UserError, match=r"leaves out merges at random \(dropout 0\.1\)"):
                Tokenizer.load(tmp_path)
        else:
            assert Tokenizer.load(tmp_path).vocab_size == 2048


def test_unknown_decoder_is_refused(tmp_path: Path) -> None:
    backend = Backend(models.WordPiece(vocab={"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    backend.save(str(tmp_path / "tokenizer.json"))
    assert "decodes by WordPiece" in refusal(tmp_path)


CONFIGS: dict[str, dict[str, object]] = {
    "an added_tokens_decoder that is no object": {"added_tokens_decoder": [1]},
    "added_tokens_decoder that is no object of tokens by id": {"added_tokens_decoder": {"x": {"content": "a"}}},
    "names a token that is no text: {'special': True}": {"added_tokens_decoder": {"0": {"special": True}}},
    "names a token that is no text: 5": {"eos_token": 5},
    "names a token that is no text: {'content': None}": {"bos_token": {"content": None}},
    "has additional_special_tokens that are no list": {"additional_special_tokens": 5},
    "names a token that is no text: 7": {"additional_special_tokens": ["<a>", 7]},
    "names the tokenizer_class ['x']": {"tokenizer_class": ["x"]},
    "its chat_template is neither a text nor texts by name": {"chat_template": 7},
    "its chat_template is neither a text": {"chat_template": [{"name": "a"}]},
    "chat_template is neither": {"chat_template": {"default": ["x"]}},
}


@pytest.mark.parametrize("words", CONFIGS)
def test_a_config_that_means_nothing(words: str, stories: Path, tmp_path: Path) -> None:
    shutil.copy(stories / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(CONFIGS[words]))
    assert words in refusal(tmp_path)


@pytest.mark.parametrize(
    ("vocabulary", "words"),
    [
        ({}, "is empty"),
        ({"a": 0, "b": 1 << 24}, "goes up to the id 16,777,216"),
        ({"a": 0, "b": 4_000_000_000}, "goes up to the id 4,000,000,000"),
        ({"a": 3, "b": 3, "c": 2}, "gives the id 3 to two tokens"),
    ],
)
def test_a_vocabulary_without_a_fingerprint(vocabulary: dict[str, int], words: str, tmp_path: Path) -> None:
    backend = Backend(models.BPE())
    backend.decoder = decoders.ByteLevel()
    whole = json.loads(backend.to_str())
    whole["model"]["vocab"] = vocabulary
    (tmp_path / "tokenizer.json").write_text(json.dumps(whole))
    tokenizer = Tokenizer.load(tmp_path)
    for ask in (lambda: tokenizer.fingerprint, lambda: tokenizer.vocab_size, lambda: tokenizer.token(0)):
        with pytest.raises(UserError, match=f"the vocabulary of .* {words}"):
            ask()


def test_a_text_without_tokens_is_refused(tmp_path: Path) -> None:
    backend = Backend(models.WordLevel(vocab={"a": 0}, unk_token="[UNK]"))
    backend.decoder = decoders.ByteLevel()
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.encode("a") == [0]
    for ask in (lambda: tokenizer.encode("b"), lambda: tokenizer.encode_batch(["a", "b"])):
        with pytest.raises(UserError, match=r"cannot encode a text: .*UNK"):
            ask()


def test_lone_surrogate_is_refused(qwen2: Tokenizer) -> None:
    for ask in (lambda: qwen2.encode("a\ud800"), lambda: qwen2.encode_batch(["a", "\udfff"])):
        with pytest.raises(UserError, match="lone surrogate"):
            ask()


def with_added(normalizer: normalizers.Normalizer | None, *tokens: AddedToken) -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(models.BPE({letter: id for id, letter in enumerate(letters)}, []))
    backend.normalizer = normalizer  # type: ignore[assignment]
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens(list(tokens))
    return Tokenizer(backend, "letters", {})


def test_added_tokens_that_are_one_once_normalised() -> None:
    """The library takes either, another one each time it is loaded."""
    angstroms = AddedToken("\u212bngström"), AddedToken("\u00c5ngström")
    for tokens in (angstroms, angstroms[::-1], (AddedToken("a"), *angstroms)):
        with pytest.raises(
            UserError, match=r"makes 'Ångström' of both '.*' and '.*', so .*; set its normalized to false"
        ):
            with_added(normalizers.NFC(), *tokens)
    with pytest.raises(UserError, match="makes nothing of ' ', so"):
        with_added(normalizers.Strip(), AddedToken(" "))
    with_added(normalizers.NFC(), AddedToken("\u212b", normalized=False), AddedToken("\u00c5"))
    with_added(None, *angstroms)


ODD = st.sampled_from([" ", "  ", "a", "<", " a", "\n", "< "])


@settings(max_examples=200, deadline=None)
@given(
    tokens=st.lists(
        st.builds(AddedToken, ODD, lstrip=st.booleans(), rstrip=st.booleans(), normalized=st.booleans()),
        min_size=1,
        max_size=3,
    ),
    text=st.lists(ODD, max_size=8).map("".join),
)
@example(tokens=[AddedToken("<", rstrip=True), AddedToken(" ", lstrip=True)], text="<\t aK")
def test_added_tokens_that_take_the_same_spaces(tokens: list[AddedToken], text: str) -> None:
    """The library breaks down at some texts, by what is no ``Exception``."""
    tokenizer = with_added(None, *tokens)
    try:
        expected = tokenizer.backend.encode(text).ids
    except BaseException:
        for encode in (tokenizer.encode, lambda text: tokenizer.place_batch([text])):
            with pytest.raises(UserError, match=r"breaks down .* the tokenizer of letters"):
                encode(text)
    else:
        assert tokenizer.encode(text) == expected
