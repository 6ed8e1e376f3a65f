"""What is sent to a cluster with a job: one folder with the configuration, and a command.

Promises: nothing is installed there, unless asked for; no variable of this shell travels; what only
this machine has is refused before anything is sent; the same job has the same name.

Does not know: how a job is sent. The nodes have the package: in their image, or by `pip`.
"""

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from backtrans.config import Config, checked, differences, load
from backtrans.errors import ConfigError
from backtrans.runtime.submission import Submission

JOBS = {
    "curate": ("run",),
    "rounds": ("run",),
    "rewrite": ("run",),
    "refresh": ("plan", "run"),
    "train": ("train",),
    "publish": ("publish",),
}
"""The commands that a job is, one after the other. Each is an entry point in jobs/, too."""

SENT = "run.yaml"
"""The configuration's name over there."""


@contextmanager
def submission(
    path: Path,
    job: str,
    arguments: Sequence[str] = (),
    pip: Sequence[str] = (),
    name: str | None = None,
) -> Iterator[Submission]:
    """Yield a job over a configuration, in a folder that is there as long as the context.

    Raises: ConfigError for what cannot be done from over there.
    """
    if job not in JOBS:
        raise ConfigError(f"no job is named {job!r}; there are {', '.join(JOBS)}")
    check(path)
    with TemporaryDirectory(prefix="backtrans-submit-") as folder:
        files = _put(path, Path(folder))
        # The last command alone has the arguments: a plan takes none of a run's.
        *before, last = (["python", "-m", "backtrans", command, SENT] for command in JOBS[job])
        commands = [*before, [*last, *arguments]]
        yield Submission(
            name or f"backtrans-{job}-{_digest(files, commands, pip)}",
            " && ".join(map(shlex.join, commands)),
            Path(folder),
            tuple(pip),
            {"backtrans": job, "config": path.name},
        )


def check(path: Path) -> None:
    """Refuse a configuration that means this machine. Raises: ConfigError."""
    config = load(path)
    placement = config.placement
    if placement.runtime == "ray" and placement.ray_address is None:
        raise ConfigError(
            f"{path}: placement.ray_address: needs to be auto, so that the run joins the cluster"
            " around the job"
        )
    as_written = checked(path, Config).model_dump(mode="json")
    here = [
        line
        for line in differences(as_written, config.model_dump(mode="json"))
        if not line.startswith("recipe.curate.selector")  # a small file, which travels
    ]
    if here:
        raise ConfigError(
            f"{path}: these are this machine's, and a job's own folder goes with the job; name what"
            " every node reaches, s3:// or an absolute path:\n  " + "\n  ".join(here)
        )


def _put(path: Path, folder: Path) -> list[Path]:
    """Put the configuration, and a selector that it names, into a folder; return the files."""
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    curate = written["recipe"].get("curate") or {}
    shutil.copyfile(path, folder / SENT)
    files = [folder / SENT]
    if isinstance(named := curate.get("selector"), str) and not Path(named).is_absolute():
        target = folder / named
        if not target.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f"{path}: recipe.curate.selector: put {named} beside or below it")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path.resolve().parent / named, target)
        files.append(target)
    return files


def _digest(files: Sequence[Path], commands: Sequence[list[str]], pip: Sequence[str]) -> str:
    contents = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    said = json.dumps([contents, list(commands), list(pip)])
    return hashlib.sha256(said.encode()).hexdigest()[:12]
