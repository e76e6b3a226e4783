"""What all requests for text have in common.

Knows: the fields that every request for text takes, by OpenAI's and vLLM's names. Does not know: what limits apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from frspec.server.protocol.body import PIECE_BY_PIECE, Body, Several
from frspec.server.protocol.formats import ResponseFormat, StructuredOutputsBody
from frspec.types import SamplingParams

Text = Annotated[str, Field(min_length=1)]
TokenId = Annotated[int, Field(ge=0, lt=2**31)]
Count = Annotated[int, Field(ge=1, lt=2**31)]
Biases = Annotated[
    dict[Annotated[str, Field(pattern="^[0-9]{1,9}$")], Annotated[float, Field(ge=-100, le=100)]], PIECE_BY_PIECE
]
PASSED = (
    "n", "seed", "temperature", "top_p", "top_k", "min_p", "frequency_penalty", "presence_penalty",
    "repetition_penalty", "min_tokens", "stop", "stop_token_ids", "bad_words", "allowed_token_ids", "ignore_eos",
    "include_stop_str_in_output", "skip_special_tokens", "prompt_logprobs",
)  # fmt: skip
"""Fields that ``SamplingParams`` has by the same names."""


class StreamOptions(Body):
    """What a stream holds besides its text."""

    include_usage: bool = Field(False, description="A last chunk with the usage and no choices.")
    continuous_usage_stats: bool = Field(False, description="The usage so far in every chunk (vLLM).")
    include_obfuscation: Literal[False] | None = Field(None, description="Padding against eavesdroppers is not made.")


class TextRequest(Body):
    """Fields of every request for text. Null is the same as leaving a field out."""

    model: str | None = Field(None, description="One of /v1/models; if left out, the first of them.")
    stream: bool | None = Field(None, description="Server-sent events instead of one answer.")
    stream_options: StreamOptions | None = None
    n: Count | None = Field(None, description="Completions of each prompt; the i-th is sampled with seed + i.")
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description="Same seed, same text, whatever drafts.")
    temperature: float | None = Field(None, ge=0, description="0 is greedy.")
    top_p: float | None = Field(None, gt=0, le=1)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    logit_bias: Biases | None = Field(None, description="From token ids to what is added to their scores.")
    stop: Text | Several[Text] | None = None
    response_format: ResponseFormat | None = None

    top_k: int | None = Field(None, ge=-1, lt=2**31, description="So many of the likeliest; -1 and 0 are off.")
    min_p: float | None = Field(None, ge=0, le=1, description="Least share of the likeliest token's probability.")
    repetition_penalty: float | None = Field(None, gt=0)
    min_tokens: int | None = Field(None, ge=0, lt=2**31)
    stop_token_ids: Several[TokenId] | None = None
    bad_words: Several[Text] | None = None
    allowed_token_ids: Several[TokenId] | None = Field(None, min_length=1)
    ignore_eos: bool | None = None
    include_stop_str_in_output: bool | None = None
    skip_special_tokens: bool | None = None
    prompt_logprobs: int | None = Field(None, ge=0, lt=2**31, description="Not with stream.")
    return_token_ids: bool | None = Field(None, description="prompt_token_ids and token_ids in the answer.")
    structured_outputs: StructuredOutputsBody | None = None
    add_special_tokens: bool | None = Field(None, description="Whether the tokenizer may put its BOS before the text.")
    speculation: Literal["counts", "tree"] | None = Field(
        None, description="What was drafted and accepted; tree: every verified tree too, in streams."
    )
    user: str | None = Field(None, description="A label; it changes nothing.")

    def sampling(self, defaults: Mapping[str, Any], **more: Any) -> SamplingParams:
        """``SamplingParams``: what the request says, then what ``defaults`` say; ``more`` as it is.

        Raises:
            UserError: on values that contradict each other.
        """
        said = {name: value for name in PASSED if (value := getattr(self, name)) is not None}
        if self.logit_bias:
            said["logit_bias"] = {int(token): bias for token, bias in self.logit_bias.items()}
        return SamplingParams(**{**defaults, **said, **more})
