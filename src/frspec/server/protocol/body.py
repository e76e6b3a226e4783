"""JSON objects as requests hold them: unknown fields are refused by name, and no value is converted.

The check of a body that is wrong in a million places ends at the first of them: it holds up everybody else.

Knows: how values are checked. Does not know: fields.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator, model_validator

Item = TypeVar("Item")
Several = Annotated[list[Item], Field(fail_fast=True)]
"""A list whose check ends with the first that is wrong."""
AT_ONCE = 1000


class Body(BaseModel):
    """A JSON object with the fields that are described here and no others, of the types that are described here."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or len(fields) <= len(cls.model_fields):
            return fields
        known = {field.alias or name for name, field in cls.model_fields.items()}
        wrong = next(name for name in fields if name not in known)  # each of the others would be complained about too
        return {name: value for name, value in fields.items() if name in known} | {wrong: fields[wrong]}


def _piece_by_piece(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, dict) or len(value) <= AT_ONCE:
        return check(value)
    entries, checked = iter(value.items()), dict[Any, Any]()
    while some := dict(islice(entries, AT_ONCE)):
        checked |= check(some)
    return checked


PIECE_BY_PIECE = WrapValidator(_piece_by_piece)
"""For a mapping: its check ends with the first thousand entries among which one is wrong."""
