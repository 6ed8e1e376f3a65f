"""A snapshot's pairs with the answers that a model itself gave to the same instructions.

Promises: pairs come in the split's order, those without an answer are left out; memory is bounded
by one file of the split and one shard.

Does not know: which model answered, or what is done with the pairs.
"""

from collections.abc import Iterator

import pyarrow as pa

from backtrans.errors import ConfigError
from backtrans.ledger import Ledger, stage_key
from backtrans.records import SHARD_CHARS, is_kept
from backtrans.snapshots import Snapshot, read_manifest, read_split

STAGE = "distill"


def distilled(ledger: Ledger, snapshot: Snapshot, split: str) -> Iterator[pa.Table]:
    """Yield a split's rows with answers as their responses, columns as in PUBLISHED.

    Rows: N -> at most N. Raises: ConfigError at once where the snapshot's recipe did not distill,
    StoreError.
    """
    if STAGE not in snapshot.fingerprints:
        raise ConfigError(
            f"snapshot {snapshot.number}: its recipe has no distilled answers; see distill.enabled"
        )
    return _distilled(ledger, snapshot, split)


def _distilled(ledger: Ledger, snapshot: Snapshot, split: str) -> Iterator[pa.Table]:
    shards = _answers(ledger, snapshot)
    shard, answers = "", dict[str, str | None]()
    for table in read_split(ledger, snapshot, split):
        found: list[str | None] = []
        for name in table["id"].to_pylist():
            # Rows lie in the manifest's order, so what was read before is needed no more. That a
            # shard was not answered says nothing of the next.
            while shard != name[:SHARD_CHARS] and (after := next(shards, None)) is not None:
                shard, answers = after
            found.append(answers.get(name))
        place = table.schema.get_field_index("response")
        with_answers = table.set_column(
            place, table.schema.field(place), pa.array(found, pa.string())
        )
        yield with_answers.filter(with_answers["response"].is_valid())


def _answers(ledger: Ledger, snapshot: Snapshot) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yield one shard after another as its rows' ids begin, and its answers by id.

    An answer is None where the model gave none; a shard that was not asked about has none.
    """
    for shard in read_manifest(ledger, snapshot)["shard"].to_pylist():
        key = stage_key(STAGE, snapshot.fingerprints[STAGE], shard)
        commit = ledger.commit_of(STAGE, key)
        rows = [] if commit is None else ledger.read_part(commit).to_pylist()
        answers = {row["id"]: row["answer"] if is_kept(row) else None for row in rows}
        yield shard[:SHARD_CHARS], answers
