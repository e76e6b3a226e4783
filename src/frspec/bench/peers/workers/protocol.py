"""How a worker is spoken to: one JSON object a line, a question on stdin, its answer on stdout.

Knows: lines, and when tokens come. Does not know: what makes them.

    {"load": {...}}   -> {"versions": {name: version}, "weights": what the matrices are held in}
    {"run": {"ids", "max_tokens", "temperature", "top_p", "seed", "stop_ids"}}
                      -> {"bursts": [[seconds since the question, [ids]], ...]}

Anything that goes wrong is answered with {"error": one line}, and with {"missing": module} where that was not there.
The end of stdin ends the worker. What a library prints goes to stderr.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Protocol

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Request:
    """A prompt to continue: temperature 0 is greedy; ``stop_ids`` end the text and belong to it."""

    ids: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop_ids: list[int]


class Bursts:
    """What came when. Ids that one pass brought are one burst."""

    def __init__(self, request: Request) -> None:
        self._request, self._written = request, 0
        self.all: list[tuple[float, list[int]]] = []
        self.begin()

    def begin(self) -> None:
        """The clock starts now: for a program that first made room, which is no part of reading the prompt."""
        self._started = perf_counter()

    def came(self, ids: list[int], same_pass: bool = False) -> bool:
        """Note ``ids`` as here now, as part of the burst before with ``same_pass``; true when the text has ended."""
        now = perf_counter() - self._started
        if same_pass:
            self.all[-1] = (now, self.all[-1][1] + ids)
        elif ids:
            self.all.append((now, ids))
        self._written += len(ids)
        return self._written >= self._request.max_tokens or not set(ids).isdisjoint(self._request.stop_ids)


class Program(Protocol):
    """A loaded program: ``versions`` of its libraries, what its matrices are held in, and how it writes."""

    versions: dict[str, str]
    weights: str

    def run(self, request: Request, bursts: Bursts) -> None:
        """Continue the prompt and tell ``bursts`` of each; nothing may be kept from one call to the next."""
        ...


def serve(load: Callable[[dict[str, Any]], Program]) -> None:
    """Answer until stdin ends; ``load`` gets what follows "load" in the first question."""
    _die_with_the_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    program: Program | None = None
    for line in sys.stdin:
        try:
            question = json.loads(line)
            if program is None:
                program = load(question["load"])
                answer: dict[str, Any] = {"versions": program.versions, "weights": program.weights}
            else:
                request = Request(**question["run"])
                bursts = Bursts(request)
                program.run(request, bursts)
                answer = {"bursts": bursts.all}
        except ModuleNotFoundError as error:
            answer = {"missing": error.name, "error": f"{error.name} is not installed"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


def _die_with_the_parent() -> None:
    """On Linux, be ended when the comparison is: a stopped process would wait for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
