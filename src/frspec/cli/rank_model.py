"""``frspec rank --from-model``: have a model answer prompts, and rank the tokens that it wrote.

Knows: flags, what a run of answers belongs to. Does not know: how answers are written or kept.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from frspec.cli.options import TOP_P, draft_options, model_options, take, with_own_draft
from frspec.errors import UserError

if TYPE_CHECKING:
    from frspec.bench.prompts import Talk
    from frspec.engine.llm import LLM
    from frspec.engine.writing import Answer
    from frspec.ranking.ranking import Ranking
    from frspec.train.answers import AnswerJournal
    from frspec.types import SamplingParams

READING = ("field", "limit", "skip")
SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens")
LOGGED = 10  # prompts left out that are named; the rest are counted


@click.command()
@click.option("--from-model", "model", required=True, metavar="MODEL",
              help="Who writes: checkpoint folder, hub id, or demo.")  # fmt: skip
@click.option("--prompts", multiple=True, required=True, metavar="SOURCE...",
              help="Prompts, or a suite, as frspec bench takes; several may follow.")  # fmt: skip
@click.argument("more", nargs=-1, metavar="[SOURCE]...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The ranking to write.")
@click.option("--keep-answers", type=click.Path(path_type=Path), metavar="FILE",
              help="Write prompts and answers too, as JSON Lines that frspec train reads.")  # fmt: skip
@click.option("--field", default="text", show_default=True, help="Field of the sources that holds the prompt.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Prompts to answer; all if left out.")
@click.option("--skip", type=click.IntRange(0), default=0, show_default=True, help="Prompts to leave out first.")
@click.option("--prompt-tokens", type=click.IntRange(1), metavar="N", help="Cut each prompt to its first N tokens.")
@click.option("--skip-bad", is_flag=True, help="Leave out what cannot be read or asked, and say how much.")
@click.option("--samples", type=click.IntRange(1), default=1, show_default=True, help="Answers to each prompt.")
@click.option("--max-tokens", type=click.IntRange(1), default=512, show_default=True, help="Most tokens of an answer.")
@click.option("--temperature", type=float, help="0 is greedy. If left out, as --generation-config says, else 1.")
@click.option("--top-p", type=float, help=f"{TOP_P} If left out, as --generation-config says, else 1.")
@click.option("--generation-config", metavar="auto|none|FOLDER", default="auto", show_default=True,
              help="Whose generation_config.json says how to sample; auto is the model's.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same answers, whatever drafts.")
@click.option("--restart", is_flag=True, help="Forget the answers that an interrupted run left.")
@click.option("--max-num-seqs", type=click.IntRange(1), default=16, show_default=True, metavar="N",
              help="Answers that are written at a time.")  # fmt: skip
@draft_options
@model_options
def model(
    model: str,
    prompts: tuple[str, ...],
    more: tuple[str, ...],
    output: Path,
    keep_answers: Path | None,
    skip_bad: bool,
    samples: int,
    seed: int,
    restart: bool,
    **options: Any,
) -> None:
    """Have MODEL answer the prompts in SOURCEs, and rank the tokens it wrote: what a draft will have to guess.

    Each answer is kept in FILE.answers beside the output as soon as it is whole; the same command goes on after an
    interruption, with the same answers, and removes it at the end.
    """
    from frspec.artifacts import alone, check_place
    from frspec.bench.prompts import make_talks, read_questions
    from frspec.engine.llm import LLM
    from frspec.ranking.formats import check_ranking_name
    from frspec.train.answers import AnswerJournal

    sources = [*prompts, *more]
    check_ranking_name(output)
    _check_overwritten(output, keep_answers, sources)
    for place in filter(None, (output, keep_answers)):
        check_place(place)
    prompt_tokens, params = options.pop("prompt_tokens"), _sampling(model, options)
    left_out = list[str]() if skip_bad else None
    questions = read_questions(sources, **take(options, READING), left_out=left_out)
    llm = LLM(model, enable_prefix_caching=True, **with_own_draft(model, options))
    talks = make_talks(llm, questions, prompt_tokens, params.max_tokens or 0, left_out)
    asked = {"seed": seed, "samples": samples, "sampling": {name: getattr(params, name) for name in SAMPLED}}
    kept = output.with_name(f"{output.name}.answers")
    settings = _settings(llm, model, talks, options, asked)
    with alone(output):
        if restart:
            kept.unlink(missing_ok=True)
        with AnswerJournal(kept, settings) as journal:
            talks = [talk for talk in talks for _ in range(samples)]
            started = time.perf_counter()
            answers = _write(llm, [talk.again() for talk in talks], params, seed, journal)
            seconds = time.perf_counter() - started
            if keep_answers is not None:
                _keep(keep_answers, talks, answers)
            facts = {"model": model, "sources": sources, **asked, "skipped": len(left_out or ())}
            ranking = _rank(llm, answers, facts)
            ranking.save(output)
    _tell(output, ranking, left_out or (), llm.engine.scheduler.counts.generated_tokens / seconds)


def _check_overwritten(output: Path, keep_answers: Path | None, sources: Sequence[str]) -> None:
    taken = {output.resolve(): "ranking"} | {Path(source).resolve(): "prompts" for source in sources}
    for name, place in (("-o", output), ("--keep-answers", keep_answers)):
        what = taken.get(place.resolve()) if place else None
        if what == "prompts" or (what and place is keep_answers):
            raise UserError(f"{name} {place} would be written over the {what} of that name; choose another")


def _sampling(model: str, options: dict[str, Any]) -> SamplingParams:
    """What was said, else what the model's makers recommend; taken out of ``options``."""
    from frspec.server.defaults import chosen_sampling
    from frspec.types import SamplingParams

    said = take(options, ("max_tokens", "temperature", "top_p"))
    recommended = chosen_sampling(options.pop("generation_config"), model, options["revision"])
    return SamplingParams(
        **{**recommended, **{name: value for name, value in said.items() if value is not None}}, detokenize=False
    )


def _settings(
    llm: LLM, model: str, talks: Sequence[Talk], options: Mapping[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """All that answers depend on, by the names of the flags where there are any. What drafts is not among them."""
    from frspec.train.loop import probe

    words = json.dumps([llm.get_tokenizer().chat_template, *(talk.words for talk in talks)]).encode()
    return {
        "--from-model": model,
        "the model": probe(llm.engine.target),
        "the tokenizer": llm.get_tokenizer().fingerprint,
        "what --prompts holds": f"{len(talks)} prompts ({hashlib.sha256(words).hexdigest()[:16]})",
        **{f"--{name}": value for name, value in asked.items() if name != "sampling"},
        **asked["sampling"],
        "dtype": str(llm.engine.target.dtype),
        **{name: options[name] for name in ("quantize", "exact")},
        "max_model_len": llm.max_model_len,
    }


def _write(llm: LLM, talks: Sequence[Talk], params: SamplingParams, seed: int, journal: AnswerJournal) -> list[Answer]:
    """Every answer, in the order of the talks; each is kept when it is whole."""
    from frspec.engine.progress import follow
    from frspec.engine.writing import write_answers

    answers = list(journal.known.values())
    if answers:
        click.echo(f"going on behind the {len(answers):,} answers in {journal.path}", err=True)
    try:
        with follow(sum(talk.turns for talk in talks), wanted=True) as progress:
            progress(len(answers), 0)
            for answer in write_answers(llm, talks, params, seed, journal.known.values()):
                journal.add(answer)
                answers.append(answer)
                progress(len(answers), llm.engine.scheduler.counts.generated_tokens)
    except BaseException:
        kept = f"{len(answers):,} answers are kept in {journal.path}"
        click.echo(f"{kept}; the same command goes on behind them", err=True)
        raise
    return sorted(answers, key=lambda answer: (answer.talk, answer.turn))


def _rank(llm: LLM, answers: Sequence[Answer], facts: Mapping[str, Any]) -> Ranking:
    from frspec.artifacts import provenance
    from frspec.ranking.ranking import Ranking
    from frspec.train.answers import count_answers

    tokenizer = llm.get_tokenizer()
    by_id = count_answers(answers, tokenizer.vocab_size)
    ended = Counter(answer.reason for answer in answers)
    about = provenance(
        tokenizer=facts["model"], **facts, documents=len(answers), tokens=int(by_id.sum()), ended=dict(ended)
    )
    return Ranking.from_counts(by_id, tokenizer.fingerprint, about)


def _keep(path: Path, talks: Sequence[Talk], answers: Iterable[Answer]) -> None:
    """A line for each talk, in their order: ``messages`` or ``text``, and how each answer ended."""
    from frspec.artifacts import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for number, group in groupby(answers, key=lambda answer: answer.talk):
            turns = list(group)
            record = talks[number].record([answer.ids for answer in turns])
            record["finish_reasons"] = [answer.reason for answer in turns]
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _tell(output: Path, ranking: Ranking, left_out: Sequence[str], rate: float) -> None:
    for reason in left_out[:LOGGED]:
        click.echo(f"left out: {reason}", err=True)
    facts = ranking.provenance
    skipped = f", {len(left_out)} prompts skipped" if left_out else ""
    click.echo(
        f"{output}: {facts['tokens']:,} tokens of {facts['documents']:,} answers, "
        f"{facts['ended'].get('length', 0):,} of them cut off{skipped}; "
        f"99 % are {len(ranking.covering(0.99)):,} of {len(ranking):,} ids; {rate:,.0f} tokens/s",
        err=True,
    )
