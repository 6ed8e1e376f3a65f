"""Answers of earlier recipes: what the same model said of the very same words is not asked again.

A recipe that filters otherwise gives every stage below another fingerprint, and most rows the same
text. Here a shard's rows are compared, by the words that a role asks about, with those of its
commits under earlier recipes in which role and model were the same.

Promises: an outcome is carried over only where every one of these words is the same; it keeps the
model and the role version that it came from. Where what it was made from is gone (purged, expired),
or cannot be read, the row is asked again.

Does not know: which recipes were earlier, or what roles ask.
"""

from collections.abc import Sequence

from backtrans.errors import CredentialsRefused, StoreError
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.records import Row, is_kept

ASKED_ANEW = frozenset({"refused"})
"""Reasons that say nothing of the row: the engine may answer next time."""


def answered(
    ledger: Ledger,
    stage: str,
    fingerprints: Sequence[str],
    shard: str,
    asked: Sequence[Row],
    fields: tuple[str, ...],
) -> dict[str, Row]:
    """Return the outcomes that are known of these rows already, by the rows' ids.

    `fingerprints` are the stage's under earlier recipes, the latest first; `fields` are those that
    decide an answer. Raises: StoreError for a commit that cannot be read.
    """
    known: dict[str, Row] = {}
    for fingerprint in fingerprints:
        if len(known) == len(asked):
            break
        commit = ledger.commit_of(stage, stage_key(stage, fingerprint, shard))
        if commit is None:
            continue
        outcomes = _outcomes(ledger, commit, fields)
        for row in asked:
            found = outcomes.get(tuple(row[field] for field in fields))
            if found is not None and row["id"] not in known:
                known[row["id"]] = {**found, "id": row["id"]}
    return known


def _outcomes(
    ledger: Ledger, commit: Commit, fields: tuple[str, ...]
) -> dict[tuple[str, ...], Row]:
    """Return a commit's outcomes by the words that were asked about; none where these are gone."""
    try:
        part = ledger.read_part(commit).to_pylist()
        words: dict[str, Row] = {}
        for key in commit.reads:
            for row in ledger.read_rows(key).to_pylist():
                if is_kept(row):
                    words.setdefault(row["id"], {}).update(row)
    except CredentialsRefused:
        raise
    except StoreError:
        return {}
    return {
        tuple(words[row["id"]][field] for field in fields): row
        for row in part
        if row["reject_reason"] not in ASKED_ANEW
        and all(field in words.get(row["id"], {}) for field in fields)
    }
