"""A checkpoint folder's tokenizer files as one ``tokenizers.Tokenizer``.

Knows: ``tokenizer.json``; ``vocab.json`` with ``merges.txt`` for the classes whose splitting rule it has;
``tokenizer_config.json``, ``special_tokens_map.json`` and ``added_tokens.json``, and which of them wins, after
Hugging Face's fast tokenizers. Does not know: chat templates, tiktoken files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from frspec.errors import UserError
from frspec.text.tiktoken_files import QWEN

# Tokenizer classes, and model types for folders that name no class. MiniCPM-V's class is Qwen2's with more tokens.
GPT2 = {"GPT2Tokenizer", "GPT2TokenizerFast", "gpt2"}
QWEN2 = {"Qwen2Tokenizer", "Qwen2TokenizerFast", "MiniCPMVTokenizerFast", "qwen2", "qwen3"}
NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]
MORE = ("additional_special_tokens", "extra_special_tokens")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON: {error}; get the file again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; get the file again")
    return content


def read_config(folder: Path) -> dict[str, Any]:
    """``tokenizer_config.json``, completed for old folders from the files it has since absorbed.

    Raises:
        UserError: when what it says of special tokens is nothing of the kind.
    """
    config = read_json(folder / "tokenizer_config.json")
    old = "added_tokens_decoder" not in config
    if old:
        config |= read_json(folder / "special_tokens_map.json")
    flaw = _flaw_of_named(config)
    if old and not flaw:
        special = set(map(_content, _special_tokens(config)))
        config["added_tokens_decoder"] = {
            str(id): {"content": text, "special": text in special, "normalized": text not in special}
            for text, id in read_json(folder / "added_tokens.json").items()
        }
    if flaw := flaw or _flaw_of_added(config["added_tokens_decoder"]):
        raise UserError(f"{folder}: tokenizer_config.json, or a file beside it, {flaw}; get the files again")
    return config


def _flaw_of_named(config: dict[str, Any]) -> str | None:
    for name in MORE:
        if not isinstance(config.get(name) or [], list | dict):
            return f"has {name} that are no list"
    if not isinstance(config.get("tokenizer_class") or "", str):
        return f"names the tokenizer_class {config['tokenizer_class']!r}"
    return _flaw_of_tokens(_special_tokens(config))


def _flaw_of_added(added: Any) -> str | None:
    if not isinstance(added, dict) or not all(id.isdecimal() for id in added):
        return "has an added_tokens_decoder that is no object of tokens by id"
    return _flaw_of_tokens(added.values())


def _flaw_of_tokens(tokens: Iterable[Any]) -> str | None:
    wrong = next((spec for spec in tokens if not isinstance(_content(spec), str)), None)
    return None if wrong is None else f"names a token that is no text: {wrong!r}"


def load_json_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer serialized in ``path``, without the truncation and padding that were on when it was saved."""
    try:
        backend = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{path} is not a tokenizer.json the tokenizers library can read: {error}") from error
    if rate := getattr(backend.model, "dropout", None):
        raise UserError(
            f"{path} leaves out merges at random (dropout {rate:g}), as in training: the same text would have other "
            "tokens each time; set its model's dropout to null"
        )
    backend.no_truncation()
    backend.no_padding()
    return backend


def load_vocab_and_merges(folder: Path, config: dict[str, Any]) -> Tokenizer:
    """The byte-level BPE of ``vocab.json`` and ``merges.txt``, split as its tokenizer class splits.

    Raises:
        UserError: when the class is missing or another one: the two files do not say how text is split.
    """
    kind = config.get("tokenizer_class") or read_json(folder / "config.json").get("model_type")
    if kind not in GPT2 | QWEN2:
        raise UserError(
            f"{folder} has vocab.json and merges.txt of the tokenizer class {kind}, and frspec knows how to split "
            "text only for GPT2Tokenizer and Qwen2Tokenizer; save a tokenizer.json with transformers"
        )
    try:
        backend = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    except Exception as error:  # the library raises nothing narrower
        raise UserError(f"{folder}: vocab.json and merges.txt do not make a BPE: {error}; get them again") from error
    prefix = bool(config.get("add_prefix_space", False))
    if kind in GPT2:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
    else:
        backend.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(Regex(QWEN), behavior="isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    backend.decoder = decoders.ByteLevel()
    defaults = ["eos_token", "unk_token", *(["bos_token"] if kind in GPT2 else ["pad_token"])]
    for name in defaults:
        config.setdefault(name, "<|endoftext|>")
    return backend


def add_tokens(backend: Tokenizer, config: dict[str, Any], folder: Path) -> None:
    """Add the tokens that only the config lists, under the ids it lists.

    Raises:
        UserError: when the library would number one of them otherwise.
    """
    listed = {int(id): _added_token(spec) for id, spec in config.get("added_tokens_decoder", {}).items()}
    present = backend.get_added_tokens_decoder()
    for id, token in sorted(listed.items()):
        if repr(present.get(id)) == repr(token):
            continue
        (backend.add_special_tokens if token.special else backend.add_tokens)([token])
        if (got := backend.token_to_id(token.content)) != id:
            raise UserError(
                f"{folder}: tokenizer_config.json gives {token.content!r} the id {id}, but behind the vocabulary "
                f"it comes to {got}; the vocabulary file is another one's"
            )
    known = {token.content for token in backend.get_added_tokens_decoder().values()}
    missing = [_added_token(spec) for spec in _special_tokens(config) if _content(spec) not in known]
    backend.add_special_tokens(missing)


def set_bos(backend: Tokenizer, config: dict[str, Any]) -> None:
    """Put BOS and EOS around texts as ``add_bos_token`` and ``add_eos_token`` say."""
    tokens = {}
    for end in ("bos", "eos"):
        if config.get(f"add_{end}_token") and config.get(f"{end}_token"):
            tokens[end] = _content(config[f"{end}_token"])
    if not tokens:
        return
    template = [tokens.get("bos"), "$A", tokens.get("eos")]
    backend.post_processor = processors.TemplateProcessing(
        single=[part for part in template if part is not None],
        special_tokens=[(text, backend.token_to_id(text)) for text in set(tokens.values())],
    )


def special_texts(config: dict[str, Any]) -> dict[str, str]:
    """``bos_token``, ``eos_token``, ...: the text of each named special token."""
    return {name: _content(config[name]) for name in NAMED if config.get(name)}


def _special_tokens(config: dict[str, Any]) -> list[Any]:
    named = [config[name] for name in NAMED if config.get(name)]
    for name in MORE:
        more = config.get(name) or []
        named += more.values() if isinstance(more, dict) else more
    return named


def _content(spec: Any) -> Any:
    """The text of a token; anything else of what is none."""
    return spec.get("content") if isinstance(spec, dict) else spec


def _added_token(spec: str | dict[str, Any]) -> AddedToken:
    if isinstance(spec, str):
        return AddedToken(spec, special=True, normalized=False)
    return AddedToken(**{key: value for key, value in spec.items() if key != "__type"})
