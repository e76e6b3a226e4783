"""What the trained target writes: a few prompts, each answer once, nothing picked.

python recipes/demo/sample.py MODEL [--temperature 0.7] [--seed 0]
"""

from __future__ import annotations

from pathlib import Path

import click

from frspec.engine.llm import LLM
from frspec.types import SamplingParams

CONVERSATION = [
    "Hi, I am looking for a place to eat tonight.",
    "In San Francisco, please. I would like some Italian food.",
    "That sounds good. Can you reserve a table for two at 7 pm?",
    "Yes, that is correct.",
]
REQUESTS = ["I need a flight from New York to Los Angeles.", "Tell me a story about a dog and a ball.",
            "Tom has 12 apples. He gives 5 to Anna and buys 8 more. How many apples does he have?"]  # fmt: skip
BEGINNING = "Once upon a time, there was a little girl who lived near the sea."


def chat(llm: LLM, said: list[str], params: SamplingParams) -> None:
    """A conversation, turn by turn, as it goes."""
    tokenizer, messages = llm.get_tokenizer(), list[dict[str, str]]()
    for content in said:
        messages.append({"role": "user", "content": content})
        ids = tokenizer.encode(tokenizer.render_chat(messages), add_special_tokens=False)
        answer = llm.generate([{"prompt_token_ids": ids}], params)[0].outputs[0].text
        messages.append({"role": "assistant", "content": answer})
        click.echo(f"User: {content}\nAssistant: {answer}")


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--temperature", default=0.7, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(model: Path, temperature: float, seed: int) -> None:
    """Write five samples with MODEL."""
    llm = LLM(model)
    params = SamplingParams(temperature=temperature, seed=seed, max_tokens=300)
    for said in [CONVERSATION, *([request] for request in REQUESTS)]:
        chat(llm, said, params)
        click.echo("\n---\n")
    click.echo(BEGINNING + llm.generate([BEGINNING], params)[0].outputs[0].text)


if __name__ == "__main__":
    main()
