"""What a pipeline tells those who watch it: a plan, a run's summary, the standing of each stage.

Plain data; how it is shown is the command line's affair, how it comes about the pipeline's.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from backtrans.snapshots import Snapshot
from backtrans.work import Receipt

_SUMMED = (
    "rows_in",
    "kept",
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "seconds",
    "money",
)


class Observer(Protocol):
    """Whoever watches a run. Every call returns at once."""

    def note(self, line: str) -> None:
        """Hear something worth a line."""
        ...

    def phase(self, name: str, addresses: int) -> None:
        """Hear that so many addresses will now be carried through these stages."""
        ...

    def receipt(self, receipt: Receipt) -> None:
        """Hear what came of one of them."""
        ...


@dataclass(frozen=True, slots=True)
class StagePlan:
    """Where a stage stands. `pending` counts shards (objects, for select) by why they are."""

    stage: str
    committed: int
    pending: dict[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do. `unread_objects` hold shards that cannot be counted yet."""

    objects: int
    duplicate_objects: list[str]
    unread_objects: int
    shards: int
    stages: list[StagePlan]
    changes: list[str]  # the recipe against that of the last run, a field a line
    changed_stages: list[str]  # which those changes make pending

    @property
    def nothing_pending(self) -> bool:
        """Say whether a run would compute nothing."""
        return not any(stage.pending for stage in self.stages)


@dataclass(frozen=True, slots=True)
class StageStatus:
    """A stage's committed shards of the present corpus and recipe, and what their rows became."""

    stage: str
    shards: int
    rows_in: int
    kept: int
    rejects: dict[str, int]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: float
    money: float = 0.0

    @classmethod
    def of(cls, stage: str, commits: pa.Table) -> "StageStatus":
        """Add up the commits of a stage, given as checkpoint.COMMITS."""
        rejects: Counter[str] = Counter()
        for chunk in commits["rejects"].chunks:
            for reason, rows in zip(chunk.keys.to_pylist(), chunk.items.to_pylist(), strict=True):
                rejects[reason] += rows
        sums = {name: pc.sum(commits[name]).as_py() or 0 for name in _SUMMED}
        return cls(stage, shards=commits.num_rows, rejects=dict(rejects.most_common()), **sums)


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """Where the lake table lies, and the number of the snapshot that it holds, if there is one."""

    uri: str
    holds: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """What is there now."""

    stages: list[StageStatus]
    snapshot: Snapshot | None
    is_of_recipe: bool  # whether that is what the present recipe came to, of this corpus or another
    files: dict[str, list[str]]  # of the snapshot, as other programs open them
    quarantined: list[str]
    last_run: str | None
    lake: LakeStatus | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run's commits cost: by the fields of `placement.Budget`."""

    tokens: int = 0
    gpu_hours: float = 0.0
    money: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.tokens + other.tokens, self.gpu_hours + other.gpu_hours, self.money + other.money
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    run: str
    made: dict[str, int]  # commits made by stage
    quarantined: list[str]  # name and error of each shard given up
    complete: float  # share of the shards that reached the end
    snapshot: Snapshot | None
    seconds: float
    retried_rows: int = 0  # refused before, and done again
    retried_rows_kept: int = 0  # those of them that came through
    spent: Spent = field(default_factory=Spent)
    stopped_by: str | None = None  # the cap that left something undone, and what was spent
