"""The training texts again in the target's own words: what its head learns from and its ranking is counted on.

    python recipes/demo/own_words.py TARGET CORPORA OUT_FOLDER --documents 12_000

Users' turns stay, the target answers them: one half of the documents greedily, the other at temperature 1. Held-out
documents are left out. OUT_FOLDER gets shards of JSON Lines (``messages``, or ``text``), which ``frspec rank`` and
``frspec train`` read. Interrupt it at will: the same command writes the shards that are missing.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from texts import SOURCES, all_forms
from writer import Draft, Picker, write

from frspec.artifacts import atomic_path
from frspec.engine.llm import LLM
from frspec.text.sources import Document
from frspec.text.tokenizer import Tokenizer
from frspec.train.corpus import generator
from frspec.train.loop import probe
from frspec.train.state import take_up

SHARES = {"dialogues_en": 0.25, "tinystories_en": 0.45, "gsm8k_train_en": 0.3}
"""Of all documents. Answers in dialogues are short: in tokens that the head learns they are a quarter too."""
SHARD, TOGETHER, WORKERS = 1024, 256, 2
"""Documents in a file; texts that grow together; files written at the same time, a thread each."""
LENGTH = 640
"""Tokens; longer texts are broken off, and an unfinished answer is left out."""
BEGINNING = 8
"""Tokens kept of a text that is no conversation."""


def chosen(folder: Path, documents: int, seed: int) -> list[Document]:
    """Training documents in all their forms, drawn by ``SHARES`` and mixed; never a held-out one, and none twice."""
    found = list[Document]()
    for source in SOURCES:
        forms = [form for forms in all_forms(source, folder)[0] for form in forms]
        wanted = round(SHARES.get(source.name, 0) * documents)
        found += random.Random(f"{seed} {source.name}").sample(forms, min(len(forms), wanted))
    random.Random(seed).shuffle(found)
    return found


def drafted(tokenizer: Tokenizer, document: Document) -> Draft:
    """The document with its answers, or all but its beginning, still to be written."""
    if document.text is not None:
        return Draft([tokenizer.encode(document.text)[:BEGINNING]], LENGTH)
    given = list[list[int]]()
    for asked in questions(document):
        text = ("\n" if given else "") + tokenizer.render_chat(asked)
        given.append(tokenizer.encode(text, add_special_tokens=False))
    return Draft(given, LENGTH)


def questions(document: Document) -> list[list[dict[str, Any]]]:
    """What is said before each of the assistant's turns, since the one before."""
    turns: list[list[dict[str, Any]]] = [[]]
    for message in document.messages or []:
        if message["role"] == "assistant":
            turns.append([])
        else:
            turns[-1].append(message)
    return turns[:-1]


def record(tokenizer: Tokenizer, document: Document, draft: Draft) -> dict[str, Any] | None:
    """A line of the output; None where not one answer came to its end."""
    if document.text is not None:
        return {"text": tokenizer.decode(draft.ids)}
    messages = list[dict[str, Any]]()
    for asked, answer in zip(questions(document), draft.answers, strict=False):
        messages += [*asked, {"role": "assistant", "content": tokenizer.decode(answer)}]
    return {"messages": messages} if messages else None


def write_shard(llm: LLM, documents: Sequence[Document], file: Path, temperature: float, draws: list[int]) -> int:
    """Write one file; how many tokens the model has read and written for it."""
    target, tokenizer = llm.engine.target, llm.get_tokenizer()
    picker = Picker(target.head, temperature, generator(*draws))
    drafts = [drafted(tokenizer, document) for document in documents]
    places = {id(draft): place for place, draft in enumerate(drafts)}
    stops = frozenset(llm.config.stop_token_ids)
    done = {places[id(d)]: d for d in write(target, picker, drafts, stops, TOGETHER, LENGTH)}
    records = (record(tokenizer, documents[place], done[place]) for place in range(len(documents)))
    with atomic_path(file) as temporary:
        lines = (json.dumps(one, ensure_ascii=False) for one in records if one)
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return sum(len(draft.ids) for draft in drafts)


def write_all(llm: LLM, documents: list[Document], folder: Path, seed: int) -> Iterator[tuple[int, int, int]]:
    """Shards done in this run, all shards of this run, tokens so far; every second shard is greedy."""
    shards = [documents[first : first + SHARD] for first in range(0, len(documents), SHARD)]
    missing = [n for n in range(len(shards)) if not (folder / f"{n:04}.jsonl").exists()]
    tokens = 0
    with ThreadPoolExecutor(WORKERS) as workers:
        written = workers.map(
            lambda n: write_shard(llm, shards[n], folder / f"{n:04}.jsonl", float(n % 2), [seed, n]), missing
        )
        for done, more in enumerate(written, 1):
            tokens += more
            yield done, len(missing), tokens


@click.command()
@click.argument("target", type=click.Path(exists=True, path_type=Path))
@click.argument("corpora", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", metavar="OUT_FOLDER", type=click.Path(path_type=Path))
@click.option("--documents", type=int, required=True, help="Texts and conversations to write, some 200 tokens each.")
@click.option("--seed", default=0, show_default=True)
def main(target: Path, corpora: Path, output: Path, documents: int, seed: int) -> None:
    """Write the training texts in CORPORA again in TARGET's words."""
    llm = LLM(target, dtype="bfloat16")  # for hundreds of rows; "auto" would choose what is quick for a few
    identity = {"documents": documents, "seed": seed, "model": probe(llm.engine.target)}
    take_up(output / ".manifest.json", identity)
    started = perf_counter()
    for done, shards, tokens in write_all(llm, chosen(corpora, documents, seed), output, seed):
        click.echo(f"shard {done}/{shards}  {tokens:,} tokens  {tokens / (perf_counter() - started):,.0f} tokens/s")
    click.echo(f"{output}: done")


if __name__ == "__main__":
    main()
