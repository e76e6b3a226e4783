"""From documents to token ids, and which of them the model itself would have written.

Knows: chat templates only by what they write. Does not know: windows, batches, models.
A text counts whole. Of a conversation only the assistant's turns count, each with the token that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from frspec.errors import UserError
from frspec.text.sources import Document
from frspec.text.tokenizer import Tokenizer

BATCH = 256
Example = tuple[list[int], list[bool] | None]


def encode_documents(tokenizer: Tokenizer, documents: Iterable[Document]) -> Iterator[Example]:
    """Ids of each document, and for a conversation which ids count.

    Raises:
        UserError: naming the place, when a conversation meets no chat template or one that rewrites answers.
    """
    documents = iter(documents)
    while batch := list(islice(documents, BATCH)):
        texts = iter(tokenizer.encode_batch([document.text for document in batch if document.text is not None]))
        for document in batch:
            if document.text is not None:
                yield next(texts), None
            else:
                yield encode_conversation(tokenizer, document)


def encode_conversation(tokenizer: Tokenizer, document: Document) -> Example:
    """The conversation as the chat template writes it, and which tokens are the assistant's."""
    messages = document.messages or []
    try:
        text = tokenizer.render_chat(messages, add_generation_prompt=False)
        answers = answer_spans(tokenizer, messages, text)
    except UserError as error:
        raise UserError(f"{document.source}, line {document.line}: {error}") from error
    (encoding,) = tokenizer.place_batch([text])
    marks = [False] * len(encoding.ids)
    ending = False
    answer = next(answers, None)
    for place, (start, end) in enumerate(encoding.offsets):
        while answer is not None and start >= answer[1]:
            answer = next(answers, None)
            ending = True
        inside = answer is not None and end > answer[0] and end > start
        marks[place] = inside or (ending and encoding.ids[place] in tokenizer.added_ids)
        ending = False
    return encoding.ids, marks


def answer_spans(tokenizer: Tokenizer, messages: Sequence[Mapping[str, Any]], text: str) -> Iterator[tuple[int, int]]:
    """First and last character (exclusive) in ``text`` of what each assistant turn says.

    The template is run a second time with a marker for every answer. What it writes around the markers is what
    stands around the answers, and putting them back must give ``text`` again; so no span is a guess.
    """
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    markers = [f"\ue000{number}\ue001" for number in range(len(answers))]
    pending = iter(markers)
    marked = [
        {**message, "content": next(pending)} if message["role"] == "assistant" else message for message in messages
    ]
    rest = tokenizer.render_chat(marked, add_generation_prompt=False)
    spans, written = list[tuple[int, int]](), ""
    for answer, marker in zip(answers, markers, strict=True):
        before, found, rest = rest.partition(marker)
        written += before
        said = answer if text.startswith(written + answer) else answer.strip()
        if not found or not text.startswith(written + said):
            break
        spans.append((len(written), len(written) + len(said)))
        written += said
    if len(spans) < len(answers) or written + rest != text:
        raise UserError(
            "the chat template rewrites the assistant's words, so what the model wrote cannot be told apart"
        )
    return iter(spans)
