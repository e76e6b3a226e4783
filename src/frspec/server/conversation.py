"""From a conversation to the text a model goes on with.

Knows: what of a request reaches the chat template, unfinished answers. Does not know: requests, token ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frspec.errors import UserError
from frspec.server.protocol.messages import Message
from frspec.text.messages import to_template_messages
from frspec.text.tokenizer import Tokenizer

_OURS = {"self", "messages", "tools", "chat_template", "tokenize", "add_generation_prompt", "continue_final_message"}
_TAG = "CONTINUE_FINAL_MESSAGE_TAG "


def render(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] = (),
    add_generation_prompt: bool | None = None,
    continue_final_message: bool | None = None,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """The conversation as the chat template writes it, up to where the model is to go on.

    Raises:
        UserError: when the template rejects it, or what is asked for contradicts itself.
    """
    if wrong := sorted(_OURS & set(variables or ())):
        raise UserError(f"chat_template_kwargs={', '.join(wrong)} is not the template's to be told; leave it out")
    told = to_template_messages(
        [message.model_dump(exclude_none=True) for message in messages], tokenizer.chat_template
    )
    given = dict(variables or {})
    if tools:
        given["tools"] = list(tools)
    if not continue_final_message:
        begin = True if add_generation_prompt is None else add_generation_prompt
        return tokenizer.render_chat(told, begin, **given)
    if add_generation_prompt:
        raise UserError("continue_final_message=true goes on with a message, add_generation_prompt begins another one")
    return _unfinished(tokenizer, told, given)


def _unfinished(tokenizer: Tokenizer, messages: list[dict[str, Any]], variables: Mapping[str, Any]) -> str:
    """The text up to where the last message's content ends; how, is Hugging Face's ``apply_chat_template``'s."""
    last = messages[-1]
    if last["role"] != "assistant" or not last.get("content"):
        raise UserError("continue_final_message=true needs an assistant's message with content to go on with")
    text = tokenizer.render_chat([*messages[:-1], {**last, "content": last["content"] + _TAG}], False, **variables)
    end = text.rfind(_TAG.strip())
    if end < 0:
        raise UserError("continue_final_message=true: the chat template does not write the last message as it is")
    kept = text[:end]
    return kept if text[end : end + len(_TAG)] == _TAG else kept.rstrip()
