"""The body of ``/v1/completions``.

Knows: its fields. Does not know: models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from frspec.server.protocol.base import Count, TextRequest, TokenId
from frspec.server.protocol.body import Several

Ids = Annotated[Several[TokenId], Field(min_length=1)]


class CompletionRequest(TextRequest):
    """Texts to go on with. ``prompt``: a text, token ids, or several of either."""

    prompt: str | Ids | Annotated[Several[str], Field(min_length=1)] | Annotated[Several[Ids], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=0, lt=2**31)] | None = Field(
        None, description="Most new tokens; 16 if left out. 0 only with echo."
    )
    logprobs: int | None = Field(None, ge=0, lt=2**31, description="So many of the likeliest for each token.")
    echo: bool | None = Field(None, description="The prompt before its completion, its log-probabilities too.")
    best_of: Count | None = Field(None, description="The same as n, or left out.")
    suffix: Literal[""] | None = None

    @property
    def prompts(self) -> list[str] | list[list[int]]:
        """All of them."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt
