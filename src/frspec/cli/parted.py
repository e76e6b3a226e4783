"""A command with further commands beside its own work: ``frspec bench`` and ``frspec bench micro``.

Knows: where their modules are. Does not know: what they do.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import click


class Parted(click.Command):
    """``frspec VERB PART`` runs the click command PART of ``cli/VERB_PART.py``; a file of that name is ``./PART``.

    flags: options of which each stands for a part that takes it and everything beside it: its name by the flag's.
    """

    def __init__(self, *args: Any, parts: Sequence[str], flags: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.parts, self.flags = parts, flags or {}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Of the part that the first argument names, or of this command."""
        if args[:1] and args[0] in self.parts:
            return self._part(args[0]).make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        words = {arg.partition("=")[0] for arg in args}
        for flag, name in self.flags.items():
            if flag in words:
                return self._part(name).make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def _part(self, name: str) -> click.Command:
        part = getattr(importlib.import_module(f"frspec.cli.{self.name}_{name}"), name)
        assert isinstance(part, click.Command)
        return part

    def invoke(self, ctx: click.Context) -> Any:
        """Run whichever command the context was made for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)
