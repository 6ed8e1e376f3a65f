"""What a report shows, as plain data: the figures of one snapshot, and samples of its rows.

Promises: plain values alone, so that equal figures give equal pages; what is not known is None or
empty, never a zero.

Does not know: where figures come from (`reporting`, `rows`), how they are drawn (`charts`, `page`).
"""

from dataclasses import dataclass, field

from backtrans.costs import Costs

Histogram = list[tuple[float, float, int]]
"""How many values lie from the first figure on and below the second; the last bound is included."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the funnel: how many rows came so far."""

    name: str
    rows: int
    does: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many rows a stage refused for a reason."""

    stage: str
    reason: str
    rows: int
    share: float  # of the rows that came to the stage

    @property
    def group(self) -> str:
        """Name the samples of it."""
        return f"{self.stage}/{self.reason}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a stage's workers did: rows, and the requests and tokens of those that ask a model."""

    stage: str
    rows: int
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ScoreRound:
    """The scores that one judge gave to the pairs; `published` says that the splits are from it."""

    number: int
    model: str  # the forward model's fingerprint
    run: str
    published: bool
    pairs: int
    mean: float | None
    a4: float | None  # thresholds of the score; None: a selector judges
    a5: float | None
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long texts are."""

    what: str  # instructions, responses
    pairs: int
    unit: str
    mean: float
    p5: float
    median: float
    p95: float
    longest: int
    histogram: Histogram  # but for the longest few, which would press all others into one bar


@dataclass(frozen=True, slots=True)
class Domain:
    """How many of the pairs are from one domain; of a source, where documents have no URL."""

    name: str
    pairs: int
    a5: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What one stage committed in each interval of a run, in rows a second."""

    stage: str
    rows_per_second: list[float]


@dataclass(frozen=True, slots=True)
class RunPace:
    """How one run went over time."""

    run: str
    started_at: str
    interval_seconds: float
    stages: list[Pace]


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What one run committed of a snapshot's shards."""

    run: str
    started_at: str
    commits: int
    rows: int
    tokens: int
    wall_seconds: float  # from its start to the last of these commits


@dataclass(frozen=True, slots=True)
class Change:
    """How many rows differ from the snapshot before, and why."""

    kind: str
    reason: str
    rows: int


@dataclass(frozen=True, slots=True)
class Since:
    """What changed since the snapshot before."""

    number: int
    published_at: str
    changes: list[Change]
    recipe: list[str]  # a field a line
    missing: str = ""  # why rows cannot be compared, where they cannot


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table that another command made: columns, and rows of text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Stated:
    """What someone says of probabilities, and what is so: (stated, found, labelled pairs)."""

    name: str
    error: str
    points: list[tuple[float, float, int]]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration said."""

    lines: list[str]
    sheets: list[Sheet]
    reliability: list[Stated]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit said."""

    lines: list[str]
    sheets: list[Sheet]


@dataclass(frozen=True, slots=True)
class Sample:
    """One row, kept or refused, with all that is known of it. Texts are whole."""

    id: str
    group: str  # a split, or stage/reason
    split: str | None  # None: refused
    stage: str
    reason: str
    detail: str
    instruction: str | None
    source: str | None  # the segment; None: it was not kept
    rewrite: str | None  # what the rewriting model made of the segment, taken or not
    rewrite_reject: str | None  # why it was not taken
    score: float | None
    figures: list[tuple[str, str]] = field(default_factory=list)
    provenance: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Samples of one outcome, and how many rows they stand for."""

    name: str
    rows: int
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it."""

    name: str
    snapshot: int
    published_at: str
    run: str
    shards: int
    read_shards: int  # those whose rows were looked at
    withdrawn: int  # rows of these that a takedown leaves out
    rows: dict[str, int]  # of each split
    funnel: list[Step]
    refusals: list[Refusals]
    rounds: list[ScoreRound]
    lengths: list[Lengths]
    trigrams: dict[str, list[tuple[int, int]]]  # instructions, responses -> (pairs, trigrams)
    domains: list[Domain]
    other_domains: int
    other_domain_pairs: int
    asked: list[Asked]
    costs: Costs  # for the pairs of each split
    pace: RunPace | None
    runs: list[RunFigures]
    since: Since | None
    selector: list[str]
    calibration: Calibration | None
    audit: Audit | None
    models: list[tuple[str, str, str]]  # part, model, content
    recipe: str
    groups: list[Group]
    seed: int
    version: str
