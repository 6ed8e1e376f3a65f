"""Refused rows, listed from the parts that hold them, and the reasons that there are.

Promises: memory is bounded by one shard; a document's text is never among what is listed; a name
that does not exist is an error that names the nearest one that does.

Does not know: which shards there are, how rows are shown.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from backtrans.entries import Quarantined
from backtrans.errors import ConfigError
from backtrans.ledger import Commit, Ledger
from backtrans.reasons import REASONS
from backtrans.records import Row

QUARANTINED = "quarantined"
"""Stands among the reasons for a whole shard or object that the last run gave up."""

_PLACE = ["id", "object", "row", "document_id"]
_OUTCOME = ["id", "reject_reason", "reject_detail"]


@dataclass(frozen=True, slots=True)
class Refused:
    """One refused row, or one shard that was given up; those have neither row nor id."""

    stage: str
    reason: str
    object: str
    row: int | None  # zero-based, of the input object
    document_id: str | None
    detail: str


def checked(kind: str, name: str, known: Collection[str]) -> str:
    """Return a name that is known. Raises: ConfigError naming the nearest."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
    raise ConfigError(f"no {kind} {name!r}; did you mean {near!r}? Known: {', '.join(known)}")


def checked_reason(name: str) -> str:
    """Return a reason for which rows, or whole shards, are refused. Raises: ConfigError."""
    return checked("reason", name, [*REASONS, QUARANTINED])


def refused_rows(
    ledger: Ledger, selected: Commit, commits: Sequence[Commit], reasons: Collection[str]
) -> Iterator[Refused]:
    """Yield the rows of one shard's commits that were refused for one of these reasons.

    `selected` is the shard's commit that says where rows come from: parts of other stages have ids
    only. Raises: StoreError.
    """
    places = None
    for commit in commits:
        if not commit.refused_for(reasons):
            continue
        refused = [
            row
            for row in ledger.read_part(commit, _OUTCOME).to_pylist()
            if row["reject_reason"] in reasons
        ]
        if places is None:
            places = _places(ledger, selected)
        for row in refused:
            place = places[row["id"]]
            yield Refused(
                commit.stage,
                row["reject_reason"],
                place["object"],
                place["row"],
                place["document_id"],
                row["reject_detail"] or "",
            )


def given_up(quarantined: Sequence[Quarantined], stage: str | None) -> Iterator[Refused]:
    """Yield what a run gave up, in one stage or in all."""
    for record in quarantined:
        # A stage may be several works: deduplicate.spread, deduplicate.match.
        if stage is None or stage in re.split(r"\+|\.\w+", record.stage):
            detail = f"{record.attempts} attempt(s): {record.error}"
            yield Refused(record.stage, QUARANTINED, record.name, None, None, detail)


def _places(ledger: Ledger, selected: Commit) -> dict[str, Row]:
    return {row["id"]: row for row in ledger.read_part(selected, _PLACE).to_pylist()}


def harmless(text: str) -> str:
    """Return text in which nothing commands a terminal: what does not print is spelt out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def line(refused: Refused) -> str:
    """Return one refused row as a line of a terminal."""
    where = refused.object if refused.row is None else f"{refused.object} row {refused.row:,}"
    about = [refused.stage, refused.reason, where, refused.document_id or "-", refused.detail]
    return "  ".join(harmless(each) for each in about if each)
