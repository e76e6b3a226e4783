"""What a training looks like while it runs: a bar on a terminal, now and then a line elsewhere.

Knows: rich, stderr. Does not know: how training works.
"""

from __future__ import annotations

from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from frspec.train.acceptance import Acceptance
    from frspec.train.loop import Progress, Trainer

LINE_SECONDS = 30.0
"""Between two lines where there is no terminal."""
SMOOTH = 0.98


class Display:
    """Loss (a running mean), tokens per second, time left and the latest held-out acceptance, on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, markup=False, emoji=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Bar(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("loading", total=None, note="")
        self._loss: float | None = None
        self._note, self._steps = "", 0
        self._started = self._said = perf_counter()
        self._first_tokens = 0
        self._acceptance: Acceptance | None = None

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, highlight=False, soft_wrap=True)

    def prepare(self, what: str, done: int, total: int) -> None:
        """Show the work before training."""
        self._bar.update(self._task, description=what, completed=done, total=total or None)
        if total:
            self._say_sometimes(f"{what}: {done:,} of {total:,} documents")

    def begin(self, trainer: Trainer) -> None:
        """Show the bar of the steps, from where a killed run stood."""
        state, self._steps = trainer.state, trainer.settings.steps
        self._started, self._first_tokens = perf_counter(), state.tokens
        resumed = f", going on after step {state.step:,}" if state.step else ""
        self.say(
            f"{len(trainer.corpus.tokens):,} tokens in {len(trainer.windows):,} pieces; "
            f"{self._steps:,} steps of up to {trainer.settings.batch_tokens:,}{resumed}"
        )
        self._bar.reset(self._task, description="training", completed=state.step, total=self._steps, note="")

    def show(self, progress: Progress) -> None:
        """One step more."""
        loss = progress.loss.total
        self._loss = loss if self._loss is None else SMOOTH * self._loss + (1 - SMOOTH) * loss
        measured = progress.acceptance is not None and progress.acceptance != self._acceptance
        self._acceptance = progress.acceptance or self._acceptance
        rate = (progress.tokens - self._first_tokens) / (perf_counter() - self._started)
        self._note = f"loss {self._loss:.4f}  {rate:,.0f} tokens/s"
        if self._acceptance is not None:
            shares = " ".join(f"{share:.2f}" for share in self._acceptance.per_position)
            self._note += f"  accepted {self._acceptance.length:.2f} per pass ({shares})"
        self._bar.update(self._task, completed=progress.step, note=self._note)
        line = f"step {progress.step:,} of {self._steps:,}: {self._note}"
        if measured:
            self.say(line)
        else:
            self._say_sometimes(line)

    def summary(self) -> str:
        """The last note, and how long training took."""
        return f"{self._note}, {perf_counter() - self._started:,.0f} s"

    def _say_sometimes(self, line: str) -> None:
        now = perf_counter()
        if not self._console.is_terminal and now - self._said >= LINE_SECONDS:
            self._said = now
            self.say(line)
