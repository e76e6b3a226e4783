"""The figures of a report: what they are called and what they stand for.

Knows: names and units; these are also the keys of the JSON. Does not know: how a figure is found or shown.
Every share is of the tokens of the text that it stands at; "best" is what the ids that suit just this text would reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

KIND, SCHEMA = "frspec rank report", 1


@dataclass(frozen=True)
class Question:
    """What is asked. ``sizes``: ascending; ``size``, one of them, is looked at closely; ``depth``: longest draft."""

    sizes: tuple[int, ...]
    size: int
    depth: int


@dataclass(frozen=True)
class At:
    """The ``share`` that a vocabulary of ``size`` covers, and the ``best`` one of that size."""

    size: int
    share: float
    best: float


@dataclass(frozen=True)
class Needed:
    """The smallest ``size`` that covers ``share``; None where all ids of the ranking do not. ``best``: likewise."""

    share: float
    size: int | None
    best: int


@dataclass(frozen=True)
class Missed:
    """An id outside: how often it occurs, and its ``position`` in the ranking from 1 (None: it has none)."""

    id: int
    token: str
    count: int
    share: float
    position: int | None


@dataclass(frozen=True)
class Ceiling:
    """Tokens per pass of a drafter that is right whenever it can be, with a vocabulary of ``size``.

    ``share`` of the sample is inside; ``length`` was walked through the sample, ``independent`` is what such a share
    would give if every token were inside or outside by chance, ``whole`` the length with the whole vocabulary.
    """

    size: int
    share: float
    length: float
    independent: float
    whole: float


@dataclass(frozen=True)
class Curve:
    """``shares`` and the ``best`` ones at ``sizes``."""

    sizes: tuple[int, ...]
    shares: tuple[float, ...]
    best: tuple[float, ...]


@dataclass(frozen=True)
class Frequencies:
    """The ``shares`` of the most frequent tokens at ``ranks``, from 1."""

    ranks: tuple[int, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True)
class Text:
    """All about one text, or about all of them together. ``distinct``: how many ids occur in it."""

    name: str
    documents: int
    characters: int
    tokens: int
    distinct: int
    coverage: tuple[At, ...]
    needed: tuple[Needed, ...]
    missed_tokens: int
    missed_ids: int
    missed: tuple[Missed, ...]
    sampled: int
    ceiling: tuple[Ceiling, ...]
    curve: Curve
    frequencies: Frequencies


@dataclass(frozen=True)
class Control:
    """An id that speculation puts into every draft vocabulary. ``share``: of the ranking's own corpus, where it has
    counts; ``seen``: how often it occurs in the texts."""

    id: int
    token: str
    position: int | None
    share: float | None
    seen: int


@dataclass(frozen=True)
class Matrix:
    """``rows``: for each text (``names``) the shares that the first ``size`` ids of each of ``columns`` cover."""

    size: int
    columns: tuple[str, ...]
    names: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Report:
    """``whole``: everything read; ``texts``: its parts, if there are several. ``about``: where all of it comes from."""

    about: Mapping[str, Any]
    question: Question
    quarter: int
    whole: Text
    texts: tuple[Text, ...]
    controls: tuple[Control, ...]
    matrix: Matrix | None
    frequencies: Frequencies | None

    @property
    def rows(self) -> tuple[Text, ...]:
        """Everything first, then each part."""
        return (self.whole, *self.texts)

    def as_json(self) -> dict[str, Any]:
        """One object for JSON; its keys are those of the classes here."""
        return {"kind": KIND, "schema": SCHEMA, **asdict(self)}
