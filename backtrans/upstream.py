"""What lies upstream of a stage's shard: the parts that are read, their rows put together by id.

Promises: a part is read once a shard, however many stages read it; rows come in the leading part's
order; a row that lacks its counterpart is an error, never left out.

Does not know: what is made of the rows.
"""

import asyncio
from dataclasses import dataclass

import pyarrow as pa

from backtrans.errors import AccountingError, KeyMissing
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.records import Row, is_kept
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class Upstream:
    """A stage whose part is read: its name and its fingerprint."""

    stage: str
    key_fingerprint: str


class Parts:
    """The parts of one shard, each read once: segments serve the backward role and the judge."""

    def __init__(self, ledger: Ledger, address: Address) -> None:
        self._ledger = ledger
        self._address = address
        self._tables: dict[str, tuple[Commit, pa.Table]] = {}

    def remember(self, commit: Commit, part: pa.Table) -> None:
        """Hold a part that was just committed."""
        self._tables[commit.key] = commit, part

    async def kept(self, upstream: Upstream) -> list[Row]:
        """Return the kept rows of a stage's committed part. Raises: KeyMissing, StoreError."""
        _, part = await asyncio.to_thread(self._read, upstream)
        return [row for row in part.to_pylist() if is_kept(row)]

    async def name(self, upstream: Upstream) -> str:
        """Return the key of the part that `kept` gave the rows of."""
        commit, _ = await asyncio.to_thread(self._read, upstream)
        return commit.part

    def _read(self, upstream: Upstream) -> tuple[Commit, pa.Table]:
        key = stage_key(upstream.stage, upstream.key_fingerprint, self._address.shard)
        if key not in self._tables:
            commit = self._ledger.commit_of(upstream.stage, key)
            if commit is None:
                raise KeyMissing(f"{upstream.stage}/{key}: {self._address.name} is not committed")
            self._tables[key] = commit, self._ledger.read_part(commit)
        return self._tables[key]


def joined(lead: list[Row], others: list[list[Row]], address: Address) -> list[Row]:
    """Return the leading rows with the others' columns added by id. Rows: N leading -> N.

    Raises: AccountingError where another upstream lacks an id, or where ids repeat.
    """
    if len({row["id"] for row in lead}) != len(lead):
        raise AccountingError(f"{address.name}: an id occurs twice")
    by_id = [{row["id"]: row for row in rows} for rows in others]
    whole_rows = []
    for row in lead:
        whole: Row = {}
        for rows in by_id:
            if row["id"] not in rows:
                raise AccountingError(f"{address.name}: row {row['id']!r} is missing upstream")
            whole |= rows[row["id"]]
        whole_rows.append(whole | row)
    return whole_rows
