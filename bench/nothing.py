"""Work that does nothing: it travels to workers, and so has a module of its own.

Each address comes to the commits that the model map would have made of it, and none is put.
"""

from dataclasses import dataclass

from backtrans.ledger import Commit, Ledger, Usage, stage_key
from backtrans.records import Counts
from backtrans.work import Address

STAGES = ("backtranslate", "score")


@dataclass(frozen=True, slots=True)
class Nothing:
    """Work that does nothing, and gives back the commits of what it did not do."""

    run: str
    name: str = "+".join(STAGES)
    uses_engine: bool = True
    gpus_each: float = 0.0

    def open(self) -> "Nothing":
        return self

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        commits = [
            Commit(
                stage,
                key := stage_key(stage, "nothing", address.shard),
                address.shard,
                address.object,
                address.first_row,
                Ledger.part_key(stage, key, "0" * 32),
                Counts(1000, 900, {"too_short": 100}),
                Usage(1000, 800_000, 0, 69_000, 20.0),
                run=self.run,
                attempt="0" * 32,
                committed_at="2026-01-01T00:00:00+00:00",
            )
            for stage in STAGES
        ]
        return commits, len(commits)

    def close(self) -> None: ...
