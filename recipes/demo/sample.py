"""What the trained target writes: five fixed prompts, each answered once with fixed seeds, nothing picked, nothing cut.

python recipes/demo/sample.py MODEL SAMPLES.json [--temperature 0.7] [--seed 0]
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from frspec.artifacts import atomic_path
from frspec.engine.llm import LLM
from frspec.shipped import sha256
from frspec.types import SamplingParams

CONVERSATIONS = [
    [
        "Hi, I am looking for a place to eat tonight.",
        "In San Francisco, please. I would like some Italian food.",
        "That sounds good. Can you reserve a table for two at 7 pm?",
        "Yes, that is correct.",
    ],
    ["I need a flight from New York to Los Angeles.", "Next Friday, please.", "What is the name of the airline?"],
    ["Tell me a story about a dog and a ball."],
    ["Tom has 12 apples. He gives 5 to Anna and buys 8 more. How many apples does he have?"],
]
BEGINNING = "Once upon a time, there was a little girl who lived near the sea."


def conversation(llm: LLM, said: list[str], params: SamplingParams) -> list[dict[str, str]]:
    """The messages of a talk in which the user says these things whatever the model answers.

    An answer that does not end by itself gets its share of half the context.
    """
    params = replace(params, max_tokens=llm.max_model_len // (2 * len(said)))
    messages = list[dict[str, str]]()
    for content in said:
        messages.append({"role": "user", "content": content})
        answer = llm.chat(messages, params, use_tqdm=False)[0].outputs[0].text
        messages.append({"role": "assistant", "content": answer})
    return messages


def write(llm: LLM, params: SamplingParams) -> list[dict[str, Any]]:
    """Each sample as ``messages``, or as ``prompt`` and ``text``."""
    samples: list[dict[str, Any]] = [{"messages": conversation(llm, said, params)} for said in CONVERSATIONS]
    text = llm.generate(BEGINNING, params, use_tqdm=False)[0].outputs[0].text
    return [*samples, {"prompt": BEGINNING, "text": text}]


def show(sample: dict[str, Any]) -> str:
    """A sample to read."""
    if "prompt" in sample:
        return str(sample["prompt"] + sample["text"])
    return "\n".join(f"{message['role'].capitalize()}: {message['content']}" for message in sample["messages"])


@click.command()
@click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", metavar="SAMPLES.json", type=click.Path(path_type=Path))
@click.option("--temperature", default=0.7, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(model: Path, output: Path, temperature: float, seed: int) -> None:
    """Write five samples with MODEL, up to the end of its context."""
    params = SamplingParams(temperature=temperature, seed=seed, max_tokens=None)
    samples = write(LLM(model), params)
    click.echo("\n\n---\n\n".join(map(show, samples)))
    facts = {"model_sha256": sha256(model / "model.safetensors"), "temperature": temperature, "seed": seed}
    with atomic_path(output) as place:
        place.write_text(json.dumps({**facts, "samples": samples}, ensure_ascii=False, indent=1), "utf-8")


if __name__ == "__main__":
    main()
