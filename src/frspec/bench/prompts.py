"""What methods are asked to continue.

Knows: sources, the chat template. Does not know: methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from frspec.engine.llm import LLM
from frspec.errors import UserError
from frspec.text.sources import read_documents


def read_prompts(
    llm: LLM, sources: Sequence[str], field: str, limit: int, skip: int, prompt_tokens: int | None
) -> list[list[int]]:
    """Token ids of ``limit`` documents after the first ``skip``, each cut to ``prompt_tokens``.

    A conversation goes through the chat template up to its last question.

    Raises:
        UserError: when there are none, or one leaves the context no room for an answer.
    """
    tokenizer, prompts = llm.get_tokenizer(), []
    for document in islice(read_documents(sources, field=field), skip, skip + limit):
        if document.messages is not None:
            ids = llm.chat_prompt(_asked(document.messages))["prompt_token_ids"]
        else:
            ids = tokenizer.encode(document.text or "")
        ids = ids[:prompt_tokens]
        if len(ids) >= llm.max_model_len:
            raise UserError(
                f"{document.source}:{document.line} has {len(ids)} tokens, but the context holds {llm.max_model_len}, "
                "the output included; cut prompts with --prompt-tokens"
            )
        if ids:
            prompts.append(ids)
    if not prompts:
        raise UserError(f"no prompts in {', '.join(sources)} after skipping {skip}; give more text or a smaller --skip")
    return prompts


def _asked(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """A conversation up to its last question."""
    asked = [place for place, message in enumerate(messages, 1) if message["role"] == "user"]
    return list(messages[: asked[-1]]) if asked else list(messages)
