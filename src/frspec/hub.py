"""From the name of a model to the folder that holds it.

Knows: the name of the shipped model, local folders, Hugging Face hub ids, revisions, offline mode, which of a
repository's files are of use. Does not know: what is in the files.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from glob import escape
from pathlib import Path

from frspec import shipped
from frspec.errors import UserError

TOKENIZER_FILES = ("*.json", "*.txt", "*.jinja", "*.tiktoken", "tokenizer.model")
CHECKPOINT_FILES = (*TOKENIZER_FILES, "*.safetensors", "pytorch_model*.bin")
TEMPLATES = "additional_chat_templates/"


def resolve(model: str | Path, revision: str | None = None, patterns: Sequence[str] = CHECKPOINT_FILES) -> Path:
    """The local folder of ``model``: the shipped one, itself, or a snapshot of that hub id (fetched if need be).

    ``HF_HUB_OFFLINE=1`` keeps to what is already in the local cache.

    Raises:
        UserError: when there is neither such a folder nor such a repository, or the shipped model is damaged.
    """
    if model == shipped.NAME:
        if revision is not None:
            raise UserError(f"--revision {revision} goes with a hub id, but {model} comes with frspec; leave it out")
        return shipped.target()
    if model == "":
        raise UserError("a model or tokenizer without a name (an empty shell variable?); write . for this folder")
    folder = local(model)
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"--revision {revision} goes with a hub id, but {model} is a local folder; leave it out")
        return folder
    if folder.exists():
        raise UserError(f"{model} is a file; name the folder that holds the checkpoint")
    name = str(model)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(f"no folder {model}; give a checkpoint folder or a hub id such as meta-llama/Llama-3.2-1B")
    return _snapshot(name, revision, patterns)


def local(name: str | Path) -> Path:
    """``name`` as a path, with ``~`` and ``~user`` for home folders; where there is no such user it stays as it is."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser gives up with a RuntimeError


def files_to_fetch(listing: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those files of a repository that match ``patterns`` and that something here reads.

    Subfolders hold other formats of the same weights, chat templates excepted, and so does ``consolidated*``;
    PyTorch's own files are left where there is safetensors.
    """
    modern = any(fnmatch(file, "model*.safetensors") for file in listing)
    return [
        file
        for file in listing
        if any(fnmatch(file, pattern) for pattern in patterns)
        and "/" not in file.removeprefix(TEMPLATES)
        and not file.startswith("consolidated")
        and not (modern and fnmatch(file, "pytorch_model*"))
    ]


def _snapshot(name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """The snapshot with its files, from the hub, or as the cache has it where the hub cannot be asked."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries, where one line says what came of them
    try:
        listing = HfApi().list_repo_files(name, revision=revision)
    except Exception as error:  # of whichever HTTP library the hub's own is built on
        try:
            return Path(snapshot_download(name, revision=revision, local_files_only=True, allow_patterns="config.json"))
        except (LocalEntryNotFoundError, HFValidationError):
            if isinstance(error, HfHubHTTPError | HFValidationError):
                raise _refusal(name, error) from error
            raise UserError(
                f"{name} is not in the local hub cache and the hub cannot be reached; "
                "download it first or name a folder"
            ) from error
    try:
        files = [escape(file) for file in files_to_fetch(listing, patterns)]
        return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except Exception as error:  # likewise; what is there already stays in the cache
        reason = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise UserError(f"{name} came only in part from the hub: {reason}; run it again, it goes on there") from error


def _refusal(name: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0]
    return UserError(f"cannot fetch {name} from the hub: {reason}; check the name and --revision")
