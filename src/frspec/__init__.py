"""frspec: lossless speculative decoding with frequency-ranked draft vocabularies."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frspec.engine.llm import LLM as LLM
    from frspec.errors import UserError as UserError
    from frspec.ranking.ranking import Ranking as Ranking
    from frspec.types import RequestOutput as RequestOutput
    from frspec.types import SamplingParams as SamplingParams

_HOMES = {
    "LLM": "frspec.engine.llm",
    "Ranking": "frspec.ranking.ranking",
    "RequestOutput": "frspec.types",
    "SamplingParams": "frspec.types",
    "UserError": "frspec.errors",
}
__all__ = ["LLM", "Ranking", "RequestOutput", "SamplingParams", "UserError"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that ``frspec --help`` never pays for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'frspec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
