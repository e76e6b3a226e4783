"""Sampling parameters of requests that do not say: those the checkpoint's makers recommend.

Knows: ``generation_config.json``. Does not know: requests. vLLM reads the same file for the same parameters
(vllm/config: ``get_diff_sampling_param``), and like vLLM this takes no notice of ``do_sample``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from frspec import hub
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


def chosen_sampling(choice: str, model: str, revision: str | None) -> dict[str, Any]:
    """``default_sampling`` of the --generation-config that was chosen: "auto" is the model's own, "none" says nothing.

    Raises:
        UserError: when the choice is no folder, or its file holds impossible values.
    """
    if choice == "none":
        return {}
    folder = hub.resolve(model, revision) if choice == "auto" else Path(choice)
    if not folder.is_dir():
        raise UserError(f"--generation-config {choice} is no folder; give one, auto or none")
    return default_sampling(folder)


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
