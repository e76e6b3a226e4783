"""A corpus in the target's own words: its prompts stay, the target writes what follows.

Knows: prompts, the engine, shards on disk. Does not know: training.
Every document's continuation depends only on the seed and the document's number, so shards that a killed run left
are as good as new ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from frspec.artifacts import atomic_path
from frspec.engine.llm import LLM
from frspec.engine.writing import seed_of
from frspec.errors import UserError
from frspec.text.sources import Document
from frspec.train.examples import Example, encode_conversation
from frspec.train.loop import probe
from frspec.train.state import take_up
from frspec.types import RequestOutput, SamplingParams

SHARD = 128
"""Documents in one file: what a kill can cost."""


@dataclass(frozen=True)
class Regeneration:
    """``prompt_tokens`` of each text are kept; a text or an answer grows to at most ``seq_len`` tokens in all."""

    prompt_tokens: int
    seq_len: int
    seed: int
    corpus: str

    def __post_init__(self) -> None:
        if self.prompt_tokens >= self.seq_len:
            raise UserError(f"prompt_tokens {self.prompt_tokens} leaves no room in seq_len {self.seq_len}; lower it")


def regenerate(
    llm: LLM, documents: Iterable[Document], settings: Regeneration, folder: Path
) -> Iterator[list[Example]]:
    """The documents' new contents, shard by shard; those already in ``folder`` are only read.

    Raises:
        UserError: naming the setting, when ``folder`` holds another regeneration, or a file that cannot be read.
    """
    identity = {**asdict(settings), "model": probe(llm.engine.target)}
    take_up(folder / "manifest.json", identity)
    documents, number = iter(documents), 0
    while shard := list(islice(documents, SHARD)):
        file = folder / f"{number // SHARD:06}.jsonl"
        if not file.exists():
            written = _continue(llm, shard, number, settings)
            with atomic_path(file) as temporary:
                temporary.write_text("".join(json.dumps(one) + "\n" for one in written), encoding="utf-8")
        yield [_example(llm, one, file, line) for line, one in enumerate(_records(file), 1)]
        number += len(shard)


def _continue(llm: LLM, shard: Sequence[Document], first: int, settings: Regeneration) -> list[dict[str, Any]]:
    """Records of a shard: ``ids`` of a text, ``messages`` of a conversation; none where nothing could be written."""
    numbered = list(enumerate(shard, first))
    texts = [(number, document.text) for number, document in numbered if document.text is not None]
    talks = [(number, document) for number, document in numbered if document.text is None]
    return [*_continue_texts(llm, texts, settings), *_continue_talks(llm, talks, settings)]


def _continue_texts(llm: LLM, texts: Sequence[tuple[int, str]], settings: Regeneration) -> list[dict[str, Any]]:
    encoded = llm.get_tokenizer().encode_batch([text for _, text in texts])
    prompts = [(n, ids[: settings.prompt_tokens]) for (n, _), ids in zip(texts, encoded, strict=True) if ids]
    outputs = _generate(llm, prompts, settings)
    return [
        {"ids": ids + output.outputs[0].token_ids} for (_, ids), output in zip(prompts, outputs, strict=True) if output
    ]


def _continue_talks(llm: LLM, talks: Sequence[tuple[int, Document]], settings: Regeneration) -> list[dict[str, Any]]:
    """Turn by turn over all conversations at once: each new answer is part of the next one's prompt."""
    done: dict[int, list[dict[str, Any]]] = {number: [] for number, _ in talks}
    going = {number: list(document.messages or []) for number, document in talks}
    while going:
        asked = list[tuple[int, list[int]]]()
        for number, left in list(going.items()):
            while left and left[0]["role"] != "assistant":
                done[number].append(left.pop(0))
            if left:
                asked.append((number, llm.chat_prompt(done[number])["prompt_token_ids"]))
            else:
                del going[number]
        for (number, _), output in zip(asked, _generate(llm, asked, settings), strict=True):
            if output is None or output.outputs[0].finish_reason != "stop":
                del going[number]  # no room for a whole answer, so none for what follows it
            else:
                answer = {**going[number].pop(0), "content": output.outputs[0].text}
                done[number].append(answer)
    return [{"messages": _until_last_answer(messages)} for messages in done.values() if _until_last_answer(messages)]


def _until_last_answer(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    answered = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    return messages[: answered[-1] + 1] if answered else []


def _generate(llm: LLM, prompts: Sequence[tuple[int, list[int]]], settings: Regeneration) -> list[RequestOutput | None]:
    """The continuation of each (document number, prompt); None where the prompt leaves no room."""
    top = min(settings.seq_len, llm.max_model_len)
    fitting = [(number, ids) for number, ids in prompts if len(ids) < top]
    params = [
        SamplingParams(temperature=1.0, max_tokens=top - len(ids), seed=seed_of(settings.seed, number, len(ids)))
        for number, ids in fitting
    ]
    outputs = iter(llm.generate([{"prompt_token_ids": ids} for _, ids in fitting], params) if fitting else [])
    return [next(outputs) if len(ids) < top else None for _, ids in prompts]


def _records(file: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); delete it to have it written again") from error


def _example(llm: LLM, record: dict[str, Any], file: Path, line: int) -> Example:
    if "ids" in record:
        return record["ids"], None
    return encode_conversation(llm.get_tokenizer(), Document(str(file), line, messages=record["messages"]))
