"""What drafts bring to a text that must have a form, and which part of it brings how much.

    OMP_NUM_THREADS=1 python recipes/guided/ablation.py [--rounds N]

One schema, two prompts, the model that comes with frspec. Four ways for each drafter: trees as they are drafted;
without what the grammar forbids; what the grammar forces instead of the drafts, where there is anything; both, which is
what frspec does. Every text is compared with the first: they must be the same. Medians over rounds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch

from frspec import LLM, SamplingParams
from frspec.speculation.guidance import Guide
from frspec.speculation.guidance import guide as guides
from frspec.types import RequestMetrics, StructuredOutputs, TokenTree

SCHEMA = {
    "type": "object",
    "properties": {
        "restaurant_name": {"type": "string", "maxLength": 30},
        "city": {"enum": ["San Francisco", "San Jose", "Oakland", "Berkeley"]},
        "number_of_people": {"type": "integer", "minimum": 1, "maximum": 12},
        "reservation_time": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"},
        "vegetarian_options": {"type": "boolean"},
        "price_range": {"enum": ["cheap", "moderate", "expensive"]},
        "phone_number": {"type": "string", "pattern": "^[0-9]{3}-[0-9]{3}-[0-9]{4}$"},
    },
    "additionalProperties": False,
}
PROMPTS = ["User: I want a table.\nAssistant as JSON: ", "A restaurant in Berkeley: "]
Fit = Callable[[Guide, TokenTree, int], TokenTree]
both: Fit = Guide.fit


def as_drafted(_guide: Guide, tree: TokenTree, _room: int) -> TokenTree:
    """The tree of a drafter that knows of no grammar."""
    return tree


def forced_only(guide: Guide, tree: TokenTree, room: int) -> TokenTree:
    """What must come, or else the drafts, whether they fit or not."""
    forced = both(guide, TokenTree.chain(tree.tokens[:1].tolist()), room)
    return forced if len(forced) > 1 else tree


def fitting_only(guide: Guide, tree: TokenTree, room: int) -> TokenTree:
    """The drafts that fit."""
    fitted = _Unforced(guide._matcher, guide._ends, tree, room)
    fitted.descend(0, 0, 0)
    return TokenTree(torch.tensor(fitted.tokens), torch.tensor(fitted.parents), torch.tensor(fitted.depths))


class _Unforced(guides._Fitting):
    def _forced(self, _depth: int) -> list[int]:
        return []


WAYS = {"as drafted": as_drafted, "without the forbidden": fitting_only, "with the forced": forced_only, "both": both}


class Ablation:
    """Figures by temperature, drafter and way; every text that was written must be the first one's."""

    def __init__(self) -> None:
        self.texts: dict[tuple[float, int, int], list[int]] = {}
        self.figures: dict[tuple[float, str, str], list[tuple[float, float, float]]] = {}

    def measure(self, drafters: dict[str, LLM], temperature: float, seed: int) -> None:
        """Every drafter in every way, once."""
        form = StructuredOutputs(json=SCHEMA | {"required": list(SCHEMA["properties"])})
        params = SamplingParams(temperature=temperature, seed=seed, max_tokens=220, structured_outputs=form)
        for (name, llm), (way, fit) in itertools.product(drafters.items(), WAYS.items()):
            Guide.fit = fit
            begun, seen = time.perf_counter(), list[RequestMetrics]()
            for number, prompt in enumerate(PROMPTS):
                (output,) = llm.generate(prompt, params, use_tqdm=False)
                ids = output.outputs[0].token_ids
                assert ids == self.texts.setdefault((temperature, seed, number), ids), "a draft changed the text"
                seen.append(output.metrics)
            total, seconds = RequestMetrics.merge(seen), time.perf_counter() - begun
            rows = sum(total.drafted_per_position) / total.target_passes
            figures = (total.mean_acceptance_length, rows, total.emitted / seconds)
            self.figures.setdefault((temperature, name, way), []).append(figures)

    def print(self) -> None:
        """A table of medians."""
        print("| temperature | drafter | trees | tokens a pass | drafted a pass | tok/s |\n" + "| --- " * 6 + "|")
        for (temperature, name, way), values in self.figures.items():
            tokens, rows, speed = (statistics.median(column) for column in zip(*values, strict=True))
            print(f"| {temperature:g} | {name} | {way} | {tokens:.2f} | {rows:.2f} | {speed:.0f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    plain = LLM("demo")
    drafters = {
        "none": plain,
        "ngram": plain.with_draft("ngram"),
        "demo's head": plain.with_draft("demo", ranking="demo"),
    }
    Ablation().measure(drafters, 0.0, 0)  # nothing is measured cold
    ablation = Ablation()
    for seed, temperature in itertools.product(range(rounds), (0.0, 1.0)):
        ablation.measure(drafters, temperature, seed)
    ablation.print()


if __name__ == "__main__":
    main()
