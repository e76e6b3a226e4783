"""How many cores PyTorch computes on. Knows: the cores this process may use. Does not know: models."""

from __future__ import annotations

import logging
import os

import click

from frspec.errors import UserError
from frspec.machine import cores

log = logging.getLogger("frspec")


def use_threads(ctx: click.Context, param: click.Parameter, wanted: int | None) -> None:  # noqa: ARG001
    """Click's callback for ``--threads``: PyTorch's own number unless another is ``wanted``.

    More threads than cores wait for each other in busy loops, on the cores that the others need.

    Raises:
        UserError: when there are not so many cores.
    """
    available = cores()
    if wanted is None:
        asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
        if asked.isdigit() and int(asked) > available:
            log.warning("OMP_NUM_THREADS is %s, but there are %d cores: this is slow", asked, available)
        return
    if wanted > available:
        raise UserError(f"--threads {wanted} is more than the {available} cores this process may use; give fewer")
    import torch

    torch.set_num_threads(wanted)
