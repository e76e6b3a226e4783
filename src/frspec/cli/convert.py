"""``frspec convert``: between rankings and what other programs read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from frspec.ranking.naming import Size

if TYPE_CHECKING:
    from frspec.ranking.ranking import Ranking

FORMATS = click.Choice(["ranking", "token-map", "json", "text", "token-freq", "d2t", "t2d", "eagle3", "gguf"])


def _size(ctx: click.Context, param: click.Parameter, value: str | None) -> Size:  # noqa: ARG001
    """A number of ids, or, with a decimal point, the share of the counts that they cover."""
    size = Size(None) if value is None else Size.parse(value)
    if size is None:
        raise click.BadParameter(f"{value!r} is neither a number of ids nor a share such as 0.99")
    return size


@click.command()
@click.argument("ranking")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@click.option("--to", type=FORMATS, help="Its format; by its name otherwise.")
@click.option("--from", "source_format", type=FORMATS, help="RANKING's format; by its content otherwise.")
@click.option("--size", callback=_size, metavar="N|SHARE[@PART]",
              help="How many ids, or the share to cover; all by default.")  # fmt: skip
@click.option("--vocab-size", type=click.IntRange(1, 1 << 24),
              help="vocab_size in the target's config.json: the length of t2d and eagle3.")  # fmt: skip
@click.option("--tokenizer", help="Whose the counts of a token-freq are: checkpoint folder, hub id or file.")
def convert(
    ranking: str,
    output: Path,
    to: str | None,
    source_format: str | None,
    size: Size,
    vocab_size: int | None,
    tokenizer: str | None,
) -> None:
    """Write the most frequent ids of RANKING as other programs read them, and say what that loses.

    RANKING is a ranking, one part of it (all.ranking@de), a file of another program, a checkpoint with d2t or t2d, or
    demo.

    \b
    ranking     frspec's own                                        *.ranking
    token-map   ids, for FR-Spec, SGLang, CPM.cu                    *.pt
    json, text  ids                                                 *.json, *.txt
    token-freq  counts by token id, for speculators                 token_freq*.pt
    d2t         offsets by draft row: EAGLE-3, speculators          d2t*.npy, .pt, .safetensors
    t2d         mask over the target's ids: EAGLE-3, speculators    t2d*.npy, .pt, .safetensors
    eagle3      both in one file: EAGLE-3, SpecForge                .safetensors, .pt; needs --to
    gguf        llama.cpp's d2t: ids by draft row                   *.gguf
    """
    from frspec.ranking.formats import format_of_name, read_source, write_source

    name = to or format_of_name(output)
    source = read_source(ranking, source_format)
    if tokenizer is not None:
        source = replace(source, ranking=_counts_of(source.ranking, tokenizer, ranking))
    if vocab_size is not None:
        source = replace(source, vocab_size=vocab_size)
    if size.part is not None:
        source = replace(source, ranking=source.ranking.part(size.part))
    whole, amount = source.ranking, size.amount
    ids = whole.ids if amount is None else whole.covering(amount) if isinstance(amount, float) else whole.prefix(amount)
    lost = write_source(source, ids, output, name)
    said = f"; it does not keep: {', '.join(lost)}" if lost else ""
    click.echo(f"{output}: {len(ids):,} of {len(whole):,} ids as {name}{said}", err=True)


def _counts_of(ranking: Ranking, name: str, file: str) -> Ranking:
    """``ranking`` as that of a tokenizer: with its fingerprint, and all its ids."""
    import numpy as np

    from frspec.artifacts import provenance
    from frspec.errors import UserError
    from frspec.ranking.ranking import Ranking
    from frspec.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(name)
    ranking.check_fingerprint(tokenizer.fingerprint)
    if ranking.fingerprint is not None:
        return ranking
    if ranking.counts is None:
        raise UserError(f"{file} has no counts, so --tokenizer makes no ranking of it; leave it out")
    if ranking.ids[ranking.counts > 0].max(initial=0) >= tokenizer.vocab_size:
        raise UserError(f"{file} counts tokens beyond the {tokenizer.vocab_size:,} of {name}; name their own tokenizer")
    by_id = np.zeros(max(tokenizer.vocab_size, len(ranking)), dtype=np.int64)
    by_id[ranking.ids] = ranking.counts
    facts = provenance(tokenizer=tokenizer.name, sources=[file], tokens=int(by_id.sum()))
    return Ranking.from_counts(by_id[: tokenizer.vocab_size], tokenizer.fingerprint, facts)
