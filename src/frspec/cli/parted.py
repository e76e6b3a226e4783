"""A command with further commands beside its own work: ``frspec bench`` and ``frspec bench micro``.

Knows: where their modules are. Does not know: what they do.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import click


class Parted(click.Command):
    """``frspec VERB PART`` runs the click command PART of ``cli/VERB_PART.py``; a file of that name is ``./PART``."""

    def __init__(self, *args: Any, parts: Sequence[str], **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.parts = parts

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Of the part that the first argument names, or of this command."""
        if args[:1] and args[0] in self.parts:
            part = getattr(importlib.import_module(f"frspec.cli.{self.name}_{args[0]}"), args[0])
            context: click.Context = part.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
            return context
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run whichever command the context was made for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)
