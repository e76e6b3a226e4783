"""Every format by name: how it is read and written, and what of a ranking it can hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from frspec import shipped
from frspec.errors import UserError
from frspec.ranking.formats import counts, lists, mappings, own
from frspec.ranking.formats.containers import ARRAYS, Held, first_bytes, open_file, read_safetensors
from frspec.ranking.formats.telling import NAMED, tell
from frspec.ranking.naming import split_part
from frspec.ranking.ranking import Ids, Ranking


@dataclass(frozen=True)
class Source:
    """A ranking as it was read. vocab_size: the rows of the target's head, where a ``t2d`` or the user says."""

    ranking: Ranking
    vocab_size: int | None = None


@dataclass(frozen=True)
class Format:
    """One format. endings: of the names it is written under, any if empty. keeps: what it holds beside ids."""

    endings: tuple[str, ...]
    keeps: tuple[str, ...]
    read: Callable[[Held], Source]
    write: Callable[[Source, Ids, Path], None]


def load_ranking(name: str | Path) -> Ranking:
    """The ranking in the file ``name``, or another program's, recognised by content; "demo" is the shipped ranking.

    A text such as "all.ranking@de" is the part de of all.ranking, unless a file is called so as a whole.

    Raises:
        UserError: when it is none of them, could be several, is truncated or of another schema, names an id twice
            or outside its range, or has no such part.
    """
    return read_source(name).ranking


def read_source(name: str | Path, as_format: str | None = None) -> Source:
    """What ``name`` holds, read as the format of that name in ``FORMATS``, or as the one its content shows."""
    if name == "":
        raise UserError("a ranking without a name (an empty shell variable?); name its file, or demo")
    if isinstance(name, str):
        file, part = split_part(name)
        if part is not None:
            whole = read_source(file, as_format)
            try:
                return replace(whole, ranking=whole.ranking.part(part))
            except UserError as error:
                raise UserError(f"{file}: {error}") from error
    path = shipped.ranking() if name == shipped.NAME else Path(name)
    if as_format == "ranking" or (as_format is None and _is_own(path)):
        return Source(own.read_ranking(path))
    held = open_file(path)
    return FORMATS[as_format or tell(held)].read(held)


def _is_own(path: Path) -> bool:
    return not path.is_dir() and first_bytes(path)[8:9] == b"{" and not read_safetensors(path)


def format_of_name(path: Path) -> str:
    """The format that files of this name are.

    Raises:
        UserError: when the name says none.
    """
    for beginning, name in NAMED.items():
        if path.name.startswith(beginning) and path.suffix in FORMATS[name].endings:
            return name
    endings = {".ranking": "ranking", ".pt": "token-map", ".json": "json", ".txt": "text", ".gguf": "gguf"}
    if path.suffix not in endings:
        raise UserError(
            f"cannot tell what kind of id list {path} is to be; end its name in {', '.join(endings)}, "
            f"or pass --to {', '.join(FORMATS)}"
        )
    return endings[path.suffix]


def write_source(source: Source, ids: Ids, path: Path, name: str) -> list[str]:
    """Write ``ids``, a prefix of the source's, as the format ``name``; returns what is lost, in words.

    Raises:
        UserError: when the format needs what the source does not have, an id is beyond the target's head, the name
            says another format, or the place cannot be written.
    """
    format = FORMATS[name]
    if format.endings and path.suffix not in format.endings:
        raise UserError(f"{path} is to be {name}, whose files end in {', '.join(format.endings)}; name it so")
    named = next((other for beginning, other in NAMED.items() if path.name.startswith(beginning)), name)
    if named != name and {named, name} <= set(NAMED.values()):
        raise UserError(f"{path} is to be {name} but is named like {named}, which it would be taken for; rename it")
    if source.vocab_size is not None and ids.max() >= source.vocab_size:
        raise UserError(
            f"the id {ids.max()} is outside a vocabulary of {source.vocab_size}; is it another tokenizer's?"
        )
    format.write(source, ids, path)
    return _lost(source, ids, format)


def _lost(source: Source, ids: Ids, format: Format) -> list[str]:
    ranking = source.ranking
    had = {
        "counts": ranking.counts is not None,
        "fingerprint": ranking.fingerprint is not None,
        "provenance": ranking.fingerprint is not None,
        "order": ranking.ordered,
        "parts": bool(ranking.parts),
    }
    lost = [what for what, there in had.items() if there and what not in format.keeps]
    behind = len(ranking) - len(ids)
    if format.write is _write_counts and ranking.counts is not None:
        never = int((ranking.counts[: len(ids)] == 0).sum())
        lost += [f"{never:,} ids that never occurred"] if never else []
    return lost + ([f"the {behind:,} ids behind these"] if behind else [])


def _list(write: Callable[[Ids, Path], None], ending: str) -> Format:
    def read(held: Held) -> Source:
        return Source(_ranking(held, lists.ids_of(held), ordered=True))

    return Format((ending,), ("order",), read, lambda _, ids, path: write(ids, path))


def _mapping(
    read: Callable[[Held], tuple[Ids, int | None]], write: Callable[[Source, Ids, Path], None], *endings: str
) -> Format:
    def read_ids(held: Held) -> Source:
        ids, vocab_size = read(held)
        return Source(_ranking(held, ids, ordered=False), vocab_size)

    return Format(endings, (), read_ids, write)


def _ranking(held: Held, ids: Ids, ordered: bool) -> Ranking:
    try:
        return Ranking(ids, None, None, {"id list": str(held.path)}, ordered)
    except UserError as error:
        raise UserError(f"{held.path} is {error}") from error


def _write_own(source: Source, ids: Ids, path: Path) -> None:
    if len(ids) < len(source.ranking):
        raise UserError("a ranking holds every id, so --size is for other formats; leave it out")
    own.save_ranking(source.ranking, path)


def _write_counts(source: Source, ids: Ids, path: Path) -> None:
    if source.ranking.counts is None:
        raise UserError("token-freq is counts, and what was read has none; take a ranking, or another format")
    counts.write_counts(ids, source.ranking.counts[: len(ids)], path)


FORMATS = {
    "ranking": Format(
        (),
        ("counts", "fingerprint", "provenance", "order", "parts"),
        lambda held: Source(own.read_ranking(held.path)),
        _write_own,
    ),
    "token-map": _list(lists.write_token_map, ".pt"),
    "json": _list(lists.write_json, ".json"),
    "text": _list(lists.write_text, ".txt"),
    "token-freq": Format((".pt",), ("counts", "order"), lambda held: Source(counts.read_counts(held)), _write_counts),
    "d2t": _mapping(mappings.read_d2t, lambda _, ids, path: mappings.write_d2t(ids, path), *ARRAYS),
    "t2d": _mapping(
        mappings.read_t2d, lambda source, ids, path: mappings.write_t2d(ids, path, source.vocab_size), *ARRAYS
    ),
    "eagle3": _mapping(
        mappings.read_pair, lambda source, ids, path: mappings.write_pair(ids, path, source.vocab_size), *ARRAYS[1:]
    ),
    "gguf": _mapping(mappings.read_absolute, lambda _, ids, path: mappings.write_absolute(ids, path), ".gguf"),
}
"""By the names that ``--from`` and ``--to`` take."""
