"""What the tests of tool calls share: reading a text in pieces, a small tokenizer with the markers of a family."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from tokenizers import AddedToken, decoders, pre_tokenizers
from tokenizers import Tokenizer as Backend
from tokenizers.models import BPE

from frspec.text.tokenizer import Tokenizer
from frspec.text.tool_calls import FORMATS, CallArguments, CallStart, Content, Event, ToolFormat
from frspec.text.tool_calls.events import merge

FORMAT = {one.name: one for one in FORMATS}


def tool(name: str, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A function; its parameters are all required unless ``more`` says otherwise."""
    function: dict[str, Any] = {"name": name}
    if properties is not None:
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        function["parameters"] = schema | {"additionalProperties": False} | more
    return {"type": "function", "function": function}


def read(
    one: ToolFormat,
    text: str,
    cuts: Iterable[int] = (),
    tools: Sequence[dict[str, Any]] = (),
    tokenizer: Tokenizer | None = None,
    eager: bool = True,
) -> list[Event]:
    """All events of ``text`` cut at ``cuts``, neighbours joined; calls are numbered id0, id1, ..."""
    numbers = iter(range(1000))
    parser = one.parser(tools, tokenizer, new_id=lambda: f"id{next(numbers)}", eager=eager)
    events: list[Event] = []
    for start, end in pairwise([0, *sorted(cuts), len(text)]):
        events += parser.push(text[start:end])
    return merge(events + parser.close())


def calls(events: Sequence[Event]) -> list[tuple[str, str]]:
    """Names and arguments."""
    names = {event.index: event.name for event in events if isinstance(event, CallStart)}
    arguments = dict.fromkeys(names, "")
    for event in events:
        if isinstance(event, CallArguments):
            arguments[event.index] += event.text
    return [(names[index], arguments[index]) for index in sorted(names)]


def content(events: Sequence[Event]) -> str:
    """The text that is no call."""
    return "".join(event.text for event in events if isinstance(event, Content))


def byte_tokenizer(special: Sequence[str] = (), added: Sequence[str] = (), template: str | None = None) -> Tokenizer:
    """A token for every byte, and more; the first special one ends texts."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Backend(BPE(vocab={char: id for id, char in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    backend.add_tokens([AddedToken(text, special=False, normalized=False) for text in added])
    names = {"eos_token": special[0]} if special else {}
    return Tokenizer(backend, "bytes", names, {"default": template} if template else None)
