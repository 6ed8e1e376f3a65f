"""What a stage that asks no model makes of a shard: in one go, and once.

Promises: a shard that is committed is not made again; where another worker's commit won, that is
the one returned.

Does not know: what is made, or of what.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from backtrans.errors import StoreError
from backtrans.ledger import Commit, Ledger, Usage, stage_key
from backtrans.records import Row
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class Made:
    """A part, with how many rows went into it, and the parts that it was made from."""

    part: pa.Table
    rows_in: int
    reads: tuple[str, ...]


class Settler:
    """A worker that settles one shard after another in a stage; `make` is the stage's own part."""

    def __init__(
        self,
        ledger: Ledger,
        stage: str,
        fingerprint: str,
        run: str,
        make: Callable[[Address], Made],
    ) -> None:
        self._ledger = ledger
        self._stage = stage
        self._fingerprint = fingerprint
        self._run = run
        self._make = make

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Return a shard's commit, made now unless it is there, and how many were made.

        Raises: what making it raises; AccountingError, StoreError.
        """
        return await asyncio.to_thread(self._settle, address)

    def close(self) -> None:
        """Hold nothing."""

    def _settle(self, address: Address) -> tuple[list[Commit], int]:
        key = stage_key(self._stage, self._fingerprint, address.shard)
        if (found := self._ledger.commit_of(self._stage, key)) is not None:
            return [found], 0
        began = time.monotonic()
        made = self._make(address)
        commit, won = self._ledger.settle(
            self._stage,
            key,
            shard=address.shard,
            object_url=address.object,
            first_row=address.first_row,
            rows_in=made.rows_in,
            part=made.part,
            usage=Usage(seconds=time.monotonic() - began),
            run=self._run,
            reads=made.reads,
        )
        return [commit], int(won)


def read_committed(
    ledger: Ledger, stage: str, fingerprint: str, shard: str
) -> tuple[Commit, list[Row]]:
    """Return what a stage has committed of a shard, and its rows. Raises: StoreError where it has
    committed nothing.
    """
    key = stage_key(stage, fingerprint, shard)
    if (commit := ledger.commit_of(stage, key)) is None:
        raise StoreError(f"{stage}/{key}: not committed, though a stage below was asked for it")
    return commit, ledger.read_part(commit).to_pylist()
