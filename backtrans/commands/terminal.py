"""What every command shares: its configuration's argument, its pipeline, and where it writes."""

import os
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from backtrans import logs
from backtrans.config import load
from backtrans.pipeline import Pipeline
from backtrans.runtime.precautions import check_environment


class LogForm(StrEnum):
    """How what happens is told beside what is shown."""

    json = "json"


def _begin_log(form: LogForm | None) -> LogForm | None:
    if form is not None:
        logs.to_json(sys.stderr)
    return form


Log = Annotated[
    LogForm | None,
    typer.Option("--log", callback=_begin_log, help="A line an event, on standard error."),
]

ConfigPath = Annotated[Path, typer.Argument(help="The run's YAML file.", metavar="CONFIG")]


def out() -> Console:
    """Return a console on what is standard output at that moment."""
    return Console(highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Write a line as it is."""
    out().print(line, markup=False)


def tell_failure(message: str, code: int) -> None:
    """Write why a command ends with an exit code: as an event, where events are told."""
    if logs.is_on():
        logs.went_wrong("failed", error=message, exit_code=code)
    else:
        sys.stderr.write(f"backtrans: {message}\n")


def environment() -> Mapping[str, str]:
    """Return the environment, for those who may not read it themselves."""
    return os.environ


def opened(path: Path) -> Pipeline:
    """Return the pipeline of a configuration, and refuse an unsafe environment.

    Raises: ConfigError.
    """
    check_environment(environment())
    return Pipeline(load(path), ray_auth_token=environment().get("RAY_AUTH_MODE") == "token")
