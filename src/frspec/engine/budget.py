"""What the caches of all texts may take, and how long one text may then be.

Knows: bytes, what is free. Does not know: requests.
"""

from __future__ import annotations

import logging
from typing import Literal

import torch

from frspec.engine.scheduler import Scheduler
from frspec.errors import UserError
from frspec.machine import free_memory

log = logging.getLogger("frspec")
Budget = int | Literal["auto"] | None
SHARE = 0.5
"""Of the memory that is free once the models are loaded: the rest is for passes, for what grows for a moment, and for
others."""


def budget_bytes(asked: Budget, device: torch.device) -> int | None:
    """``asked``, or for "auto" a share of what is free on ``device``; None for no limit, or where that is unknown.

    Raises:
        UserError: when nothing could be held.
    """
    if asked == "auto":
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
        return None if free is None else int(SHARE * free)
    if asked is not None and asked < 1:
        raise UserError(f"kv_cache_memory_bytes is {asked}; it must be at least 1")
    return asked


def fitting_length(scheduler: Scheduler, longest: int, asked: int | None) -> int:
    """How many positions one text may have: ``asked``, or ``longest``, the model's, as far as the budget holds them.

    Raises:
        UserError: when ``asked`` does not fit.
    """
    most = longest if scheduler.budget is None else scheduler.budget // scheduler.row_bytes
    wanted = asked or longest
    if wanted <= most:
        return wanted
    if asked is not None or most < 1:
        raise UserError(
            f"the caches may take {scheduler.budget} bytes, which hold {most} tokens of this model, but one text may "
            f"have {wanted}; give more in kv_cache_memory_bytes, or a max_model_len of at most {max(most, 1)}"
        )
    log.warning(
        "the caches hold %d tokens in the memory there is for them, so no text may be longer, though the model could "
        "take %d; kv_cache_memory_bytes gives them more",
        most,
        longest,
    )
    return most
