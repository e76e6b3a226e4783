"""A progress bar for offline generation.

Knows: the terminal. Does not know: requests. Shows nothing where stderr is no terminal, and for a single prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter


@contextmanager
def follow(total: int, wanted: bool) -> Iterator[Callable[[int | None, int], None]]:
    """Yield ``update(done, tokens)``: prompts finished (None: as before) and tokens decoded by the engine so far."""
    if not wanted or total < 2:
        yield lambda _done, _tokens: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task, started, first = bar.add_task("", total=total), perf_counter(), -1

        def update(done: int | None, tokens: int) -> None:
            nonlocal first
            first = tokens if first < 0 else first
            rate = (tokens - first) / (perf_counter() - started)
            bar.update(task, completed=done, description=f"{rate:,.0f} tok/s")

        yield update
