"""The text of docs/commands.md: every command with its arguments and options, and the exit codes.

Does not know: what commands do; they say so themselves.
"""

import inspect
import json
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from backtrans import cli

HEAD = """\
# Commands

Written by `python scripts/reference.py write` from the command line itself; do not edit.
`backtrans COMMAND --help` says the same. CONFIG is a run's file; its keys, and those of the other
files, are in [configuration.md](configuration.md).
"""

KINDS = {str: "text", int: "whole number", float: "number", Path: "path"}


def document() -> str:
    """Return the whole document."""
    found = list(_commands(typer.main.get_command(cli.app), "backtrans"))
    names = [f"[{name.removeprefix('backtrans ')}](#{name.replace(' ', '-')})" for name, _ in found]
    parts = [HEAD.rstrip(), " · ".join(names), *(_command(*each) for each in found), _exit_codes()]
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for each, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {each}")
        else:
            yield f"{name} {each}", command


def _command(name: str, command: Any) -> str:
    params = [each for each in command.params if each.name != "help"]
    arguments = [each for each in params if each.param_type_name == "argument"]
    options = [each for each in params if each.param_type_name == "option"]
    usage = " ".join([name, *(_usage(each) for each in arguments)])
    needed = (f"{each.opts[0]} {_metavar(each)}" for each in options if each.required)
    usage = " ".join([usage, *needed] + ["[OPTIONS]"] * any(not o.required for o in options))
    parts = [f"## {name}", f"```\n{usage}\n```", inspect.cleandoc(command.help or "")]
    rows = ["| | takes | default | |", "|---|---|---|---|"]
    for each in arguments + options:
        cells = (_names(each), _value(each), _default(each), getattr(each, "help", None) or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if len(rows) > 2:
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _metavar(param: Any) -> str:
    return param.metavar or str(param.name).upper().replace("-", "_")


def _usage(argument: Any) -> str:
    return _metavar(argument) if argument.required else f"[{_metavar(argument)}]"


def _names(param: Any) -> str:
    if param.param_type_name == "argument":
        return f"`{_metavar(param)}`"
    return ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])


def _value(param: Any) -> str:
    if getattr(param, "is_flag", False):
        return ""
    kind = param.type_descriptor.annotation
    several = get_origin(kind) is list
    kind = get_args(kind)[0] if several else kind
    if get_origin(kind) is Literal:
        said = " or ".join(f"`{each}`" for each in get_args(kind))
    elif issubclass(kind, Enum):
        said = " or ".join(f"`{_text(each)}`" for each in kind)
    else:
        said = KINDS[kind]
    if (least := getattr(param, "min", None)) is not None:
        said += f", from {least}"
    if (most := getattr(param, "max", None)) is not None:
        said += f", to {most}"
    return said + ", repeatable" * several


def _text(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def _default(param: Any) -> str:
    if param.required:
        return "**required**"
    value = param.default
    if value is None or value == [] or value == "" or value is False:
        return ""
    if value is True:
        return f"`{param.opts[0]}`"
    if isinstance(value, int | float):
        return f"`{json.dumps(value)}`"
    return f"`{_text(value)}`"


def _exit_codes() -> str:
    """Return the exit codes that the command line's docstring lists."""
    block = inspect.cleandoc(cli.__doc__ or "").split("Exit codes:\n")[1].split("\n\n")[0]
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in block.splitlines()]
    table = [f"| {code} | {meaning} |" for code, meaning in rows]
    return "\n".join(["## Exit codes", "", "| code | |", "|---|---|", *table])
