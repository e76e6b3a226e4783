"""How fast ``frspec rank`` counts, against the tokenizers library encoding the same texts and nothing else.

    python recipes/ranking/speed.py SOURCES... --tokenizer NAME [--tokenizer NAME] [--repeat N] [--limit-mb N] [--check]

Each round times, for every tokenizer and on all cores, one after the other: the library's ``encode_batch_fast`` over
texts that lie in memory, freshly loaded so that its caches are empty, in batches of bounded size; and the command, with
reading, unpacking, adding up, its start and writing the ranking. The start is also timed alone, on one letter,
because it weighs on small corpora. Memory is that of the command's processes together. Prints a line a measurement; the
last line is one JSON object with the medians.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median

import click
import numpy as np
from program import run

from frspec.ranking.ranking import Ranking
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer

BATCH = 1 << 24
"""Characters that the library gets at once: fewer leave cores idle at each batch's end, more only take memory."""


@dataclass(frozen=True)
class Round:
    """Seconds of the library alone, of the command and of its start; ``tokens``; the command's megabytes."""

    alone: float
    command: float
    start: float
    tokens: int
    megabytes: float

    def __str__(self) -> str:
        return (
            f"library {self.tokens / self.alone:,.0f}, frspec rank {self.tokens / self.command:,.0f} tokens/s "
            f"(of {self.command:.1f} s {self.start:.1f} s start), {self.megabytes:,.0f} MB"
        )


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts, in order, about ``BATCH`` characters at a time."""
    batch, size = list[str](), 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    yield batch


def library(name: str, texts: Sequence[str]) -> tuple[float, int]:
    """Seconds of the library alone, on its own threads, and the number of tokens."""
    backend = Tokenizer.load(name).backend
    start = time.perf_counter()
    encoded = (backend.encode_batch_fast(batch, add_special_tokens=False) for batch in batches(texts))
    tokens = sum(len(encoding) for encodings in encoded for encoding in encodings)
    return time.perf_counter() - start, tokens


def compare(name: str, texts: Sequence[str], made: Path) -> None:
    """End the program unless every id occurs as often as the library says."""
    tokenizer = Tokenizer.load(name)
    by_id = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for batch in batches(texts):
        encodings = tokenizer.backend.encode_batch_fast(batch, add_special_tokens=False)
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), dtype=np.int64)
        by_id += np.bincount(ids, minlength=len(by_id))
    if not np.array_equal(by_id, Ranking.load(made).by_id):
        sys.exit(f"{name}: frspec rank has other counts than the library")


def measure(name: str, sources: Sequence[str], texts: Sequence[str], folder: Path) -> Round:
    """One round; the ranking lies in ``folder``."""
    alone, tokens = library(name, texts)
    (folder / "letter.txt").write_text("a")
    start = run("rank", "--tokenizer", name, folder / "letter.txt", "-o", folder / "letter.ranking")
    whole = run("rank", "--tokenizer", name, *sources, "-o", folder / "all.ranking")
    counted = Ranking.load(folder / "all.ranking").provenance["tokens"]
    if counted != tokens:
        sys.exit(f"{name}: the library has {tokens:,} tokens, frspec rank {counted:,}")
    return Round(alone, whole.seconds, start.seconds, tokens, whole.megabytes)


def limited(sources: Sequence[str], megabytes: float, folder: Path) -> list[str]:
    """The first documents of each source as one JSON Lines file, all together about so many megabytes."""
    made = []
    for number, source in enumerate(sources):
        file, left = folder / f"{number}.jsonl", megabytes * 1e6 / len(sources)
        with file.open("w") as lines:
            for text in chain.from_iterable(document.texts() for document in read_documents(source)):
                lines.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
                left -= len(text.encode())
                if left < 0:
                    break
        made.append(str(file))
    return made


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """The medians of both speeds, of their ratios, and of memory."""
    return {
        "tokens": rounds[0].tokens,
        "library_tokens_per_s": round(median(each.tokens / each.alone for each in rounds)),
        "rank_tokens_per_s": round(median(each.tokens / each.command for each in rounds)),
        "rank_over_library": round(median(each.alone / each.command for each in rounds), 3),
        "without_start": round(median(each.alone / (each.command - each.start) for each in rounds), 3),
        "start_seconds": round(median(each.start for each in rounds), 2),
        "peak_megabytes": round(max(each.megabytes for each in rounds)),
    }


@click.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--tokenizer", "names", multiple=True, required=True, help="As for frspec rank; may be repeated.")
@click.option("--repeat", default=3, show_default=True, help="Rounds.")
@click.option("--limit-mb", type=float, help="About so much text, the same from each source, as plain JSON Lines.")
@click.option("--check", is_flag=True, help="Also compare how often each id occurs; takes another pass of the library.")
def main(sources: Sequence[str], names: Sequence[str], repeat: int, limit_mb: float | None, check: bool) -> None:
    """Compare, round by round, and print the medians."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = limited(sources, limit_mb, folder) if limit_mb else sources
        texts = [text for document in read_documents(sources) for text in document.texts()]
        rounds = dict[str, list[Round]]()
        for number, name in [(number, name) for number in range(repeat) for name in names]:
            measured = measure(name, sources, texts, folder)
            rounds.setdefault(name, []).append(measured)
            print(f"{number + 1}/{repeat} {Path(name).name}: {measured}", flush=True)
            if check and number == 0:
                compare(name, texts, folder / "all.ranking")
        size = sum(len(text.encode()) for text in texts)
    results = {Path(name).name: summary(each) for name, each in rounds.items()}
    print(json.dumps({"bytes": size, "cores": os.cpu_count(), "rounds": repeat, "checked": check, **results}))


if __name__ == "__main__":
    main()
