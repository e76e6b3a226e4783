"""A large matrix on several cores, each multiplying some of its rows.

Knows: products of few rows. Does not know: what they mean.
FBGEMM runs on the calling thread, and OpenMP's threads wait by spinning, in the way of whatever else wants the core.
Here the others sleep until there is a product large enough to wake them for, which takes some 40 µs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Barrier
from typing import Protocol

import torch
from torch import Tensor

from frspec.models.layers.linear import Linear

LEAST = 1 << 21
"""Weights a core must have to multiply, some 100 µs of reading, to be worth waking."""


class Part(Protocol):
    """Some rows of the matrix."""

    rows: int

    def __call__(self, x: Tensor) -> Tensor: ...


class Split:
    """``Linear`` over ``parts`` of one matrix, one after the other, each on a core of its own."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self.rows = sum(part.rows for part in parts)

    def __call__(self, x: Tensor) -> Tensor:
        product = x.new_empty(len(x), self.rows)
        shares = product.split_with_sizes([part.rows for part in self.parts], 1)
        inference = torch.is_inference_mode_enabled()
        jobs = zip(self.parts[1:], shares[1:], strict=True)
        others = [_pool().submit(_multiply, part, x, share, inference) for part, share in jobs]
        shares[0].copy_(self.parts[0](x))
        for other in others:
            other.result()
        return product


def split(weight: Tensor) -> Linear | Split:
    """``weight`` [out, in] without bias over as many cores as PyTorch may use now and as are worth it."""
    cores = cores_for(weight.numel()) if weight.device.type == "cpu" else 1
    if cores <= 1:
        return Linear(weight)
    return Split([Linear(part.contiguous()) for part in weight.chunk(cores)])


def cores_for(weights: int) -> int:
    """How many of the cores that PyTorch may use now a matrix of so many weights is worth."""
    return max(1, min(torch.get_num_threads(), weights // LEAST))


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Without PyTorch's own threads inside, if ``wanted``."""
    before = torch.get_num_threads()
    if not wanted or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _multiply(part: Part, x: Tensor, share: Tensor, inference: bool) -> None:
    with torch.inference_mode(inference):
        share.copy_(part(x))


@cache
def _pool() -> ThreadPoolExecutor:
    """Threads that have started: PyTorch's number of threads, which they set, must not change under a later step."""
    before, threads = torch.get_num_threads(), os.cpu_count() or 1
    started = Barrier(threads + 1)
    pool = ThreadPoolExecutor(threads, "frspec-split", torch.set_num_threads, (1,))
    for _ in range(threads):
        pool.submit(started.wait)
    started.wait()
    torch.set_num_threads(before)
    return pool


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
