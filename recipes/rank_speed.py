"""How fast ``frspec rank`` counts, against the tokenizers library encoding the same texts and nothing else.

    python recipes/rank_speed.py CORPUS TOKENIZER... [--repeat N]

Each round loads every tokenizer afresh, so both sides start with empty caches, and times on all cores: the library's
``encode_batch_fast`` over texts that lie in memory, and ``rank`` with reading, decompressing and adding up. Loading
the tokenizer is in neither. Prints a line a measurement; the last line is one JSON object with the medians.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import click

from frspec.ranking.count import rank_documents
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer


def library_seconds(name: str, texts: list[str]) -> float:
    """The library alone, on its own threads."""
    backend = Tokenizer.load(name).backend
    start = time.perf_counter()
    backend.encode_batch_fast(texts, add_special_tokens=False)
    return time.perf_counter() - start


def rank_seconds(name: str, corpus: str) -> tuple[float, int]:
    """The whole of ``rank`` but loading the tokenizer and writing the file; and the number of tokens."""
    tokenizer = Tokenizer.load(name)
    start = time.perf_counter()
    ranking = rank_documents(tokenizer, read_documents(corpus))
    return time.perf_counter() - start, int(ranking.provenance["tokens"])


@click.command()
@click.argument("corpus")
@click.argument("names", nargs=-1, required=True, metavar="TOKENIZER...")
@click.option("--repeat", default=5, show_default=True)
def main(corpus: str, names: tuple[str, ...], repeat: int) -> None:
    """Compare, round by round, and print the medians."""
    texts = [text for document in read_documents(corpus) for text in document.texts()]
    rounds: dict[str, list[tuple[float, float, int]]] = {name: [] for name in names}
    for number in range(1, repeat + 1):
        for name, seen in rounds.items():
            alone = library_seconds(name, texts)
            whole, tokens = rank_seconds(name, corpus)
            seen.append((alone, whole, tokens))
            speeds = f"library {tokens / alone:,.0f}, rank {tokens / whole:,.0f} tokens/s"
            print(f"{number}/{repeat} {Path(name).name}: {speeds}")
    print(json.dumps({"corpus": Path(corpus).name, "cores": os.cpu_count(), "rounds": repeat, **medians(rounds)}))


def medians(rounds: dict[str, list[tuple[float, float, int]]]) -> dict[str, dict[str, float]]:
    """For each tokenizer the tokens/s of both sides and the median of the rounds' ratios."""
    return {
        Path(name).name: {
            "tokens": seen[0][2],
            "library_tokens_per_s": round(statistics.median(tokens / alone for alone, _, tokens in seen)),
            "rank_tokens_per_s": round(statistics.median(tokens / whole for _, whole, tokens in seen)),
            "rank_over_library": round(statistics.median(alone / whole for alone, whole, _ in seen), 3),
        }
        for name, seen in rounds.items()
    }


if __name__ == "__main__":
    main()
