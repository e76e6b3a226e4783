"""``frspec train``: an EAGLE head for a target model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from frspec import shipped
from frspec.cli.options import place_options


@click.command()
@click.argument("model", default=shipped.NAME)
@click.option("--data", "sources", multiple=True, required=True, metavar="SOURCE", help="Corpus; may be repeated.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the head to write.")
@click.option("--regenerate", is_flag=True, help="Train on what the model itself writes after the corpus' prompts.")
@click.option("--prompt-tokens", type=click.IntRange(1), default=32, show_default=True, help="Of a text, as a prompt.")
@click.option("--epochs", type=click.IntRange(1), default=10, show_default=True, help="Passes over the corpus.")
@click.option("--steps", type=click.IntRange(1), help="Steps of training, instead of --epochs.")
@click.option("--batch-tokens", type=click.IntRange(8), default=4096, show_default=True, help="Tokens in one step.")
@click.option("--seq-len", type=click.IntRange(8), help="Longest piece of a document; --batch-tokens by default.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Parts of a step that are worked on side by side, a thread each.")  # fmt: skip
@click.option(
    "--draft-vocab", metavar="N|SHARE[@PART]|full|FILE", help="Part of the vocabulary the token loss is over."
)
@click.option("--ranking", metavar="FILE[@PART]", help="Ranking that sizes and shares are taken from.")
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Highest learning rate; 0.384 / width by default.")
@click.option("--noise", type=click.FloatRange(0), default=0.1, show_default=True, help="On input features, uniform.")
@click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.05, show_default=True,
              help="Share of the documents, at the end, that acceptance is measured on.")  # fmt: skip
@click.option("--eval-every", type=click.IntRange(1), help="Steps between measurements; a tenth of all by default.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the first weights, the order and the noise.")
@click.option("--field", default="text", show_default=True, help="Where JSON Lines and Parquet keep the text.")
@click.option("--skip-bad", is_flag=True, help="Leave unreadable records and files out, and say how many.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@place_options
def train(model: str, sources: Sequence[str], output: Path, regenerate: bool, **options: Any) -> None:
    """Train an EAGLE draft head for MODEL (demo if left out) and write it to a folder.

    Kill it whenever you like: the same command goes on where it was and ends with the same head.
    """
    from frspec import hub
    from frspec.cli.train_display import Display
    from frspec.engine.llm import LLM
    from frspec.models.config import load_config
    from frspec.text.sources import read_documents
    from frspec.train.run import Plan, Run, check_output

    given = click.get_current_context().get_parameter_source("epochs")
    if options["steps"] is not None and given is not None and given.name == "COMMANDLINE":
        raise click.UsageError("--steps and --epochs exclude each other")
    field, skip_bad = options.pop("field"), options.pop("skip_bad")
    loading = {name: options.pop(name) for name in ("revision", "dtype", "device")}
    plan = Plan(learning_rate=options.pop("lr"), **options)
    read = partial(read_documents, list(sources), field, skip_bad)
    check_output(output)
    next(read())  # a corpus that is not there, or holds nothing, is refused before the model is loaded
    plan.vocabulary(load_config(hub.resolve(model, loading["revision"])).vocab_size)
    with Display() as display:
        llm = LLM(model, max_num_seqs=32, **loading)
        run = Run(llm, model, read, output, plan, display.prepare)
        trainer = run.prepare(regenerate)
        display.begin(trainer)
        try:
            for progress in run.train(trainer):
                display.show(progress)
        except KeyboardInterrupt:
            display.say(f"stopped; the same command goes on after step {trainer.saved:,}")
            raise
        display.say(f"{output}: {display.summary()}")
