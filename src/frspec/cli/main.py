"""The ``frspec`` command: finds the verb, imports only its module, and turns a ``UserError`` into one line.

A new verb is one module in this folder with a click command of the same name, and one line in ``VERBS``.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
from io import TextIOWrapper
from typing import NoReturn

import click

from frspec.errors import UserError

VERBS = {
    "rank": "Count the tokens of a corpus and write the ranking.",
    "show": "Print a ranking's provenance and coverage.",
    "convert": "Write a ranking's most frequent ids as another program's list.",
    "train": "Train an EAGLE draft head for a target model.",
    "generate": "Generate text, streamed to stdout.",
    "chat": "Talk with a model on the terminal.",
    "serve": "Serve a model to OpenAI's clients, and a page to talk with it.",
    "demo": "One prompt, three ways: watch what drafts and the ranking bring.",
    "tune": "Find the draft vocabulary and shape that are fastest on your prompts.",
    "bench": "Compare drafting methods in one run.",
    "plot": "Draw what bench measured.",
}


class Verbs(click.Group):
    """Lists verbs without importing them: ``--help`` must answer at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"frspec.cli.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="frspec", message="frspec %(version)s")
def frspec() -> None:
    """Faster text generation from large-vocabulary language models, without changing one token."""


def _give_up_stdout() -> int:
    """What is still in the buffer must not fail again when the process ends; returns the exit status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _one_line(message: str) -> str:
    """With escapes for what would break the line or steer the terminal, as in the name of a file."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], message)


def main() -> NoReturn:
    """Run the command line; exit 1 on a ``UserError``, 2 on wrong usage, 130 on Ctrl-C.

    What a stream's encoding lacks is written as escapes (``\\u2603``).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = frspec(prog_name="frspec", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        print(f"frspec: {_one_line(str(error))}", file=sys.stderr)
        code = 1
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print("frspec: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:  # whoever read our output has had enough
        code = _give_up_stdout()
    except PermissionError as error:
        if error.filename is None:
            raise
        line = _one_line(f"{error.filename}: {error.strerror}; ask for access, or name another place")
        print(f"frspec: {line}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("frspec: no space left where stdout goes; free some and run it again", file=sys.stderr)
        code = _give_up_stdout()
    sys.exit(code if isinstance(code, int) else 0)
