"""How ids that a part of a ranking never saw are best ordered: what large draft vocabularies of small parts cover.

    python recipes/ranking/unseen.py --tokenizer NAME NAME=SOURCE... [--few CHARACTERS]... [--size N]...

Every name takes its turn as the part with few texts (its first ``--few`` characters) in one file with much of all the
others (``--many`` characters of each), and is tried on text behind all of these (``--tried`` characters). Ids that it
saw stand by their counts; the others by number, by the counts of all parts together, or as ``Ranking.part`` has them.
Prints the share of the tried text in the first ids of each: the mean over the names, and how far the worst of them lies
behind its best order. The last line is one JSON object.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from frspec.ranking.ranking import Ids, Ranking
from frspec.text.sources import read_documents
from frspec.text.tokenizer import Tokenizer


def slices(source: str, *lengths: int) -> Iterator[list[str]]:
    """So many characters of the texts of a source, and so many behind these, and so on; documents may be cut."""
    texts = (text for document in read_documents([source]) for text in document.texts())
    rest = ""
    for length in lengths:
        taken = list[str]()
        while length:
            rest = rest or next(texts, "")
            if not rest:
                raise click.ClickException(f"{source} is too short; ask for fewer characters")
            taken.append(rest[:length])
            rest = rest[length:]
            length -= len(taken[-1])
        yield taken


def count(tokenizer: Tokenizer, texts: Iterable[str]) -> Ids:
    """How often each id occurs, [V]."""
    total = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for ids in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        total += np.bincount(ids, minlength=len(total))
    return total


def orders(name: str, few: Ids, many: Mapping[str, Ids]) -> dict[str, Ids]:
    """The ids [V] of a part with ``few`` counts among ``many`` of the others, by each way to order the unseen."""
    parts = {**many, name: few}
    together = sum(parts.values(), np.zeros_like(few))
    return {
        "by number": np.argsort(-few, kind="stable"),
        "by all parts together": np.lexsort((-together, -few)),
        "as frspec has them": Ranking.from_parts(parts, "").part(name).ids,
    }


def _named(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, str]:  # noqa: ARG001
    pairs = [value.partition("=") for value in values]
    if not all(name and source for name, _, source in pairs):
        raise click.BadParameter("sources are written NAME=SOURCE")
    return {name: source for name, _, source in pairs}


@click.command()
@click.argument("sources", nargs=-1, required=True, callback=_named, metavar="NAME=SOURCE...")
@click.option("--tokenizer", required=True, help="As for frspec rank.")
@click.option("--few", "fews", type=int, multiple=True, default=(60_000, 600_000), show_default=True,
              help="Characters of the small part; may be repeated.")  # fmt: skip
@click.option("--many", type=int, default=2_500_000, show_default=True, help="Characters of every other part.")
@click.option("--tried", type=int, default=400_000, show_default=True, help="Characters to try it on.")
@click.option("--size", "sizes", type=int, multiple=True, default=(4096, 8192, 16384, 32768), show_default=True,
              help="How many ids; may be repeated.")  # fmt: skip
def main(
    sources: dict[str, str], tokenizer: str, fews: Sequence[int], many: int, tried: int, sizes: Sequence[int]
) -> None:
    """Count, order, compare."""
    loaded = Tokenizer.load(tokenizer)
    gaps = np.diff([0, *sorted(fews), many]).tolist()
    counted = {
        name: [count(loaded, texts) for texts in slices(source, *gaps, tried)] for name, source in sources.items()
    }
    whole = {name: sum(counts[:-1], np.zeros_like(counts[0])) for name, counts in counted.items()}
    found = dict[str, dict[str, dict[str, list[float]]]]()
    for name, counts in counted.items():
        others = {other: total for other, total in whole.items() if other != name}
        for place, few in enumerate(sorted(fews), 1):
            small = sum(counts[:place], np.zeros_like(counts[0]))
            row = found.setdefault(str(few), {}).setdefault(name, {})
            for order, ids in orders(name, small, others).items():
                covered = np.cumsum(counts[-1][ids]) / counts[-1].sum()
                row[order] = [round(float(covered[size - 1]), 5) for size in sizes]
    print(markdown(found, sizes))
    print(
        json.dumps({"tokenizer": Path(tokenizer).name, "sizes": sizes, "many": many, "tried": tried, "shares": found})
    )


def markdown(found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], sizes: Sequence[int]) -> str:
    """For each amount and order the mean over the parts, and how far the worst part lies below its best order."""
    lines = [
        f"| few | unseen ids | {' | '.join(f'{size:,}' for size in sizes)} |",
        f"| --- | --- |{' --- |' * len(sizes)}",
    ]
    for few, parts in found.items():
        best = np.array([np.max([*row.values()], axis=0) for row in parts.values()])
        for order in next(iter(parts.values())):
            shares = np.array([row[order] for row in parts.values()])
            mean, behind = 100 * shares.mean(axis=0), 100 * (best - shares).max(axis=0)
            cells = [f"{one:.1f} (-{other:.1f})" for one, other in zip(mean, behind, strict=True)]
            lines.append(f"| {int(few):,} | {order} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
