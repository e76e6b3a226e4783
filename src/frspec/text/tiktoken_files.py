"""Published tiktoken files as exact byte-level BPEs of the ``tokenizers`` library.

Knows: which file is which encoding, by its SHA-256, and what the file leaves out: pattern, normalisation and
special tokens. Does not know: model folders. A file it has not heard of is refused, because its pattern could only
be guessed.
"""

from __future__ import annotations

import binascii
import hashlib
from codecs import charmap_decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from frspec.errors import UserError
from frspec.text.decoding import byte_characters

_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
# tiktoken's present cl100k pattern takes white space at the end of the text whole, line breaks included.
CL100K = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST + r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s"
LLAMA3 = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST + _SPACES
QWEN = _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _REST + _SPACES
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + _CONTRACTIONS + "?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + _CONTRACTIONS + "?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _SPACES
)


@dataclass(frozen=True)
class Encoding:
    """What an encoding has beyond its ranks. ``special``: text -> id. ``bos`` is put before every text."""

    name: str
    pattern: str
    special: Mapping[str, int]
    eos: str
    bos: str | None = None
    nfc: bool = False


def _llama3_special() -> dict[str, int]:
    named = {0: "begin_of_text", 1: "end_of_text", 6: "start_header_id", 7: "end_header_id", 9: "eot_id"}
    reserved = iter(range(256))
    return {f"<|{named.get(i) or f'reserved_special_token_{next(reserved)}'}|>": 128000 + i for i in range(256)}


_QWEN_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{i}|>" for i in range(205))]
_FIM = {"<|fim_prefix|>": 100258, "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260}

# SHA-256 of the published file -> the encoding. Specials and patterns: tiktoken's openai_public, Meta's llama3 and
# Qwen's tokenization_qwen modules.
PUBLISHED = {
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": Encoding(
        "cl100k_base", CL100K, {"<|endoftext|>": 100257, **_FIM, "<|endofprompt|>": 100276}, eos="<|endoftext|>"
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": Encoding(
        "o200k_base", O200K, {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}, eos="<|endoftext|>"
    ),
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": Encoding(
        "llama3", LLAMA3, _llama3_special(), eos="<|end_of_text|>", bos="<|begin_of_text|>"
    ),
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186": Encoding(
        "qwen", QWEN, {text: 151643 + i for i, text in enumerate(_QWEN_SPECIAL)}, eos="<|endoftext|>", nfc=True
    ),
}


def load_tiktoken(path: Path) -> tuple[Tokenizer, Encoding]:
    """The encoding in ``path``.

    Raises:
        UserError: when the file is none of the published ones.
    """
    content = path.read_bytes()
    encoding = PUBLISHED.get(hashlib.sha256(content).hexdigest())
    if encoding is None:
        known = ", ".join(encoding.name for encoding in PUBLISHED.values())
        raise UserError(
            f"{path} is not a tiktoken file that frspec knows ({known}), and the file alone does not say how it "
            "splits text; give the model's tokenizer.json"
        )
    return build(read_ranks(content, str(path)), encoding), encoding


def read_ranks(content: bytes, name: str) -> dict[bytes, int]:
    """The ``base64-token rank`` lines of a tiktoken file."""
    ranks = {}
    for number, line in enumerate(content.splitlines(), 1):
        try:
            token, rank = line.split()
            ranks[binascii.a2b_base64(token, strict_mode=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise UserError(f"{name}, line {number}: not a base64 token and its rank; get the file again") from error
    return ranks


def build(ranks: dict[bytes, int], encoding: Encoding) -> Tokenizer:
    """A ``tokenizers`` BPE that gives the ids tiktoken gives for these ranks, pattern and special tokens.

    tiktoken looks a whole piece up before merging (``ignore_merges``), then merges the adjacent pair whose
    concatenation has the lowest rank, leftmost first. ``find_merges`` tells why one merge a token says it all.
    """
    from frspec.text.merges import find_merges  # numpy is not for whoever reads another format

    spelling = "".join(byte_characters())
    vocabulary = {charmap_decode(token, "strict", spelling)[0]: rank for token, rank in ranks.items()}
    merges = find_merges(vocabulary)
    # Listed in the vocabulary, special tokens keep the ids they are given, gaps between them included.
    model = models.BPE(vocab=vocabulary | dict(encoding.special), merges=merges, ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in encoding.special])
    if encoding.nfc:
        tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(encoding.pattern), behavior="isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    if encoding.bos is not None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{encoding.bos} $A", special_tokens=[(encoding.bos, encoding.special[encoding.bos])]
        )
    return tokenizer
