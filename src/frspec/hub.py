"""From the name of a model to the folder that holds it.

Knows: local folders, Hugging Face hub ids, revisions, offline mode. Does not know: what is in the folder.
"""

from __future__ import annotations

from pathlib import Path

from frspec.errors import UserError

CHECKPOINT_FILES = ["*.json", "*.safetensors", "*.bin", "*.model", "*.jinja", "*.txt", "*.tiktoken"]


def resolve(model: str | Path, revision: str | None = None, files: list[str] = CHECKPOINT_FILES) -> Path:
    """The local folder of ``model``: itself, or a snapshot of that hub id (its ``files`` fetched if need be).

    ``HF_HUB_OFFLINE=1`` keeps to what is already in the local cache.

    Raises:
        UserError: when there is neither such a folder nor such a repository.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise UserError(f"--revision {revision} goes with a hub id, but {model} is a local folder; leave it out")
        return folder
    if folder.exists():
        raise UserError(f"{model} is a file; name the folder that holds the checkpoint")
    name = str(model)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(f"no folder {model}; give a checkpoint folder or a hub id such as meta-llama/Llama-3.2-1B")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except LocalEntryNotFoundError as error:
        raise UserError(
            f"{name} is not in the local hub cache and the hub cannot be reached; download it first or name a folder"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"cannot fetch {name} from the hub: {reason}; check the name and --revision") from error
