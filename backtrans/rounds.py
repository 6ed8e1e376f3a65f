"""Rounds: score, curate, train the forward model on what was kept, and score the same pairs again.

    M_0 scores -> A5 -> M_1, trained on seed + A5, scores the same pairs -> A5 -> M_2 ...

The backward model stays the same, so pairs are written once, and a round is new scores and what
follows from them. Each model is trained from the base, not from the one before (2308.06259).

Promises: nothing is kept of a round but what its stages commit and its training registers: the
model of a round follows from the seed and from the pairs that the round before kept. Killed
anywhere, the same command finds what is there and goes on. Splits are published of the last round
alone, and nothing that was taken down is trained on.

Does not know: how a stage works, how a model is trained.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from backtrans.accounts import Observer, Summary
from backtrans.errors import ConfigError, InputError
from backtrans.ledger import Commit
from backtrans.models import Registered
from backtrans.overview import Overview
from backtrans.pipeline import Pipeline
from backtrans.records import Row, is_kept
from backtrans.training.pairs import TrainingPair

SAMPLES = 3
"""How many gained and lost pairs of a round are shown. Source: this project's choice."""

_COLUMNS = ["id", "instruction", "score", "split", "reject_reason"]


@dataclass(frozen=True, slots=True)
class Sample:
    """A pair that one round kept in A5 and the other did not."""

    id: str
    instruction: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to, and against the one before; the first has none before it.

    `agreement` is the share of pairs on which both rounds say the same of A5, `correlation` that of
    their scores (Pearson's; None where one of them does not vary).
    """

    number: int
    model: str  # the forward model's identity
    trained_on: int | None  # pairs of A5 in its training; None for the first
    pairs: int
    a4: int
    a5: int
    gained: int | None = None
    lost: int | None = None
    agreement: float | None = None
    correlation: float | None = None
    gains: list[Sample] = field(default_factory=list)
    losses: list[Sample] = field(default_factory=list)


class Rounds:
    """The rounds of one job, whose forward model is that of the first."""

    def __init__(self, first: Pipeline) -> None:
        """Raises: ConfigError where nothing says how a model is trained."""
        if first.config.recipe.training is None:
            raise ConfigError("recipe.training: rounds train the forward model; say on what")
        self.first = first

    def run(self, rounds: int, observer: Observer) -> tuple[Summary, Pipeline]:
        """Go through so many rounds, publish the last one's splits, train the model that follows.

        Returns the last round's summary and job.

        Raises: what a run raises; InputError where a round kept nothing to train on.
        """
        pipeline = self.first
        for number in range(rounds):
            observer.note(f"round {number}: model {pipeline.resolved.models['forward']} scores")
            is_last = number + 1 == rounds
            summary = pipeline.run(observer, publish=is_last)
            stage = pipeline.resolved.published_stage if is_last else "curate"
            following = self._after(pipeline, number, observer, stage)
            last, pipeline = pipeline, following
        return summary, last

    def compared(self) -> Iterator[Round]:
        """Yield every round that has been gone through as far as its pairs are curated."""
        pipeline, before, trained_on = self.first, None, None
        for number in range(MAX_ROUNDS):
            found = _compared(number, pipeline, before, trained_on)
            if not found.pairs:
                return
            yield found
            pairs = _best(pipeline, "curate")
            model = self.first.resolved.trained.registered("forward", pairs) if pairs else None
            if model is None:
                return
            before, trained_on = pipeline, model.data.get("augmented", 0)
            pipeline = self._with(model)

    def _after(self, pipeline: Pipeline, number: int, observer: Observer, stage: str) -> Pipeline:
        """Train the model that follows a round, unless it is there; return the next round's job."""
        pairs = _best(pipeline, stage)
        if not pairs:
            raise InputError(
                f"round {number}: no pair is in A5, so there is nothing to train the next model on;"
                " look at `backtrans status`, and at curate.a5"
            )
        model = self.first.train_after(observer, pairs)
        observer.note(f"round {number}: model {model.fingerprint}, trained on {len(pairs):,} of A5")
        return self._with(model)

    def _with(self, model: Registered) -> Pipeline:
        """Return the job in which a trained model is the forward one."""
        config = self.first.config
        forward = self.first.resolved.trained.opened("forward", model.fingerprint)
        models = config.recipe.models.model_copy(update={"forward": forward})
        recipe = config.recipe.model_copy(update={"models": models})
        return self.first.over(config.model_copy(update={"recipe": recipe}))


MAX_ROUNDS = 100
"""Of a comparison: an end to it. Source: the papers have two."""


def _best(job: Overview, stage: str) -> list[TrainingPair]:
    """Return A5 as a stage has it, as training pairs."""
    return [
        TrainingPair(row["instruction"], row["response"], augmented=True)
        for row in job.kept("A5", stage=stage)
    ]


def _compared(number: int, job: Overview, before: Overview | None, trained_on: int | None) -> Round:
    """Count a round's pairs, and compare them with those of the round before."""
    counts = {"A4": 0, "A5": 0}
    sums = _Correlation()
    pairs = same = 0
    gains, losses = _Samples(), _Samples()
    theirs = _by_shard(before) if before else {}
    for shard, commit in _by_shard(job).items():
        rows = _rows(job, commit)
        earlier = {row["id"]: row for row in _rows(job, theirs[shard])} if shard in theirs else {}
        for row in rows:
            pairs += 1
            best = _is_best(row)
            counts["A4"] += is_kept(row)
            counts["A5"] += best
            if (old := earlier.get(row["id"])) is None:
                continue
            sums.add(old["score"], row["score"])
            was = _is_best(old)
            same += was == best
            if best and not was:
                gains.add(row, old)
            elif was and not best:
                losses.add(row, old)
    found = Round(
        number,
        job.resolved.models["forward"],
        trained_on,
        pairs,
        counts["A4"],
        counts["A5"],
    )
    if before is None or not sums.count:
        return found
    return Round(
        found.number,
        found.model,
        trained_on,
        pairs,
        found.a4,
        found.a5,
        gains.count,
        losses.count,
        same / sums.count,
        sums.value(),
        gains.chosen(),
        losses.chosen(),
    )


def _by_shard(job: Overview) -> dict[str, Commit]:
    return {commits[0].shard: commits[0] for commits in job.standing().by_shard(["curate"])}


def _rows(job: Overview, commit: Commit) -> list[Row]:
    rows: list[Row] = job.ledger.read_part(commit, _COLUMNS).to_pylist()
    return rows


def _is_best(row: Row) -> bool:
    return is_kept(row) and row["split"] == "A5"


class _Samples:
    """The first few of many by id, which is a hash: always the same, and of no order."""

    def __init__(self) -> None:
        self.count = 0
        self._held: list[tuple[str, Sample]] = []

    def add(self, row: Row, old: Row) -> None:
        self.count += 1
        sample = Sample(row["id"], row["instruction"], old["score"], row["score"])
        self._held = heapq.nsmallest(SAMPLES, [*self._held, (sample.id, sample)])

    def chosen(self) -> list[Sample]:
        return [sample for _, sample in self._held]


class _Correlation:
    """Pearson's, from sums."""

    def __init__(self) -> None:
        self.count = 0
        self._sums = [0.0] * 5

    def add(self, x: float, y: float) -> None:
        self.count += 1
        for place, value in enumerate((x, y, x * x, y * y, x * y)):
            self._sums[place] += value

    def value(self) -> float | None:
        x, y, xx, yy, xy = (total / self.count for total in self._sums)
        spread = (xx - x * x) * (yy - y * y)
        return (xy - x * y) / math.sqrt(spread) if spread > 1e-12 else None
