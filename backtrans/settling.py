"""What a stage that asks no model makes of a shard: in one go, and once.

Promises: a shard that is committed is not made again; where another worker's commit won, that is
the one returned.

Does not know: what is made, or of what.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from backtrans.errors import StoreError
from backtrans.ledger import Commit, Ledger, Usage, stage_key
from backtrans.work import Address


@dataclass(frozen=True, slots=True)
class Made:
    """A part, with how many rows went into it, and the parts that it was made from."""

    part: pa.Table
    rows_in: int
    reads: tuple[str, ...]


def settled(
    ledger: Ledger,
    stage: str,
    fingerprint: str,
    address: Address,
    run: str,
    make: Callable[[], Made],
) -> tuple[list[Commit], int]:
    """Return a shard's commit in a stage, made now unless it is there, and how many were made.

    Raises: what `make` raises; AccountingError, StoreError.
    """
    key = stage_key(stage, fingerprint, address.shard)
    if (found := ledger.commit_of(stage, key)) is not None:
        return [found], 0
    began = time.monotonic()
    made = make()
    commit, won = ledger.settle(
        stage,
        key,
        shard=address.shard,
        object_url=address.object,
        first_row=address.first_row,
        rows_in=made.rows_in,
        part=made.part,
        usage=Usage(seconds=time.monotonic() - began),
        run=run,
        reads=made.reads,
    )
    return [commit], int(won)


def committed(ledger: Ledger, stage: str, fingerprint: str, shard: str) -> Commit:
    """Return what a stage has committed of a shard. Raises: StoreError where it has not."""
    key = stage_key(stage, fingerprint, shard)
    if (commit := ledger.commit_of(stage, key)) is None:
        raise StoreError(f"{stage}/{key}: not committed, though a stage below was asked for it")
    return commit
