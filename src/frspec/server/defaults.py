"""Sampling parameters of requests that do not say: those the checkpoint's makers recommend.

Knows: ``generation_config.json``. Does not know: requests. vLLM reads the same file for the same parameters
(vllm/config: ``get_diff_sampling_param``), and like vLLM this takes no notice of ``do_sample``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frspec.errors import UserError
from frspec.text.folders import read_json
from frspec.types import SamplingParams

NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "max_new_tokens": "max_tokens",
}
"""Hugging Face's names, and ours."""


def default_sampling(folder: Path) -> dict[str, Any]:
    """What ``folder``/generation_config.json says, by the names of ``SamplingParams``; empty without such a file.

    Raises:
        UserError: on values that no request could have.
    """
    found = read_json(folder / "generation_config.json")
    chosen = {ours: found[theirs] for theirs, ours in NAMES.items() if found.get(theirs) is not None}
    try:
        SamplingParams(**chosen)
    except UserError as error:
        raise UserError(f"{folder}/generation_config.json: {error}; or use --generation-config none") from error
    return chosen
