"""Which format a chat template documents, found by asking the template.

Knows: a small conversation with one call in it. A template documents a format when it shows the model the tools, and
writes the call so that the format's parser reads it back. Does not know: names of models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from frspec.errors import UserError
from frspec.text.chat import ChatTemplate
from frspec.text.tool_calls.events import CallArguments, CallStart
from frspec.text.tool_calls.tool_format import ToolFormat

NAME, ARGUMENTS = "count_the_days", {"days": 3}
TOOL = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Counts.",
        "parameters": {
            "type": "object",
            "properties": {"days": {"type": "integer", "description": "How many."}},
            "required": ["days"],
        },
    },
}
QUESTION = {"role": "user", "content": "Count."}
ANSWER = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "abcDEF123", "type": "function", "function": {"name": NAME, "arguments": ARGUMENTS}}],
}


@lru_cache(16)
def recognise(source: str, formats: Sequence[ToolFormat]) -> ToolFormat | None:
    """The one of ``formats`` that the template ``source`` documents; None when it is none or not certain."""
    answers = _answers(source)
    found = [one for one in formats if any(_reads_back(one, answer) for answer in answers)]
    return found[0] if len(found) == 1 else None


def _answers(source: str) -> list[str]:
    """How the template writes the call: what follows the question, with and without the generation prompt."""
    template = ChatTemplate({"default": source}, {"bos_token": "", "eos_token": ""}, "the template")
    try:
        whole = template.render([QUESTION, ANSWER], add_generation_prompt=False, tools=[TOOL])
        questions = [
            template.render([QUESTION], add_generation_prompt=prompt, tools=[TOOL]) for prompt in (True, False)
        ]
    except UserError:
        return []
    return [whole.removeprefix(text) for text in questions if whole.startswith(text) and NAME in text]


def _reads_back(one: ToolFormat, answer: str) -> bool:
    parser = one.parser([TOOL])
    events = [event for event in parser.push(answer) + parser.close() if isinstance(event, CallStart | CallArguments)]
    names = [event.name for event in events if isinstance(event, CallStart)]
    text = "".join(event.text for event in events if isinstance(event, CallArguments))
    try:  # some templates write every value as a string
        return names == [NAME] and {key: int(value) for key, value in json.loads(text).items()} == ARGUMENTS
    except (ValueError, TypeError, AttributeError):
        return False
