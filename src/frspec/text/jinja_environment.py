"""The Jinja environment chat templates are written for, as Hugging Face defines it.

Knows: sandboxing, filters, globals and the ``generation`` block. Does not know: conversations, checkpoints.
"""

from __future__ import annotations

import datetime
import json
from functools import cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

GENERATION_START = "frspec_generation_start"
GENERATION_END = "frspec_generation_end"


class GenerationBlock(Extension):
    """``{% generation %}...{% endgeneration %}`` marks assistant text for training masks; it renders its body.

    Around it the variables ``GENERATION_START`` and ``GENERATION_END`` are written, nothing where they are not given.
    """

    tags = {"generation"}  # noqa: RUF012 - Jinja's signature

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The nodes of the block's body, and of what stands around it."""
        next(parser.stream)
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        first, last = (nodes.Output([nodes.Name(name, "load")]) for name in (GENERATION_START, GENERATION_END))
        return [first, *body, last]


@cache
def compile_template(source: str) -> Template:
    """``source`` compiled; raises ``jinja2.TemplateError``."""
    return _environment().from_string(source)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals |= {"raise_exception": _raise_exception, "strftime_now": _strftime_now}
    return environment


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.datetime.now().strftime(pattern)
