"""What the command lines share: errors in one line, and UTF-8 whatever the platform's default."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

__all__ = ["PATH", "Command", "Commands", "gathered", "run"]

Command = Callable[..., Any]
PATH = click.Path(path_type=Path)  # that a file is missing is said in one place, on reading


class Commands(click.Group):
    """What a user can cause is told in one line, with exit status 1, and without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from None
        except ValueError as error:
            raise click.ClickException(str(error)) from None


def gathered(
    name: str, kind: type[Any], options: Sequence[Callable[[Command], Command]]
) -> Callable[[Command], Command]:
    """A decorator: these options reach the command as one argument, a dataclass of this kind."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gathering(**given: Any) -> Any:
            value = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
            return command(**given, **{name: value})

        made: Command = gathering
        for option in reversed(options):
            made = option(made)
        return made

    return decorate


def run(commands: click.Group, module: str) -> None:
    """Run a command line as ``python -m module``."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")  # ⁇ and □ can be printed
    commands(prog_name=f"python -m {module}")
