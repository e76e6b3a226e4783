"""Reading a JSON object of settings so that no key can be overlooked.

Knows: which keys were read, which are bookkeeping. Does not know: what any of them means to a model.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from math import isfinite
from pathlib import Path
from typing import Any

from frspec.errors import UserError

_ABSENT: Any = object()


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in ``file``; a ``UserError`` when the file is absent, unreadable or something else."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing; name a folder that holds a whole checkpoint") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not readable JSON ({error}); fetch it again") from error
    if not isinstance(value, dict):
        raise UserError(f"{file} holds a JSON {type(value).__name__}, not an object; fetch it again")
    return value


class Keys:
    """The settings of one JSON object, each read once by name and type; what nobody read is refused.

    ``prefix`` goes before key names in messages, for an object nested in another.
    """

    def __init__(self, values: dict[str, Any], file: Path, prefix: str = "") -> None:
        self.file = file
        self._values = values
        self._prefix = prefix
        self._read: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def refuse(self, key: str, why: str) -> UserError:
        """The error that names ``key``, its value and the file."""
        return UserError(f"{self.file}: {self._prefix}{key}={self._values.get(key)!r} {why}")

    def raw(self, key: str, default: Any = _ABSENT) -> Any:
        """The value of ``key``, or ``default``; an absent key without a default is refused."""
        self._read.add(key)
        value = self._values.get(key, default)
        if value is _ABSENT:
            raise UserError(f"{self.file}: {self._prefix}{key} is missing; the checkpoint's config is incomplete")
        return value

    def nested(self, key: str) -> Keys | None:
        """The object under ``key``, or None when it is absent or null."""
        value = self.raw(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.refuse(key, "must be an object")
        return Keys(value, self.file, f"{self._prefix}{key}.")

    def count(self, key: str, default: Any = _ABSENT) -> int:
        """A whole number of at least 1. A null means ``default`` where there is one."""
        value = self._or_default(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(key, "must be a whole number of at least 1")
        return value

    def number(self, key: str, default: Any = _ABSENT) -> float:
        """A finite number above 0. A null means ``default`` where there is one."""
        value = self._or_default(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value <= 0:
            raise self.refuse(key, "must be a finite number above 0")
        return float(value)

    def flag(self, key: str, default: bool = False) -> bool:
        """True or false; absent and null mean ``default``."""
        value = self._or_default(key, default)
        if not isinstance(value, bool):
            raise self.refuse(key, "must be true or false")
        return value

    def text(self, key: str) -> str | None:
        """A string; None when it is absent or null."""
        value = self.raw(key, None)
        if value is not None and not isinstance(value, str):
            raise self.refuse(key, "must be a string")
        return value

    def token_ids(self, key: str) -> tuple[int, ...]:
        """The ids under ``key``: one, a list, or none at all."""
        value = self.raw(key, None)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        if not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in ids):
            raise self.refuse(key, "must be a token id or a list of them")
        return tuple(ids)

    def only(self, key: str, *allowed: Any) -> None:
        """Refuse ``key`` unless it is absent, null, or one of the values that are implemented."""
        value = self.raw(key, None)
        if value is not None and not any(type(value) is type(a) and value == a for a in allowed):
            wanted = " or ".join(repr(a) for a in allowed) or "null"
            raise self.refuse(key, f"is not implemented (only {wanted}); choose another checkpoint")

    def finish(self, harmless: Collection[str] = ()) -> None:
        """Refuse every key that was not read, is not ``harmless``, and is not null."""
        for key, value in self._values.items():
            if value is not None and key not in self._read and key not in harmless:
                raise self.refuse(
                    key, "is a setting this program does not know and so cannot honour; remove it if it changes nothing"
                )

    def _or_default(self, key: str, default: Any) -> Any:
        value = self.raw(key, default)
        return default if value is None and default is not _ABSENT else value
