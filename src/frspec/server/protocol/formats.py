"""Which texts are allowed: ``response_format`` (OpenAI) and ``structured_outputs`` (vLLM).

Knows: their shapes. Does not know: how a text is made to follow them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from frspec.errors import UserError
from frspec.server.protocol.body import Body, Several
from frspec.types import StructuredOutputs


class TextFormat(Body):
    """Any text."""

    type: Literal["text"]

    def structured(self) -> None:
        """Nothing is asked for."""


class JsonObjectFormat(Body):
    """Any JSON object."""

    type: Literal["json_object"]

    def structured(self) -> StructuredOutputs:
        """As the sampler takes it."""
        return StructuredOutputs(json_object=True, asked_as="response_format")


class JsonSchema(Body):
    """A schema with a name. The answer follows it whatever ``strict`` says."""

    name: str = Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9_-]+$")
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(Body):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema

    def structured(self) -> StructuredOutputs:
        """As the sampler takes it."""
        return StructuredOutputs(json=self.json_schema.schema_, asked_as="response_format.json_schema.schema")


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class StructuredOutputsBody(Body):
    """vLLM's field: exactly one of these."""

    json_: dict[str, Any] | str | None = Field(None, alias="json", description="A JSON schema, or one as text.")
    regex: str | None = Field(None, min_length=1)
    choice: Several[Annotated[str, Field(min_length=1)]] | None = Field(None, min_length=1)
    grammar: str | None = Field(None, min_length=1, description="Lark, as llguidance reads it.")
    json_object: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> StructuredOutputsBody:
        if len(self.given()) != 1:
            raise ValueError("give exactly one of json, regex, choice, grammar, json_object")
        return self

    def given(self) -> dict[str, Any]:
        """The fields that say something, by their names in ``StructuredOutputs``."""
        return {name: value for name, value in self.model_dump(by_alias=True).items() if value is not None}

    def structured(self) -> StructuredOutputs:
        """As the sampler takes it."""
        return StructuredOutputs(**self.given())


def structured(format: ResponseFormat | None, body: StructuredOutputsBody | None) -> StructuredOutputs | None:
    """What the text must follow, of both fields.

    Raises:
        UserError: when both ask for something.
    """
    asked = [given.structured() for given in (format, body) if given is not None]
    wanted = [one for one in asked if one is not None]
    if len(wanted) > 1:
        raise UserError("response_format and structured_outputs both say what the text must follow; give one of them")
    return wanted[0] if wanted else None
