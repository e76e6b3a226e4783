"""What the demo model learns from: corpora as conversations and texts, and which documents are held out.

Knows: how each corpus is written, how often each is repeated. Does not know: tokens, models.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from frspec.errors import UserError
from frspec.text.sources import Document, read_documents

HELD_OUT = 40
"""Every so many documents of a source, one is never trained on."""
Message = dict[str, str]

REQUESTS = [
    "Tell me a story about {0}.",
    "Tell me a short story about a {0}.",
    "Please tell me a story about {0} and {1}.",
    "Can you tell me a story about a {0}?",
    "Write a short story with the words {0}, {1} and {2}.",
    "I would like to hear a story about {0}.",
    "Tell me a story about a {0} and a {1}.",
    "Tell me a story.",
]
TOPICS = 3


@dataclass(frozen=True)
class Source:
    """A corpus file, its licence for the model card, how many times a run sees each document, and its forms.

    ``forms`` makes of all texts one list a text: what is seen the first time, the second, and so on, in turn.
    """

    name: str
    licence: str
    repeats: int
    forms: Callable[[Sequence[str]], list[list[str | list[Message]]]]


def split(source: Source, folder: Path) -> tuple[list[Document], list[Document]]:
    """Training documents, repeats included, and held-out ones in their first form."""
    training, held_out = all_forms(source, folder)
    seen = (forms[turn % len(forms)] for forms in training for turn in range(source.repeats) if forms)
    return list(seen), [forms[0] for forms in held_out if forms]


def all_forms(source: Source, folder: Path) -> tuple[list[list[Document]], list[list[Document]]]:
    """Every form of each training text, and of each held-out one."""
    file = folder / f"{source.name}.jsonl.xz"
    texts = [text for document in read_documents(file) for text in document.texts()]
    made = [[_document(file, n, form) for form in forms] for n, forms in enumerate(source.forms(texts))]
    held_out = made[HELD_OUT - 1 :: HELD_OUT]
    return [forms for n, forms in enumerate(made) if n % HELD_OUT != HELD_OUT - 1], held_out


def _document(file: Path, number: int, form: str | list[Message]) -> Document:
    if isinstance(form, str):
        return Document(str(file), number + 1, text=form)
    return Document(str(file), number + 1, messages=[dict(message) for message in form])


def dialogues(texts: Sequence[str]) -> list[list[str | list[Message]]]:
    """``User:`` and ``Assistant:`` lines as turns; a line without a speaker goes on with the one before."""
    return [[list(_turns(text))] for text in texts]


def _turns(text: str) -> Iterator[Message]:
    parts = re.split(r"(?:^|\n)(User|Assistant): ", text)
    if parts[0].strip() or len(parts) < 3:
        raise UserError(f"a dialogue begins with {text[:40]!r}, not with a speaker; this is another corpus")
    for speaker, content in zip(parts[1::2], parts[2::2], strict=True):
        yield {"role": speaker.lower(), "content": content.strip()}


def stories(texts: Sequence[str]) -> list[list[str | list[Message]]]:
    """As they are, then as answers to a request that names what the story is about, each time worded differently."""
    clean = [text.replace("\n\n", "\n").strip() for text in texts]
    rare = _document_counts(clean)
    return [[text, *_requested(text, rare, number)] for number, text in enumerate(clean)]


def _requested(text: str, counts: Counter[str], number: int) -> Iterator[list[Message]]:
    topics = topics_of(text, counts)
    order = random.Random(number).sample(REQUESTS, len(REQUESTS)) if len(topics) == TOPICS else ["Tell me a story."]
    for request in order:
        yield [{"role": "user", "content": request.format(*topics)}, {"role": "assistant", "content": text}]


def topics_of(text: str, counts: Counter[str]) -> list[str]:
    """Up to three lower-case words that come back in ``text`` and are rare in other texts, most telling first."""
    found = Counter(re.findall(r"(?<![\w'])[a-z]{3,}(?![\w'])", text))
    repeated = [word for word, times in found.items() if times > 1 and counts[word] > 1]
    return sorted(repeated, key=lambda word: (counts[word] / found[word], word))[:TOPICS]


def _document_counts(texts: Sequence[str]) -> Counter[str]:
    return Counter(word for text in texts for word in set(re.findall(r"[a-z]{3,}", text)))


def problems(texts: Sequence[str]) -> list[list[str | list[Message]]]:
    """Question and worked answer as two turns, without the marks for a calculator."""
    forms: list[list[str | list[Message]]] = []
    for text in texts:
        question, found, answer = text.removeprefix("Question: ").partition("\nAnswer: ")
        if not found:
            raise UserError(f"a problem begins with {text[:40]!r} and has no answer; this is another corpus")
        worked = re.sub(r"<<[^<>]*>>", "", answer).replace("\n#### ", "\nThe answer is ")
        forms.append([[{"role": "user", "content": question}, {"role": "assistant", "content": worked + "."}]])
    return forms


def every(step: int) -> Callable[[Sequence[str]], list[list[str | list[Message]]]]:
    """Every ``step``-th text as it is, and none of the others."""
    return lambda texts: [[text.strip()] for text in texts[::step]]


SOURCES = [
    Source("dialogues_en", "CC BY-SA 4.0, Schema-Guided Dialogue", 2, dialogues),
    Source("tinystories_en", "CDLA-Sharing-1.0, TinyStories", 9, stories),
    Source("gsm8k_train_en", "MIT, GSM8K", 2, problems),
    Source("xquad_12_languages", "CC BY-SA 4.0, XQuAD", 2, every(12)),
]
