"""``/tokenize`` and ``/detokenize``, in vLLM's shapes.

Knows: texts, conversations, token ids. Does not know: the engine.
"""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from frspec.server.conversation import render
from frspec.server.errors import refuse
from frspec.server.protocol.answers import responses
from frspec.server.protocol.tokens import (
    DetokenizeAnswer,
    DetokenizeRequest,
    TokenizeAnswer,
    TokenizeChat,
    TokenizeText,
)
from frspec.server.serving import serving_of
from frspec.text.tokenizer import Tokenizer

router = APIRouter()


@router.post("/tokenize", responses=responses(TokenizeAnswer, stream=False), response_model=None)
async def tokenize(body: TokenizeText | TokenizeChat, request: Request) -> Response:
    """A text's tokens, or a conversation's."""
    serving = serving_of(request.app)
    serving.model(body.model)
    ids = await asyncio.to_thread(_tokenize, serving.tokenizer, body)
    answer = {"count": len(ids), "max_model_len": serving.max_model_len, "tokens": ids}
    if body.return_token_strs:
        answer["token_strs"] = [serving.tokenizer.token(id) or "" for id in ids]
    return await asyncio.to_thread(JSONResponse, answer)


@router.post("/detokenize", responses=responses(DetokenizeAnswer, stream=False), response_model=None)
async def detokenize(body: DetokenizeRequest, request: Request) -> dict[str, str]:
    """The text of tokens."""
    serving = serving_of(request.app)
    serving.model(body.model)
    size = serving.tokenizer.vocab_size
    if outside := [id for id in body.tokens if id >= size]:
        raise refuse(f"there is no token {outside[0]}; the tokenizer's ids are 0 to {size - 1}", "tokens")
    return {"prompt": await asyncio.to_thread(serving.tokenizer.decode, body.tokens, False)}


def _tokenize(tokenizer: Tokenizer, body: TokenizeText | TokenizeChat) -> list[int]:
    if isinstance(body, TokenizeText):
        return tokenizer.encode(body.prompt, body.add_special_tokens)
    text = render(
        tokenizer,
        body.messages,
        tools=[tool.model_dump(exclude_none=True) for tool in body.tools or ()],
        add_generation_prompt=body.add_generation_prompt,
        continue_final_message=body.continue_final_message,
        variables=body.chat_template_kwargs,
    )
    return tokenizer.encode(text, body.add_special_tokens)
