"""Where ``frspec serve`` takes its options from besides flags: the environment and a TOML file.

Knows: a command's options, click's order of sources (flag, environment, file, default). Does not know: what they mean.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from frspec.cli.options import Command
from frspec.errors import UserError

PREFIX = "FRSPEC_SERVE"
KEYS = ("FRSPEC_API_KEY", "VLLM_API_KEY", f"{PREFIX}_API_KEY")
"""Variables that hold the key: empty ones must not leave a server open that was meant to be closed."""
SOURCES = {"auto_envvar_prefix": PREFIX}
"""``context_settings`` of a command that reads ``FRSPEC_SERVE_<NAME>``."""


def config_option(command: Command) -> Command:
    """``--config``, which must be known before any other option is looked at."""
    return click.option(
        "--config", metavar="FILE", is_eager=True, expose_value=False, callback=_use,
        help=f"TOML file of these options, such as port = 8000. Flags and {PREFIX}_<NAME> go before it.",
    )(command)  # fmt: skip


def _use(ctx: click.Context, param: click.Parameter, file: str | None) -> None:
    names = {name: other for other in ctx.command.params if other is not param for name in _names(other)}
    _check_environment(names, param)
    if file is not None:
        ctx.default_map = _read(Path(file), names)


def _names(param: click.Parameter) -> set[str]:
    """What a parameter is called in a file; click's own ``--help`` is none."""
    if isinstance(param, click.Argument):
        return {str(param.name)}
    return {flag.removeprefix("--").replace("-", "_") for flag in param.opts if flag.startswith("--")} - {"help"}


def _check_environment(names: Mapping[str, click.Parameter], config: click.Parameter) -> None:
    """A variable that nothing reads would be a setting that silently does nothing.

    Raises:
        UserError: naming it.
    """
    known = {f"{PREFIX}_{param.name}".upper() for param in (*names.values(), config)}
    for variable, value in os.environ.items():
        if variable.startswith(f"{PREFIX}_") and variable not in known:
            raise UserError(f"the environment sets {variable}, but frspec serve has no such option; unset it")
        if variable in KEYS and not value.strip():
            raise UserError(f"the environment sets {variable} to nothing; give a key, or unset it to ask for none")


def _read(file: Path, names: Mapping[str, click.Parameter]) -> dict[str, Any]:
    """The file's values by the parameters' own names, as texts: each is then read as the flag's would be.

    Raises:
        UserError: when it cannot be read, or says something that is no option.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the options in {file}: {error}; give a TOML file") from error
    values: dict[str, Any] = {}
    for key, value in content.items():
        param = names.get(key.replace("-", "_"))
        if param is None or param.name is None:
            raise UserError(f"{file} sets {key}, but frspec serve has no such option; frspec serve --help lists them")
        if param.name in values:
            raise UserError(f"{file} sets {key} twice, under two names; keep one")
        values[param.name] = _texts(file, key, param, value)
    return values


def _texts(file: Path, key: str, param: click.Parameter, value: Any) -> str | list[str]:
    several = isinstance(param, click.Option) and param.multiple
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | int | float) for item in items) or (isinstance(value, list) and not several):
        wanted = "a text, a number, true or false" + (", or a list of them" if several else "")
        raise UserError(f"{file} sets {key} to what no flag could say; give {wanted}")
    texts = [str(item) for item in items]
    return texts if several else texts[0]
