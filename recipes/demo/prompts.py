"""The 80 prompts that speeds of the demo model are measured on, as JSON Lines with the field ``messages``.

    python recipes/demo/prompts.py CORPORA OUT.jsonl

Forty dialogues cut at a user's turn in their middle, twenty requests for a story, twenty problems; all of documents
that neither the target, nor its head, nor the ranking has seen. The same documents every time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import click
from texts import SOURCES, Message, all_forms

from frspec.artifacts import atomic_path

COUNTS = {"dialogues_en": 40, "tinystories_en": 20, "gsm8k_train_en": 20}
SEED = 0


def prompts(folder: Path) -> Iterator[list[Message]]:
    """Conversations that end with what the user says, source after source."""
    for source in SOURCES:
        draws = random.Random(f"{SEED} {source.name}")
        _, held_out = all_forms(source, folder)
        for forms in draws.sample(held_out, COUNTS.get(source.name, 0)):
            yield until_middle(draws.choice([form.messages for form in forms if form.messages]))


def until_middle(messages: list[Message]) -> list[Message]:
    """Up to and with the user's turn that stands in the middle, the earlier one of two."""
    asked = [place for place, message in enumerate(messages) if message["role"] == "user"]
    return messages[: asked[(len(asked) - 1) // 2] + 1]


@click.command()
@click.argument("corpora", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", metavar="OUT.jsonl", type=click.Path(dir_okay=False, path_type=Path))
def main(corpora: Path, output: Path) -> None:
    """Write the prompts drawn from the held-out documents in CORPORA."""
    with atomic_path(output) as temporary:
        lines = (json.dumps({"messages": messages}, ensure_ascii=False) for messages in prompts(corpora))
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
