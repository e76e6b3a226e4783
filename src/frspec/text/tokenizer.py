"""Text to token ids and back, with the vocabulary's identity.

Knows: which file of a checkpoint holds its tokenizer, which ids are special, what bytes an id stands for. Does not
know: models, frequencies. The work is done by the ``tokenizers`` library.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from frspec import hub, shipped
from frspec.errors import UserError
from frspec.text import folders
from frspec.text.chat import ChatTemplate, Message, find_templates
from frspec.text.decoding import Decoding, decoding_of
from frspec.text.tiktoken_files import load_tiktoken

LONG = 10_000
"""Characters, a few milliseconds of work: from here on other threads go on meanwhile. For one text alone the library
keeps Python's lock, for a batch it does not."""
LARGEST = 1 << 24
"""Ids; published vocabularies end below a million."""
SAMPLE_CHAT = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "Bye"},
]


class Tokenizer:
    """One vocabulary and its rules; ``Tokenizer.load`` makes one.

    ``backend``: the ``tokenizers.Tokenizer``. ``name``: what it was loaded from. ``special``: the texts of
    ``bos_token``, ``eos_token``, ... ``templates``: chat templates by name.
    """

    def __init__(
        self, backend: Backend, name: str, special: Mapping[str, str], templates: Mapping[str, str] | None = None
    ) -> None:
        self.backend = backend
        self.name = name
        self.decoding: Decoding = decoding_of(backend, name)
        added = backend.get_added_tokens_decoder()
        _check_added(backend, name)
        self.special_ids = frozenset(id for id, token in added.items() if token.special)
        self.added_ids = frozenset(added)
        self.bos_id = self._id_of(special.get("bos_token"))
        self.eos_id = self._id_of(special.get("eos_token"))
        self._special = dict(special)
        self._chat = ChatTemplate(templates, special, name) if templates else None

    @staticmethod
    def load(name_or_path: str | Path, revision: str | None = None) -> Tokenizer:
        """The tokenizer of a checkpoint folder, a hub id, "demo", a ``tokenizer.json`` or a published tiktoken file.

        BOS is put before a text where the ``tokenizer.json`` says so, or, for ``vocab.json`` with ``merges.txt``,
        where ``add_bos_token`` does.

        Raises:
            UserError: when there is none, or one that could only be approximated.
        """
        path = hub.local(name_or_path)
        if name_or_path == shipped.NAME or not path.is_file():
            return _from_folder(hub.resolve(name_or_path, revision, hub.TOKENIZER_FILES), str(name_or_path))
        if revision is not None:
            raise UserError(f"--revision {revision} goes with a hub id, but {path} is a local file; leave it out")
        if path.suffix == ".json":
            return _from_json(path)
        return _from_tiktoken(path)

    @cached_property
    def _tokens(self) -> list[str | None]:
        vocabulary = self.backend.get_vocab(with_added_tokens=True)
        by_id = {id: token for token, id in vocabulary.items()}
        flaw = None
        if not by_id:
            flaw = "is empty"
        elif max(by_id) >= LARGEST:
            flaw = f"goes up to the id {max(by_id):,}, and frspec counts up to {LARGEST:,}"
        elif len(by_id) < len(vocabulary):
            twice = min(id for token, id in vocabulary.items() if by_id[id] != token)
            flaw = f"gives the id {twice} to two tokens, so that nothing says which one it stands for"
        if flaw is not None:
            raise UserError(f"the vocabulary of {self.name} {flaw}; get its tokenizer's files again")
        return [by_id.get(id) for id in range(max(by_id) + 1)]

    @property
    def vocab_size(self) -> int:
        """The largest id plus one; ids in between may be unused."""
        return len(self._tokens)

    @cached_property
    def fingerprint(self) -> str:
        """32 hex digits that two tokenizers share if and only if every id stands for the same bytes in both.

        SHA-256 over the ids in order: the length (4 bytes, little-endian) and the bytes of each, or ``ff ff ff ff``
        for an unused id. Whether a token is special is not part of it.
        """
        digest = hashlib.sha256()
        for token in self._tokens:
            content = None if token is None else self.decoding.token_bytes(token)
            digest.update(b"\xff" * 4 if content is None else len(content).to_bytes(4, "little") + content)
        return digest.hexdigest()[:32]

    @property
    def chat_template(self) -> str | None:
        """The source of the chat template, if the checkpoint has one."""
        return self._chat.source if self._chat else None

    @property
    def tool_template(self) -> str | None:
        """The source of the one that conversations with tools take; often the same."""
        return self._chat.tool_source if self._chat else None

    def use_chat_template(self, source: str) -> None:
        """Write chats by this template from now on, whatever the checkpoint has."""
        self._chat = ChatTemplate({"default": source}, self._special, self.name)

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """The ids of ``text``; with ``add_special_tokens`` a BOS where this tokenizer puts one.

        The text of a special token inside ``text`` becomes that token, as in Hugging Face.

        Raises:
            UserError: when the text holds half of a surrogate pair, which no encoding of text has.
        """
        if len(text) > LONG:
            return self.encode_batch([text], add_special_tokens)[0]
        _check_unicode(text)
        with self._understood():
            ids: list[int] = self.backend.encode(text, add_special_tokens=add_special_tokens).ids
        return ids

    def encode_batch(self, texts: Sequence[str], add_special_tokens: bool = True) -> list[list[int]]:
        """``encode`` for many texts, on all cores unless ``TOKENIZERS_PARALLELISM`` is ``false``."""
        for text in texts:
            _check_unicode(text)
        with self._understood():
            encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
        return [encoding.ids for encoding in encodings]

    def place_batch(self, texts: Sequence[str]) -> list[Encoding]:
        """``encode_batch`` without BOS, with ``offsets``: of each token the characters of the text that it covers."""
        for text in texts:
            _check_unicode(text)
        with self._understood():
            return self._placing.encode_batch(list(texts), add_special_tokens=False)

    @cached_property
    def _placing(self) -> Backend:
        """A ``backend`` whose offsets say where tokens stand. Some post-processors leave out the spaces of a token, so
        that one of spaces alone would stand behind itself; here nothing is processed."""
        processor = self.backend.post_processor
        if processor is None or b'"trim_offsets":true' not in processor.__getstate__():
            return self.backend
        placing = Backend.from_str(self.backend.to_str())
        placing.post_processor = None
        return placing

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """A text that this tokenizer has no tokens for is its fault, not the program's."""
        try:
            yield
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"the tokenizer of {self.name} cannot encode a text: {error}") from error
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # of PyO3, which gives it no place to be imported from
                raise
            raise UserError(
                f"the tokenizers library breaks down ({error}) at a text with the tokenizer of {self.name}; where one "
                "added token takes the spaces behind it (rstrip) and another those before it (lstrip), set one to false"
            ) from error

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ``ids``; invalid UTF-8 becomes U+FFFD, ids outside the vocabulary nothing."""
        hidden = self.special_ids if skip_special_tokens else frozenset()
        tokens = [token for id in ids if id not in hidden and (token := self.token(id)) is not None]
        # Not backend.decode: it spells an added token as its normalizer would, and then fails to see it is special.
        return str(self.backend.decoder.decode(tokens))

    def token(self, id: int) -> str | None:
        """The vocabulary's own spelling of ``id``; None for an unused id or one outside."""
        return self._tokens[id] if 0 <= id < len(self._tokens) else None

    def token_bytes(self, id: int) -> bytes:
        """What ``id`` stands for inside a text; nothing for an unused id."""
        token = self.token(id)
        return b"" if token is None else self.decoding.token_bytes(token)

    def control_ids(self) -> set[int]:
        """EOS and every added token that the chat template writes, spelled out or put together while rendering."""
        found = set() if self.eos_id is None else {self.eos_id}
        if self._chat is None:
            return found
        written = ""
        with contextlib.suppress(UserError):  # a template may want other conversations than the sample
            written = self._chat.source
            written += "\n" + self.render_chat(SAMPLE_CHAT)
        return found | {id for id in self.added_ids if (text := self._tokens[id]) and text in written}

    def render_chat(self, messages: Sequence[Message], add_generation_prompt: bool = True, **variables: Any) -> str:
        """The conversation as the chat template writes it; encode it with ``add_special_tokens=False``.

        Raises:
            UserError: when there is no chat template, or it rejects the conversation.
        """
        if self._chat is None:
            raise UserError(f"{self.name} has no chat template; give a prompt instead of messages")
        return self._chat.render(messages, add_generation_prompt=add_generation_prompt, **variables)

    def _id_of(self, text: str | None) -> int | None:
        return None if text is None else self.backend.token_to_id(text)


def _check_added(backend: Backend, name: str) -> None:
    """Refuse added tokens that the tokenizer's normalizer makes one text of, or nothing.

    The library looks for them in normalised text. Of two that are the same there it finds either, which one being
    settled anew each time the tokenizer is loaded. One that is nothing there it finds everywhere, until it breaks down
    or the memory is full.
    """
    normalizer, seen = backend.normalizer, dict[str, str]()
    if normalizer is None:
        return
    for token in backend.get_added_tokens_decoder().values():
        if not token.normalized:
            continue
        text = normalizer.normalize_str(token.content)
        if not text or text in seen:
            flaw = f"{text!r} of both {seen[text]!r} and {token.content!r}" if text else f"nothing of {token.content!r}"
            raise UserError(
                f"the tokenizer of {name} normalises its added tokens and makes {flaw}, so that the tokenizers library "
                "finds it at random; set its normalized to false, or remove it"
            )
        seen[text] = token.content


def _check_unicode(text: str) -> None:
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise UserError("the text holds a lone surrogate (\\ud800 to \\udfff), which is not Unicode") from error


def _from_folder(folder: Path, name: str) -> Tokenizer:
    config = folders.read_config(folder)
    if (folder / "tokenizer.json").is_file():
        backend = folders.load_json_tokenizer(folder / "tokenizer.json")
        folders.add_tokens(backend, config, folder)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        backend = folders.load_vocab_and_merges(folder, config)
        folders.add_tokens(backend, config, folder)
        folders.set_bos(backend, config)
    elif files := sorted(folder.glob("*.tiktoken")):
        return _from_tiktoken(files[0])
    elif (folder / "tokenizer.model").is_file():
        return _from_tiktoken(folder / "tokenizer.model")
    else:
        raise UserError(
            f"{name} has no tokenizer.json, vocab.json with merges.txt, or *.tiktoken file; if it was fetched only in "
            "part, fetch it again"
        )
    return Tokenizer(backend, name, folders.special_texts(config), find_templates(folder, config))


def _from_json(path: Path) -> Tokenizer:
    backend = folders.load_json_tokenizer(path)
    first = backend.encode("").tokens[:1]  # without a config, BOS is what the file puts before an empty text
    return Tokenizer(backend, str(path), {"bos_token": first[0]} if first else {})


def _from_tiktoken(path: Path) -> Tokenizer:
    if b"\x00" in path.read_bytes()[:4096]:
        raise UserError(
            f"{path} is a SentencePiece model or another binary file, which frspec does not read; "
            "save a tokenizer.json with transformers"
        )
    backend, encoding = load_tiktoken(path)
    special = {"eos_token": encoding.eos} | ({"bos_token": encoding.bos} if encoding.bos else {})
    return Tokenizer(backend, str(path), special)
