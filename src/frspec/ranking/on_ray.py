"""Shards counted as tasks on Ray: one on this machine, or a cluster.

Knows: what a node must have, how tasks fail. Does not know: how a Ray is found, how a shard is counted.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from frspec.errors import UserError
from frspec.ranking.counts import Tallied
from frspec.ranking.job import count_shards
from frspec.ranking.ledger import Step
from frspec.ranking.ray_session import first_line, joined
from frspec.ranking.reader import Todo
from frspec.text.places import URL, File
from frspec.text.reading import Reading
from frspec.text.tokenizer import Tokenizer

SAME = ("frspec", "tokenizers")  # packages on which the counts depend
RETRIES = 3  # of a task whose process or node died
BATCH = 64 << 20  # bytes of small files that make up one task


def count_on_ray(
    tokenizer: Tokenizer, reading: Reading, todo: Sequence[Todo], on: str, workers: int | None = None
) -> Generator[Step]:
    """What is in each of ``todo``, as they finish. ``workers``: tasks at a time; all that the cores allow by default.

    A program that has joined a Ray already counts there.

    Raises:
        UserError: as ``count_sources``; and when there is no such Ray, a node has another version or does not see a
            file, or tasks die again and again.
    """
    with joined(on, workers) as ray:
        yield from _steps(ray, tokenizer, reading, todo, workers)


def _steps(
    ray: Any, tokenizer: Tokenizer, reading: Reading, todo: Sequence[Todo], workers: int | None
) -> Generator[Step]:
    run = ray.remote(num_cpus=1, max_retries=RETRIES)(made_for(str(Path.cwd()), {name: version(name) for name in SAME}))
    shared = ray.put(pickle.dumps((tokenizer, reading)))
    batches = _batches(todo, workers or _cores(ray))
    waiting = dict[Any, list[Todo]]()
    try:
        while True:
            for batch in islice(batches, max(0, (workers or 2 * _cores(ray)) - len(waiting))):
                waiting[run.remote(shared, pickle.dumps(batch))] = batch
            if not waiting:
                return
            for done in ray.wait([*waiting], timeout=1.0)[0]:  # a short wait, for Ctrl-C and for clusters that grow
                tallied = _result(ray, done, batch := waiting.pop(done))
                first, *others = (task.index for task in batch)
                yield Step(first, tallied, None, also=tuple(others))
    finally:
        for task in waiting:
            ray.cancel(task, force=True)


def _batches(todo: Sequence[Todo], cores: int) -> Iterator[list[Todo]]:
    """Shards one by one, small ones together, but no fewer than a few for every core."""
    most = min(BATCH, sum(task.shard.size for task in todo) // (4 * cores))
    batch, size = list[Todo](), 0
    for task in todo:
        if batch and size + task.shard.size > most:
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += task.shard.size
    if batch:
        yield batch


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _result(ray: Any, done: Any, batch: Sequence[Todo]) -> Tallied:
    try:
        result = ray.get(done)
    except ray.exceptions.RayTaskError:
        raise  # a mistake of ours
    except ray.exceptions.RayError as error:
        files = f"{batch[0].shard.file}{f' and {len(batch) - 1} more' if batch[1:] else ''}"
        raise UserError(f"Ray gave up on {files}, perhaps for lack of memory on a node: {first_line(error)}") from error
    if isinstance(result, str):
        raise UserError(result)
    assert isinstance(result, Tallied)
    return result


def made_for(folder: str, expected: dict[str, str]) -> Callable[[bytes, bytes], Tallied | str]:
    """What a node runs: a function that is sent as it is, so that one without frspec can say so."""

    def count(shared: bytes, batch: bytes) -> Tallied | str:
        import importlib.metadata
        import socket

        for name, here in expected.items():
            try:
                there = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                there = ""
            if there != here:
                has = f"{name} {there}" if there else f"no {name}"
                return f"the Ray node {socket.gethostname()} has {has}, and this machine {here}; install the same there"
        from frspec.ranking import on_ray

        return on_ray.count_here(folder, shared, batch)

    return count


def count_here(folder: str, shared: bytes, batch: bytes) -> Tallied | str:
    """What is in a pickled batch of shards, or what is wrong; names of files are as seen from ``folder``."""
    if Path(folder).is_dir():
        os.chdir(folder)
    tokenizer, reading = _unpacked(shared)
    todo: Sequence[Todo] = pickle.loads(batch)
    try:
        for task in todo:
            _check_there(task.shard.file)
        return count_shards(tokenizer, reading, todo)
    except UserError as error:
        return str(error)


@lru_cache(maxsize=1)
def _unpacked(shared: bytes) -> tuple[Tokenizer, Reading]:
    tokenizer, reading = pickle.loads(shared)
    return tokenizer, reading


def _check_there(file: File) -> None:
    """Refuse a file that this node does not see as the machine that found it does."""
    if URL.match(file.name):
        return
    try:
        size = Path(file.name).stat().st_size
    except OSError as error:
        raise UserError(
            f"{file} cannot be seen on the Ray node {socket.gethostname()}: {error.strerror}; "
            "put files where all nodes see them, or name them by URL"
        ) from error
    if size != file.size:
        raise UserError(
            f"{file} is another file on the Ray node {socket.gethostname()}: {size:,} bytes instead of {file.size:,}"
        )
