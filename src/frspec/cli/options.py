"""Options that several verbs share, named as in vLLM where it has them.

Knows: flags and the arguments of ``LLM`` and ``SamplingParams`` they stand for. Does not know: what these do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from frspec import shipped
from frspec.cli.threads import use_threads
from frspec.errors import UserError
from frspec.ranking.naming import Size

if TYPE_CHECKING:
    from frspec.types import StructuredOutputs

TOP_P = "Only the likeliest tokens that make up this share; 1 is off."
Command = TypeVar("Command", bound=Callable[..., Any])


def stack(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator, in their order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def model_option(command: Command) -> Command:
    """Which model; the one that comes with frspec unless another is named."""
    return click.option(
        "--model",
        default=shipped.NAME,
        show_default=True,
        metavar="MODEL",
        help="Checkpoint folder, hub id, or demo: the model that comes with frspec.",
    )(command)


def place_options(command: Command) -> Command:
    """Where a model runs, and in which type."""
    dtypes = click.Choice(["auto", "float32", "bfloat16"])
    return stack(
        click.option(
            "--dtype",
            type=dtypes,
            default="auto",
            show_default=True,
            help="auto is the checkpoint's own, float32 for float16.",
        ),
        click.option(
            "--device",
            metavar="auto|cpu|cuda",
            default="auto",
            show_default=True,
            help="auto is cuda where there is one.",
        ),
    )(command)


def model_options(command: Command) -> Command:
    """``LLM``'s arguments, but for the model and the drafter."""
    return stack(
        click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model."),
        place_options,
        click.option("--quantize", type=click.Choice(["int8"]), help="The model's matrices in 8 bits; CPUs only."),
        click.option("--threads", type=click.IntRange(min=1), metavar="N", callback=use_threads, expose_value=False,
                     help="Cores to compute on; PyTorch's own choice, or OMP_NUM_THREADS, if left out."),
        click.option("--max-model-len", type=int, metavar="N", help="Context length, prompt and output together."),
        click.option("--exact", is_flag=True, help="Bitwise the same in every dtype and batch; slower."),
    )(command)  # fmt: skip


def colour_option(command: Command) -> Command:
    """Whether accepted drafts are shown."""
    return click.option(
        "--colour/--no-colour",
        "--color/--no-color",
        "colour",
        default=None,
        help="Text of accepted drafts in another colour; by itself on terminals, unless NO_COLOR is set.",
    )(command)


def tree_options(command: Command) -> Command:
    """The shape of a draft."""
    return stack(
        click.option(
            "--num-speculative-tokens",
            "--speculative-tokens",
            type=int,
            metavar="N",
            help="Tokens one pass may verify. Without this and the next two, measured costs decide, round by round.",
        ),
        click.option("--tree-depth", type=int, metavar="N", help="Longest draft."),
        click.option("--tree-width", type=int, metavar="N", help="Guesses kept per depth; 1 is a chain."),
    )(command)


def draft_options(command: Command) -> Command:
    """The drafter and its vocabulary."""
    return stack(
        click.option(
            "--draft",
            metavar="none|ngram|HEAD|MODEL",
            help="What drafts. If left out: for demo its own head with its own ranking, else none.",
        ),
        click.option(
            "--draft-vocab",
            metavar="N|SHARE[@PART]|full|FILE",
            help="Part of the vocabulary the draft head searches; @PART: of that part of the ranking. If left out: "
            "measured costs decide.",
        ),
        click.option("--ranking", metavar="FILE[@PART]", help="Ranking that sizes and shares are taken from."),
        click.option(
            "--draft-quantize", type=click.Choice(["int8"]), help="The drafter's matrices in 8 bits; CPUs only."
        ),
    )(command)


def sampling_options(command: Command) -> Command:
    """``SamplingParams``, with longer answers than its default."""
    return stack(
        click.option("--max-tokens", type=int, default=256, show_default=True, help="Most new tokens."),
        click.option("--min-tokens", type=int, default=0, show_default=True, help="New tokens before any end."),
        click.option("--temperature", type=float, default=1.0, show_default=True, help="0 is greedy."),
        click.option("--top-p", type=float, default=1.0, show_default=True, help=TOP_P),
        click.option("--top-k", type=int, default=-1, show_default=True, help="So many of the likeliest; -1 is off."),
        click.option("--min-p", type=float, default=0.0, show_default=True, help="Least share of the likeliest's."),
        click.option("--seed", type=int, help="Same seed, same text, whatever drafts."),
        click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; may be repeated."),
        click.option("--stop-token-ids", type=int, multiple=True, metavar="ID", help="End at this id; repeatable."),
        click.option("--ignore-eos", is_flag=True, help="Go on past the end-of-sequence token."),
        click.option("--repetition-penalty", type=float, default=1.0, show_default=True,
                     help="Divides the scores of tokens seen, the prompt's too; 1 is off."),
        click.option("--presence-penalty", type=float, default=0.0, show_default=True,
                     help="Taken from the scores of tokens written."),
        click.option("--frequency-penalty", type=float, default=0.0, show_default=True,
                     help="Taken from the scores of tokens written, once for each time."),
        click.option("--bad-words", multiple=True, metavar="TEXT", help="Never write this text; may be repeated."),
        click.option("--logit-bias", multiple=True, metavar="ID=VALUE", callback=_biases,
                     help="Added to the score of an id; may be repeated."),
        click.option("--allowed-token-ids", type=int, multiple=True, metavar="ID", callback=_some,
                     help="Write these ids alone; may be repeated."),
    )(command)  # fmt: skip


def report_options(command: Command) -> Command:
    """What of ``SamplingParams`` asks for more than one text."""
    return stack(
        click.option("-n", "n", type=int, default=1, show_default=True, help="Completions of the prompt."),
        click.option("--logprobs", type=int, metavar="K", help="With --json: the K best log-probabilities per token."),
        click.option("--prompt-logprobs", type=int, metavar="K", help="With --json: the same of the prompt's tokens."),
    )(command)


def structure_options(command: Command) -> Command:
    """``StructuredOutputs``: the form a text must have."""
    return stack(
        click.option("--json-schema", metavar="FILE|JSON", help="Write JSON of this schema."),
        click.option("--regex", metavar="REGEX", help="Write a text that matches this as a whole."),
        click.option("--choice", multiple=True, metavar="TEXT", help="Write one of these texts; to be repeated."),
        click.option("--grammar", metavar="FILE", help="Write a text of this grammar, in llguidance's Lark syntax."),
    )(command)


def take_structure(options: dict[str, Any]) -> StructuredOutputs | None:
    """Move ``structure_options`` out of a verb's options."""
    schema, regex, choice, grammar = take(options, ("json_schema", "regex", "choice", "grammar")).values()
    if schema is not None and not schema.lstrip().startswith("{"):
        schema = _read(schema)
    asked = {"json": schema, "regex": regex, "choice": choice or None, "grammar": grammar and _read(grammar)}
    if all(value is None for value in asked.values()):
        return None
    from frspec.types import StructuredOutputs

    return StructuredOutputs(**asked)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; give a UTF-8 file") from error


def _biases(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[int, float] | None:  # noqa: ARG001
    biases = {}
    for value in values:
        try:
            token, bias = value.split("=")
            biases[int(token)] = float(bias)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is not a token id and a number, such as 42=-1.5") from error
    return biases or None


def _some(ctx: click.Context, param: click.Parameter, values: tuple[int, ...]) -> tuple[int, ...] | None:  # noqa: ARG001
    return values or None


SAMPLING = (
    "max_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p", "seed", "stop", "stop_token_ids",
    "ignore_eos", "repetition_penalty", "presence_penalty", "frequency_penalty", "bad_words", "logit_bias",
    "allowed_token_ids",
)  # fmt: skip
REPORT = ("n", "logprobs", "prompt_logprobs")


def with_own_draft(model: str, options: dict[str, Any]) -> dict[str, Any]:
    """``options``, in which the shipped model drafts with its own head and ranking if nothing was said to draft.

    A ranking that was named stays, and so does a --draft-vocab that is itself a file.
    """
    if model != shipped.NAME or options["draft"] is not None:
        return options
    vocabulary, ranking = options["draft_vocab"], options["ranking"]
    sized = vocabulary is None or vocabulary == "full" or Size.parse(vocabulary) is not None
    return {**options, "draft": shipped.NAME, "ranking": shipped.NAME if ranking is None and sized else ranking}


PLACE = ("dtype", "device", "quantize", "revision", "exact", "draft_quantize")
"""What of ``LLM``'s options makes another model of it, for ``frspec tune``."""


def with_tuned(model: str, options: dict[str, Any], greedy: bool) -> dict[str, Any]:
    """``options`` with what ``frspec tune`` found best for these names on this machine, where nothing else was said."""
    said = ("draft_vocab", "num_speculative_tokens", "tree_depth", "tree_width")
    if options["draft"] in (None, "none", "ngram") or any(options[name] is not None for name in said):
        return options
    from frspec.engine.tuning import Subject, find

    place = {name: options[name] for name in PLACE}
    choice = find(Subject(model, options["draft"], options["ranking"], noisy=not greedy, **place))
    if choice is None:
        return options
    print(f"tuned on {choice.date[:10]}: {choice.ratio:.2f} × plain decoding then", file=sys.stderr)
    nodes, depth, width = choice.shape or (None, None, None)
    tuned = {"num_speculative_tokens": nodes, "tree_depth": depth, "tree_width": width}
    whole = {"ranking": None} if choice.draft_vocab == "full" else {}
    return {**options, "draft_vocab": choice.draft_vocab, **whole, **tuned}


def take(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Move ``names`` out of a verb's options."""
    return {name: options.pop(name) for name in names}
