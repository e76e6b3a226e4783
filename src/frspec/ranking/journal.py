"""How far a count has come, in a file beside the ranking it is for: a count that was killed goes on from there.

Knows: what must not have changed in between. Does not know: how anything is counted.
It is one safetensors file, replaced as a whole: the counts by part without their zeros, and in its metadata, under
``frspec``, a JSON object with the identity of the count and how far each shard has been read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from frspec.errors import UserError
from frspec.ranking.counts import Counts, Part
from frspec.text.blocks import Mark
from frspec.text.reading import Reading
from frspec.text.shards import Shard
from frspec.text.tokenizer import Tokenizer

SCHEMA = 1


@dataclass(frozen=True)
class Identity:
    """What a count's result depends on, apart from the files: ``facts`` under the names a user would know them by."""

    facts: Mapping[str, Any]
    vocab_size: int
    skip_bad: bool = False  # may change: bad records that were left out are counted, and the next one is refused

    @staticmethod
    def of(tokenizer: Tokenizer, reading: Reading, share: tuple[int, int] | None) -> Identity:
        """That of counting with these."""
        fingerprint = tokenizer.fingerprint  # refuses a vocabulary that the library would take minutes to write down
        ends = f"{tokenizer.bos_id} {tokenizer.eos_id}"  # templates write them
        rules = tokenizer.backend.to_str() + (tokenizer.chat_template or "") + ends
        facts = {
            "the tokenizers library": version("tokenizers"),
            "the tokenizer": [fingerprint, hashlib.sha256(rules.encode()).hexdigest()[:32]],
            "--field": reading.field,
            "--by": reading.by,
            "--only and --chat-template": dict(reading.view.facts) if reading.view else {},
            "--shard": list(share) if share else None,
        }
        return Identity(facts, tokenizer.vocab_size, reading.skip_bad)


@dataclass
class Progress:
    """``counts`` of all that lies before the ``marks``; shards that are ``done`` have none. Both by ``shard_key``."""

    counts: Counts
    marks: dict[str, Mark] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)


class Journal:
    """The file at ``path``, for a count of that identity."""

    def __init__(self, path: Path, identity: Identity) -> None:
        self.path, self._identity = path, identity
        self._new = _new(path)

    def load(self, shards: Sequence[Shard]) -> Progress:
        """What an interrupted count of ``shards`` left, or nothing.

        Raises:
            UserError: when it is of another program version, tokenizer or option, when a file of which something has
                been counted has changed or is no longer asked for, or when the journal is damaged.
        """
        if not self.path.exists():
            return Progress(Counts(self._identity.vocab_size))
        about, tensors = self._read()
        try:
            self._check(about, shards)
            progress = Progress(Counts(self._identity.vocab_size, skipped=about["skipped"]), done=set(about["done"]))
            progress.marks = {key: Mark(*mark) for key, mark in about["marks"].items()}
            for place, (name, documents, characters) in enumerate(about["parts"]):
                by_id = np.zeros(self._identity.vocab_size, dtype=np.int64)
                by_id[tensors[f"ids.{place}"]] = tensors[f"counts.{place}"]
                progress.counts.parts[name] = Part(by_id, documents, characters)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise self._refusal(f"is damaged ({error!r})") from error
        return progress

    def save(self, progress: Progress, files: Mapping[str, str]) -> None:
        """Write it in place of what was there; ``files``: the stamps of those begun, by key.

        Raises:
            UserError: when it cannot be written; what was there stays.
        """
        from safetensors.numpy import save

        parts = list(progress.counts.parts.items())
        about = {
            "schema": SCHEMA,
            "program": _program(),
            "identity": self._identity.facts,
            "skip_bad": self._identity.skip_bad,
            "files": dict(files),
            "done": sorted(progress.done),
            "marks": {key: [mark.position, mark.line, mark.characters] for key, mark in progress.marks.items()},
            "skipped": progress.counts.skipped,
            "parts": [[name, part.documents, part.characters] for name, part in parts],
        }
        tensors = dict[str, Any]()
        for place, (_, part) in enumerate(parts):
            used = np.flatnonzero(part.by_id)
            tensors |= {f"ids.{place}": used, f"counts.{place}": part.by_id[used]}
        try:
            self._new.write_bytes(save(tensors, {"frspec": json.dumps(about)}))
            self._new.replace(self.path)
        except OSError as error:
            self._new.unlink(missing_ok=True)
            raise UserError(
                f"cannot write {self.path}: {error.strerror or error}; make room and run it again"
            ) from error

    def _read(self) -> tuple[dict[str, Any], dict[str, Any]]:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(self.path, framework="np") as file:
                about = json.loads((file.metadata() or {}).get("frspec", "null"))
                return dict(about), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, ValueError, TypeError) as error:
            raise self._refusal("is no journal, or a damaged one") from error
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror or error}") from error

    def _check(self, about: Mapping[str, Any], shards: Sequence[Shard]) -> None:
        if (about.get("schema"), about.get("program")) != (SCHEMA, _program()):
            raise self._refusal(f"was left by {about.get('program')}, and this is {_program()}")
        then = about["identity"]
        for name, now in json.loads(json.dumps(self._identity.facts)).items():
            if then[name] != now:
                raise self._refusal(f"belongs to another count: {name} {_changed(then[name], now)}")
        if self._identity.skip_bad and not about["skip_bad"] and any(mark[2] for mark in about["marks"].values()):
            raise self._refusal(
                "has counted a part of a record, which without --skip-bad was not looked at whole before"
            )
        stamps = {shard.file.key: shard.file.stamp for shard in shards}
        for key, stamp in about["files"].items():
            if key not in stamps:
                raise self._refusal(f"has counted {key}, which is not among the sources now")
            if stamps[key] != stamp:
                raise self._refusal(f"has counted a part of {key}, which has changed since")
        known = {shard_key(shard) for shard in shards}
        for key in (*about["done"], *about["marks"]):
            if key not in known:
                part, file, *_ = json.loads(key)
                raise self._refusal(f"has counted {file} {f'as {part}' if part else 'without a name'}, unlike now")

    def _refusal(self, why: str) -> UserError:
        return UserError(f"{self.path} {why}; --restart counts everything again")


def journal_of(output: Path) -> Path:
    """Where the journal of a count that writes ``output`` is."""
    return output.with_name(f"{output.name}.journal")


def remove_journal(path: Path) -> None:
    """The count is over, or begins anew."""
    path.unlink(missing_ok=True)
    _new(path).unlink(missing_ok=True)


def shard_key(shard: Shard) -> str:
    """The same for the same part of the same file, whatever else is counted."""
    return json.dumps([shard.part, shard.file.key, shard.start, shard.end], ensure_ascii=False)


def _changed(then: Any, now: Any) -> str:
    if isinstance(then, list) and len(then) == 2 and isinstance(then[0], str):
        return "is another one now, or has changed"
    return f"was {then or 'not given'} and is {now or 'not given'} now"


def _new(path: Path) -> Path:
    """What a journal is written to before it replaces the last: always the same name, so a kill leaves at most one."""
    return path.with_name(f"{path.name}.new")


def _program() -> str:
    return f"frspec {version('frspec')}"
