"""Train the demo's target model from named corpora and write it as a Hugging Face checkpoint.

    python recipes/demo/train_target.py CORPORA TOKENIZER OUT_FOLDER --tokens 34_000_000

Interrupt it at will: the same command goes on. Beside OUT_FOLDER it keeps OUT_FOLDER.training until the end, and
leaves OUT_FOLDER/provenance.json with sources, settings and held-out losses. See README.md for speeds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import click
import torch
from compact import Compact
from make_tokenizer import END_OF_TEXT, END_OF_TURN
from target import read_config, save_target, target_json
from texts import SOURCES, Source, split
from training import PARTS, Progress, Settings, Training

from frspec.artifacts import provenance
from frspec.errors import UserError
from frspec.models.checkpoint import EMBEDDING
from frspec.text.sources import Document
from frspec.text.tokenizer import Tokenizer
from frspec.train.corpus import Corpus
from frspec.train.examples import encode_documents

SAY_SECONDS = 15.0


def encode(tokenizer: Tokenizer, documents: Iterable[Document]) -> Corpus:
    """Each document's ids with the end of text behind them; all tokens are learned, the user's too."""
    end = token_id(tokenizer, END_OF_TEXT)
    return Corpus.of(([*ids, end], None) for ids, _ in encode_documents(tokenizer, documents))


def token_id(tokenizer: Tokenizer, text: str) -> int:
    """The id of a control token."""
    found = tokenizer.backend.token_to_id(text)
    if found is None:
        raise UserError(f"{tokenizer.name} has no token {text}; make it with make_tokenizer.py")
    return int(found)


def read(
    sources: Iterable[Source], folder: Path, tokenizer: Tokenizer
) -> tuple[Compact, Corpus, dict[str, Corpus], dict[str, int]]:
    """The compact vocabulary; training and held-out texts in its rows; tokens of each source, repeats included."""
    training, held_out, sizes = list[Corpus](), dict[str, Corpus](), dict[str, int]()
    for source in sources:
        documents, kept = split(source, folder)
        training.append(encode(tokenizer, documents))
        held_out[source.name] = encode(tokenizer, kept)
        sizes[source.name] = len(training[-1].tokens)
    corpus = Corpus.of((part.document(number), None) for part in training for number in range(len(part)))
    compact = Compact.of(corpus.tokens, sorted(tokenizer.control_ids()), tokenizer.vocab_size)

    def rows(part: Corpus) -> Corpus:
        return Corpus(compact.shrink(part.tokens).int(), part.counted, part.starts)

    return compact, rows(corpus), {name: rows(part) for name, part in held_out.items()}, sizes


def say(progress: Progress, steps: int, rate: float) -> None:
    """A line for the log."""
    left = (steps - progress.step) * (progress.tokens / progress.step) / rate / 60
    click.echo(
        f"step {progress.step:,}/{steps:,}  {progress.tokens:,} tokens  loss {progress.loss:.3f}  "
        f"{rate:,.0f} tokens/s  {left:.1f} min left"
    )
    if progress.exam:
        told = "  ".join(f"{name} {loss:.3f}" for name, loss in progress.exam.losses.items())
        click.echo(f"  held out: {told}  never-seen ids {progress.exam.unseen:.1e}")


def follow(training: Training) -> None:
    """Run to the end, telling every so often how it goes."""
    started, first, said = perf_counter(), training.state.tokens, 0.0
    for progress in training.run():
        if progress.exam or perf_counter() - said > SAY_SECONDS or progress.step == training.settings.steps:
            said = perf_counter()
            say(progress, training.settings.steps, (progress.tokens - first) / (said - started))


@click.command()
@click.argument("corpora", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("tokenizer_folder", metavar="TOKENIZER", type=click.Path(exists=True, path_type=Path))
@click.argument("output", metavar="OUT_FOLDER", type=click.Path(path_type=Path))
@click.option("--tokens", type=int, required=True, help="Tokens to train on, over all epochs.")
@click.option("--layers", default=8, show_default=True)
@click.option("--hidden", default=192, show_default=True)
@click.option("--batch-tokens", default=8192, show_default=True)
@click.option("--learning-rate", default=3e-3, show_default=True)
@click.option("--exams", default=16, show_default=True, help="How many times held-out losses are measured.")
@click.option("--seed", default=0, show_default=True)
def main(
    corpora: Path,
    tokenizer_folder: Path,
    output: Path,
    tokens: int,
    layers: int,
    hidden: int,
    batch_tokens: int,
    learning_rate: float,
    exams: int,
    seed: int,
) -> None:
    """Train on SOURCES in CORPORA and write the model with TOKENIZER's files to OUT_FOLDER."""
    tokenizer = Tokenizer.load(tokenizer_folder)
    stops = [token_id(tokenizer, END_OF_TURN), token_id(tokenizer, END_OF_TEXT)]
    written = target_json(tokenizer.vocab_size, layers, hidden, stops)
    config = read_config(written)
    compact, corpus, held_out, sizes = read(SOURCES, corpora, tokenizer)
    click.echo(f"{len(corpus.tokens):,} tokens an epoch {sizes}, {len(compact.ids):,} ids of {compact.size:,} occur")
    steps = max(1, tokens // batch_tokens)
    seq_len = min(config.max_position_embeddings, batch_tokens // PARTS)
    settings = Settings(steps, batch_tokens, seq_len, learning_rate, seed, exams)
    folder = output.parent / f"{output.name}.training"
    training = Training(config, compact, corpus, held_out, settings, folder / "state.safetensors")
    follow(training)
    exam = training.exam()
    tensors = dict(training.state.tensors)
    tensors[EMBEDDING] = compact.expand(tensors[EMBEDDING].detach())
    save_target(output, written, tensors, tokenizer_folder)
    facts = provenance(
        kind="demo target",
        sources=[
            {"name": s.name, "licence": s.licence, "repeats": s.repeats, "tokens": sizes[s.name]} for s in SOURCES
        ],
        settings=asdict(settings),
        trained_tokens=training.state.tokens,
        occurring_ids=len(compact.ids),
        held_out=asdict(exam),
        history=training.state.history,
        torch=torch.__version__,
    )
    (output / "provenance.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"{output}: held out {exam.losses}, never-seen ids {exam.unseen:.1e}")


if __name__ == "__main__":
    main()
