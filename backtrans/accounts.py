"""What a pipeline tells those who watch it: a plan, a run's summary, the standing of each stage.

Plain data; how it is shown is the command line's affair, how it comes about the pipeline's.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from backtrans.costs import HOUR_SECONDS, Cost, Costs
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
    "attempts",
)


class Observer(Protocol):
    """Whoever watches a run. Every call returns at once."""

    def note(self, line: str) -> None:
        """Hear something worth a line; at any time, and from any thread."""
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
    attempts: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read and written, cached ones too."""
        return self.prompt_tokens + self.output_tokens

    def cost(self, gpus_each: float, gpu_hour_price: float) -> Cost:
        """Return what it cost, at so many GPUs a worker and such a price of them."""
        gpu_seconds = self.seconds * gpus_each
        money = self.money + gpu_seconds / HOUR_SECONDS * gpu_hour_price
        return Cost(self.tokens, self.seconds, gpu_seconds, money)

    @classmethod
    def of(cls, stage: str, commits: pa.Table) -> "StageStatus":
        """Add up the commits of a stage, given as checkpoint.COMMITS."""
        rejects: Counter[str] = Counter()
        for chunk in commits["rejects"].chunks:
            for reason, rows in zip(chunk.keys.to_pylist(), chunk.items.to_pylist(), strict=True):
                rejects[reason] += rows
        sums = {name: pc.sum(commits[name]).as_py() or 0 for name in _SUMMED}
        return cls(stage, shards=commits.num_rows, rejects=dict(rejects.most_common()), **sums)


def costs_of(
    stages: Iterable[StageStatus],
    gpus_each: Mapping[str, float],
    gpu_hour_price: float,
    pairs: Mapping[str, int],
) -> Costs:
    """Return what stages cost, for so many pairs of each split.

    `gpus_each` says of each stage that asks a model how many GPUs its workers take; what the
    others took is in no cost.
    """
    asking = (each for each in stages if each.stage in gpus_each)
    return Costs(
        {each.stage: each.cost(gpus_each[each.stage], gpu_hour_price) for each in asking},
        dict(pairs),
    )


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """What a stage takes in all, and what of that is done."""

    stage: str
    rows: int
    requests: int
    prompt_tokens: int
    output_tokens: int
    done_tokens: int
    source: str  # what a row's tokens are from
    floor_gpu_hours: float | None  # None where it is not known
    gpu_hours: float | None
    speed: str  # measured | assumed: what is expected beside the floor
    money: float  # at endpoints' prices

    @property
    def tokens(self) -> int:
        """Tokens read and written."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job takes in all."""

    objects: int
    documents: int
    sampled: int  # documents
    segments: int
    stages: list[StageEstimate]
    gpu: str | None
    gpus: int
    gpu_hour_price: float

    @property
    def gpu_hours(self) -> float | None:
        """Expected GPU-hours of all stages; None where one of them is not known."""
        known = [each.gpu_hours for each in self.stages if each.gpu_hours is not None]
        return sum(known) if len(known) == len(self.stages) else None

    @property
    def money(self) -> float:
        """What endpoints and GPUs will cost."""
        return sum(each.money for each in self.stages) + (
            (self.gpu_hours or 0.0) * self.gpu_hour_price
        )

    def lines(self) -> list[str]:
        """Say it."""
        said = [
            f"estimate: {self.documents:,} documents in {self.objects:,} object(s), of which"
            f" {self.segments:,} segments are kept ({self.sampled:,} documents sampled)"
        ]
        for each in self.stages:
            line = (
                f"  {each.stage}: {each.rows:,} rows, {each.prompt_tokens:,} prompt tokens,"
                f" {each.output_tokens:,} written; {each.done_tokens:,} done; from {each.source}"
            )
            if each.floor_gpu_hours:
                line += f"; no less than {each.floor_gpu_hours:,.3g} GPU-hours"
            if each.gpu_hours:
                line += f"; {each.gpu_hours:,.3g} GPU-hours at {each.speed} speed"
            said.append(line + (f"; {each.money:,.4g} at endpoints' prices" if each.money else ""))
        tokens = sum(each.tokens for each in self.stages)
        whole = f"  in all {tokens:,} tokens"
        if hours := self.gpu_hours:
            whole += f", {hours:,.3g} GPU-hours, {hours / self.gpus:,.3g} h on {self.gpus} GPU(s)"
        return [*said, whole + (f", money {self.money:,.4g}" if self.money else "")]

    def against(self, stages: "list[StageStatus]") -> list[str]:
        """Say how far what is committed went from it."""
        lines = [
            f"  {each.stage}: {actual.rows_in:,} rows of {each.rows:,} estimated;"
            f" {_of(actual.tokens, each.tokens)}"
            for each, actual in self._beside(stages)
        ]
        found = sum(actual.tokens for _, actual in self._beside(stages))
        return [*lines, f"  in all {_of(found, sum(each.tokens for each in self.stages))}"]

    def shares(self, stages: "list[StageStatus]") -> dict[str, float]:
        """Return the tokens that are committed, of those estimated, by stage and as `whole`."""
        found = {s.stage: (s.tokens, each.tokens) for each, s in self._beside(stages)}
        said = sum(each.tokens for each in self.stages)
        found["whole"] = (sum(actual for actual, _ in found.values()), said)
        return {name: actual / said for name, (actual, said) in found.items() if said}

    def _beside(self, stages: "list[StageStatus]") -> "list[tuple[StageEstimate, StageStatus]]":
        actual = {each.stage: each for each in stages}
        return [(each, actual[each.stage]) for each in self.stages if each.stage in actual]


def _of(found: int, estimated: int) -> str:
    share = f" ({found / estimated:.0%})" if estimated else ""
    return f"{found:,} tokens of {estimated:,} estimated{share}"


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
    estimate: Estimate | None = None  # the last that a run of this recipe began with
    costs: Costs = field(default_factory=Costs)

    def document(self) -> dict[str, Any]:
        """Return it as plain values, with what follows from them."""
        more: dict[str, Any] = {"costs": self.costs.document()}
        if self.estimate is not None:
            more["against_estimate"] = self.estimate.shares(self.stages)
        return asdict(self) | more


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
