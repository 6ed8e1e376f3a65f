"""A receipt as events of a log: what a run made of an address, or why it was given up.

Does not know: who reads them, or what a runtime did before there was a receipt.
"""

from collections.abc import Sequence
from dataclasses import asdict

from backtrans import logs
from backtrans.ledger import Commit
from backtrans.work import Receipt


def tell(receipt: Receipt, made: Sequence[Commit], run: str, stages: str) -> None:
    """Tell of each commit that a run made of an address, and of one that was given up."""
    for commit in made:
        logs.happened(
            "shard committed",
            run=run,
            stage=commit.stage,
            shard=commit.shard,
            object=receipt.address.name,
            rows=commit.counts.rows_in,
            kept=commit.counts.kept,
            **asdict(commit.usage),
        )
    if receipt.outcome == "quarantined":
        logs.went_wrong(
            "shard given up",
            run=run,
            stages=stages,
            shard=receipt.address.shard,
            object=receipt.address.name,
            attempts=receipt.attempts,
            error=receipt.error,
        )
