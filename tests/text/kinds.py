"""Small tokenizers of every kind, trained in a moment, and texts that are hard to split."""

from collections.abc import Callable

from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from frspec.text.tiktoken_files import CL100K, LLAMA3, O200K, QWEN
from frspec.text.tokenizer import Tokenizer

PROSE = """The 12 brown foxes didn't jump over 3,456 lazy dogs; they'd rather sleep, WE'LL see.
New York (USA)  -- e.g. 3.14!
Der Mörder stößt an § 5 Absatz 2 Nr. 7; Weißbrot, Äpfel und Öl. Il a été très naïf, n'est-ce pas ?
def main(argv):\n\tfor i in range(100):\n        print(f"{i:>3}")  # done\n\n\n    return None\r\n\tif x==1: y+=2
春眠不覺曉,處處聞啼鳥。夜來風雨聲,花落知多少。吾輩は猫である。名前はまだ無い。カタカナ、ひらがな。
Мой дядя самых честных правил, когда не в шутку занемог.
हिन्दी में लिखा है। ไทย עברית العربية 한국어 문장 🙂🚀 "quoted" x² ½ Ⅳ
"""
OPENAI = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
KIMI = (
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(*splits: str, prefix: bool = False, use_regex: bool = False, nfc: bool = False) -> Tokenizer:
    """A byte-level BPE behind these splits; "digits" and "digit" are the library's ``Digits``, "plain x"
    is the text x."""
    steps = [
        pre_tokenizers.Digits(individual_digits=split == "digit")
        if split.startswith("digit")
        else pre_tokenizers.Split(split[6:] if split.startswith("plain ") else Regex(split), "isolated")
        for split in splits
    ]
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex))
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps) if splits else steps[0]
    if nfc:
        backend.normalizer = normalizers.NFC()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, show_progress=False, initial_alphabet=alphabet)
    backend.train_from_iterator([PROSE], trainer)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(f"<|{name}|>", normalized=False) for name in ("a", "end", "endless")])
    return Tokenizer(backend, "trained", {})


BY_WORDS: dict[str, Callable[[], Tokenizer]] = {
    "gpt2": lambda: byte_level(use_regex=True),
    "prefix": lambda: byte_level(use_regex=True, prefix=True),
    "prefixes": lambda: byte_level(r"\p{N}", "[ab]", prefix=True),
    "llama3": lambda: byte_level(LLAMA3),
    "qwen2": lambda: byte_level(QWEN, nfc=True),
    "o200k": lambda: byte_level(O200K),
    "cl100k": lambda: byte_level(CL100K),
    "possessive": lambda: byte_level(OPENAI),
    "deepseek3": lambda: byte_level(r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", DEEPSEEK3),
    "deepseek": lambda: byte_level(
        "[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺ]+", r"\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", "digit"
    ),
    "starcoder": lambda: byte_level("digit", use_regex=True),
    "digits": lambda: byte_level("digits", use_regex=True),
    "plain": lambda: byte_level("plain .", "plain  \n", use_regex=True),
    "kimi": lambda: byte_level(KIMI),
}


def sentencepiece(
    model: str, normalizer: normalizers.Normalizer | None, pre_tokenizer: pre_tokenizers.PreTokenizer | None
) -> Tokenizer:
    """A tokenizer whose spaces are ``▁``; ``model``: bpe, unigram or wordpiece."""
    backend = Backend({"bpe": models.BPE, "unigram": models.Unigram, "wordpiece": models.WordPiece}[model]())
    backend.normalizer = normalizer  # type: ignore[assignment]
    backend.pre_tokenizer = pre_tokenizer or pre_tokenizers.Metaspace()  # learned from words, also when there are none
    if normalizer is not None and pre_tokenizer is None:
        backend.normalizer = None  # type: ignore[assignment]
    settings = {"vocab_size": 500, "show_progress": False, "special_tokens": ["<unk>"]}
    trainer = {
        "bpe": lambda: trainers.BpeTrainer(**settings),
        "unigram": lambda: trainers.UnigramTrainer(**settings, unk_token="<unk>"),
        "wordpiece": lambda: trainers.WordPieceTrainer(**settings),
    }[model]()
    backend.train_from_iterator([PROSE], trainer)
    backend.normalizer = normalizer  # type: ignore[assignment]
    backend.pre_tokenizer = pre_tokenizer  # type: ignore[assignment]
    if model != "unigram":
        backend.model.unk_token = "<unk>"
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    return Tokenizer(backend, "trained", {})


def llama2_normalizer() -> normalizers.Normalizer:
    return normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])


WHOLE: dict[str, Callable[[], Tokenizer]] = {
    "llama2": lambda: sentencepiece("bpe", llama2_normalizer(), None),
    "gemma": lambda: sentencepiece("bpe", normalizers.Replace(" ", "▁"), None),
    "metaspace first": lambda: sentencepiece("bpe", None, pre_tokenizers.Metaspace(prepend_scheme="first")),
    "metaspace whole": lambda: sentencepiece("bpe", None, pre_tokenizers.Metaspace(split=False)),
    "unigram": lambda: sentencepiece("unigram", normalizers.NFKC(), pre_tokenizers.Metaspace()),
    "unigram whole": lambda: sentencepiece("unigram", None, pre_tokenizers.Metaspace(split=False)),
    "wordpiece": lambda: sentencepiece("wordpiece", normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
    "stripped": lambda: sentencepiece("bpe", normalizers.Strip(), pre_tokenizers.Metaspace()),
}

# fmt: off
FRAGMENTS = [
    *PROSE.split(), *PROSE.split("\n"),
    " ", "  ", "   ", " " * 130, "\n", "\r\n", "\n\n \n", "\t", "\u00a0", "\u3000", "\u2028", "'S", "'ſ", "'ll", "'LL",
    "K", "e\u0301", "\u0301", "\u3099か", "가", "\u1100\u1161\u11a8", "Å", "\u0344", "ﬁ", "ß", "ǆ", "Ⅷ", "٣", "²",
    "🙂", "👩\u200d🚀", "𝒜𝓑", "𐐷", "𠮷", "\U0001e900", "\U000323b0", "\U000e0041", "\U0010fffd",
    "\ue000", "\uffff", "\u0000", "\u0378", "<|a|>", "<|end|>", "<|endless|>", "<|end", "|>", "▁", "<0x41>",
    "1234567", "a1b2", "aaaaaaaaaaaaaaaa", "==========", "。", "了。",
]
# fmt: on
TEXTS = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=40).map("".join)
