"""The rows of a snapshot's shards: what the pairs are like, and samples of those kept and refused.

    shard -> its part of each stage, joined by id -> counts, and rows that a seed draws

Promises: every outcome that a stage had is among the samples as long as it has rows; a row that has
been taken down is in nothing that comes out, whenever that was; what comes out depends on the rows
and the seed, and not on their order. Memory is bounded by one shard's parts, the samples, and some
numbers a pair.

Does not know: which shards there are, how anything is shown.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from backtrans.corpus.urls import plain_domain
from backtrans.ledger import Commit, Ledger
from backtrans.records import Row, is_kept
from backtrans.report.draw import Draw
from backtrans.report.figures import Sample
from backtrans.snapshots import published_columns
from backtrans.takedown import Withdrawn

DIVERSITY_PAIRS = 20_000
"""Pairs whose trigrams are counted. Source: this project's choice: some 60 MB of text, and the
curves of 2408.04614 are told apart at this size."""

NOT_SHOWN = ("taken_down",)
"""Reasons of which there are no samples: what has been taken down is shown nowhere."""

_SIGNALS = (
    ("probability", "probability of being good"),
    ("digit", "digit"),
    ("entropy", "entropy, nats"),
    ("off_digit_mass", "mass off the digits"),
    ("min_token_logprob", "min-token log p(y|x)"),
    ("mean_logprob", "mean log p(y|x)"),
    ("pmi", "PMI, nats a token"),
    ("form", "form"),
)

_PLACES = (
    ("document_id", "document"),
    ("url", "URL"),
    ("source", "from"),
    ("object", "object"),
    ("row", "row"),
    ("masked", "masked"),
)


class Rows:
    """What the rows of some shards come to."""

    def __init__(self, ledger: Ledger, withdrawn: Withdrawn, samples: int, seed: int) -> None:
        """`samples`: how many of each outcome."""
        self._ledger = ledger
        self._withdrawn = withdrawn
        self.samples: Draw[Sample] = Draw(samples, seed)
        self.pairs: Draw[tuple[str, str]] = Draw(DIVERSITY_PAIRS, seed)
        self.withdrawn = 0  # rows of the snapshot that were published once
        self.instruction_words: list[int] = []
        self.response_words: list[int] = []
        self.domains: Counter[str] = Counter()
        self.best_domains: Counter[str] = Counter()

    def add(self, part: str, taken_down: Sequence[str], commits: Mapping[str, Commit]) -> set[str]:
        """Look at a shard: its published part, ids that were left out of it, its commits by stage.

        Returns the ids that have been taken down. Raises: StoreError.
        """
        shard = _Shard(self._ledger, commits)
        held = {commit.part: stage for stage, commit in commits.items()}
        published = shard.parts[held[part]] if part in held else self._ledger.read_rows(part)
        gone = set(taken_down)
        for rows in (shard.parts.get("select"), published):
            if rows is not None:
                leaves = self._withdrawn.mask(rows)
                ids = rows["id"].to_pylist()
                gone.update(name for name, must in zip(ids, leaves, strict=True) if must)
        self._add_refused(shard, gone)
        kept = published.filter(published["reject_reason"].is_null())
        for row in published_columns(kept).to_pylist():
            if row["id"] in gone:
                self.withdrawn += row["id"] not in taken_down
            else:
                self._add_pair(shard, row)
        return gone

    def _add_refused(self, shard: "_Shard", gone: set[str]) -> None:
        for stage, rows in shard.parts.items():
            outcomes = (rows[name].to_pylist() for name in ("id", "reject_reason", "reject_detail"))
            for name, reason, detail in zip(*outcomes, strict=True):
                if reason is None or reason in NOT_SHOWN or name in gone:
                    continue
                group = f"{stage}/{reason}"
                if self.samples.wants(group, name):
                    found = _sample(shard, name, group, None, stage, reason, detail or "")
                    self.samples.add(group, name, found)

    def _add_pair(self, shard: "_Shard", row: Row) -> None:
        name, split = row["id"], row["split"]
        self.instruction_words.append(len(row["instruction"].split()))
        self.response_words.append(len(row["response"].split()))
        domain = plain_domain(row["url"] or "") or row["source"] or "not said"
        self.domains[domain] += 1
        self.best_domains[domain] += split == "A5"
        if self.pairs.wants("", name):
            self.pairs.add("", name, (row["instruction"], row["response"]))
        if self.samples.wants(split, name):
            found = _sample(shard, name, split, row, "publish", "", "")
            self.samples.add(split, name, found)


class _Shard:
    """The parts of one shard, each row found by its id."""

    def __init__(self, ledger: Ledger, commits: Mapping[str, Commit]) -> None:
        self.parts: dict[str, pa.Table] = {s: ledger.read_part(c) for s, c in commits.items()}
        self._places: dict[str, dict[str, int]] = {}

    def row(self, stage: str, name: str) -> Row:
        """Return what a stage has of a row; nothing where it has none."""
        if (part := self.parts.get(stage)) is None:
            return {}
        if stage not in self._places:
            self._places[stage] = {each: n for n, each in enumerate(part["id"].to_pylist())}
        if (place := self._places[stage].get(name)) is None:
            return {}
        found: Row = part.slice(place, 1).to_pylist()[0]
        return found


def _sample(
    shard: _Shard, name: str, group: str, pair: Row | None, stage: str, reason: str, detail: str
) -> Sample:
    """Join what all stages have of a row. `pair`: as it was published, where it was."""
    segment, asked = shard.row("select", name), shard.row("backtranslate", name)
    curated = pair or shard.row("choose", name) or shard.row("curate", name)
    judged = pair or shard.row("score", name)
    written = shard.row("rewrite", name)
    source, rewrite = segment.get("text"), written.get("text")
    if pair is not None:
        taken = pair["response_from"] == "rewritten"
        source = pair["original_response"] if taken else pair["response"]
        rewrite = pair["response"] if taken else rewrite
    place = pair or segment
    return Sample(
        id=name,
        group=group,
        split=pair["split"] if pair else None,
        stage=stage,
        reason=reason,
        detail=detail,
        instruction=pair["instruction"] if pair else asked.get("instruction"),
        source=source,
        rewrite=rewrite,
        rewrite_reject=curated.get("rewrite_reject"),
        score=judged.get("score") if pair or is_kept(judged) else None,
        figures=_judgement(judged, curated),
        provenance=[
            (label, _said(place[column]))
            for column, label in _PLACES
            if place.get(column) not in (None, [], "")
        ],
    )


def _judgement(judged: Row, curated: Row) -> list[tuple[str, str]]:
    together = {**judged, "probability": curated.get("probability")}
    found = [
        (label, _said(together[column]))
        for column, label in _SIGNALS
        if together.get(column) is not None
    ]
    if (distribution := judged.get("distribution")) is not None:
        said = ", ".join(f"{k}: {100 * p:.1f}%" for k, p in enumerate(distribution, start=1))
        found.append(("distribution", said))
    for column in ("original_score", "rewrite_score", "rewrite_novelty"):
        if (value := curated.get(column)) is not None:
            found.append((column.replace("_", " "), _said(value)))
    return found


def _said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.3f}" if isinstance(value, float) else str(value)
