"""One whole comparison of servers: warm-up, rounds, and the result.

Knows: whose turn it is, with how many clients. Does not know: terminals, how servers are started.
Machines change their speed within minutes, so at each number of clients the servers take turns, each time in a new
order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from frspec.bench.serving.answers import read_stream
from frspec.bench.serving.client import load
from frspec.bench.serving.figures import Batch, Text, level, text_of
from frspec.bench.serving.servers import Server
from frspec.bench.suites import Question
from frspec.errors import UserError

KIND, SCHEMA = "frspec bench serve", 1
WARM_UP_TOKENS = 16


@dataclass(frozen=True)
class Asking:
    """What every server is asked, and how; frspec samples prompt ``i`` with ``seed + i`` each time."""

    questions: Sequence[Question]
    temperature: float
    max_tokens: int
    seed: int

    def requests(self, server: Server) -> list[tuple[str, dict[str, Any]]]:
        """Path and body of each question: a chat to be answered, or a text to be continued.

        Other programs are given no seed, for their texts are compared at temperature 0 alone: vLLM 0.32's engine on a
        CPU dies of one whenever it reads a prompt in pieces ("CPU Generator does not use offset").
        """
        seeds = [{"seed": self.seed + number} if server.own else {} for number in range(len(self.questions))]
        return [self._request(server.model, *pair) for pair in zip(self.questions, seeds, strict=True)]

    def _request(self, model: str, question: Question, seed: Mapping[str, int]) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "model": model, "temperature": self.temperature, "top_p": 1.0, "max_tokens": self.max_tokens,
            "stream": True, "stream_options": {"include_usage": True}, **seed,
        }  # fmt: skip
        if question.text is not None:
            return "/v1/completions", body | {"prompt": question.text}
        return "/v1/chat/completions", body | {"messages": list(question.messages)}


Batches = dict[tuple[str, int], list[Batch]]
"""By server and number of clients, one a round."""


async def run(
    servers: Sequence[Server],
    asking: Asking,
    levels: Sequence[int],
    rounds: int,
    tell: Callable[[str, str], None] = lambda _name, _why: None,
    progress: Callable[[str], None] = lambda _done: None,
) -> dict[str, Any]:
    """Ask every server all questions, ``rounds`` times at each number of clients in ``levels``.

    Returns ``servers`` (a row of figures each) and ``left_out`` (why, by name); ``tell`` hears of these at once.

    Raises:
        UserError: when none is left.
    """
    left_out = await _get_ready(servers, asking, max(levels), progress)
    for name, why in left_out.items():
        tell(name, why)
    order = [server for server in servers if server.name not in left_out]
    shuffle, batches = random.Random(0), Batches()
    for number in range(rounds):
        for concurrency in levels:
            for server in shuffle.sample(order, len(order)):
                progress(f"round {number + 1} of {rounds}, {concurrency} at a time: {server.name}")
                try:
                    batch = await _ask_all(server, asking, concurrency)
                except UserError as error:
                    order.remove(server)
                    left_out[server.name] = str(error)
                    tell(server.name, str(error))
                else:
                    batches.setdefault((server.name, concurrency), []).append(batch)
    progress("")
    if not order:
        raise UserError("no server is left to measure")
    return {"left_out": left_out, "servers": _rows(order, batches, levels, greedy=asking.temperature == 0)}


async def _get_ready(
    servers: Sequence[Server], asking: Asking, clients: int, progress: Callable[[str], None]
) -> dict[str, str]:
    """Wait for each and let it pay for what only first answers do; why those that cannot are left out."""
    missing = {}
    for server in servers:
        progress(f"loading {server.name}")
        try:
            await server.ready()
            few, short = asking.questions[:clients], min(asking.max_tokens, WARM_UP_TOKENS)
            warm_up = replace(asking, questions=few, max_tokens=short)
            for concurrency in {1, clients}:
                await _ask_all(server, warm_up, concurrency)
        except UserError as error:
            server.close()
            missing[server.name] = str(error)
    return missing


async def _ask_all(server: Server, asking: Asking, concurrency: int) -> Batch:
    """Raises ``UserError`` when not one answer came, or the server ended."""
    with server.working():
        before = await server.counts()
        exchanges = await load(server.client, asking.requests(server), concurrency)
        after = await server.counts()
    answers = [read_stream(exchange) for exchange in exchanges]
    failed = server.failure()
    if failed is None and all(answer.error is not None for answer in answers):
        failed = f"it answers nothing: {answers[0].error}"
    if failed is not None:
        server.close()
        raise UserError(failed)
    return Batch(answers, {name: count - before.get(name, 0.0) for name, count in after.items()})


def _rows(servers: Sequence[Server], batches: Batches, levels: Sequence[int], greedy: bool) -> list[dict[str, Any]]:
    """``texts`` of frspec's servers must be those of the first of them with the fewest clients, at any temperature;
    other programs' are compared where no random numbers are drawn."""
    own = [server for server in servers if server.own]
    expected = _texts(batches[own[0].name, levels[0]][0]) if own else None
    table = []
    for server in servers:
        compared = expected if server.own or greedy else None
        figures = [level(each, batches[server.name, each], batches[servers[0].name, each], compared) for each in levels]
        about = {"server": server.name, "version": server.version, "frspec": server.own, "model": server.model}
        table.append(about | {"levels": figures})
    return table


def _texts(batch: Batch) -> Mapping[int, Text]:
    return {number: text_of(answer) for number, answer in enumerate(batch.answers) if answer.error is None}
