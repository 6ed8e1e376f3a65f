"""A work whose commits have every kind of figure; it travels to workers, so it has a module."""

from dataclasses import dataclass

from backtrans import logs
from backtrans.ledger import Commit, Usage
from backtrans.records import Counts
from backtrans.work import Address

RUN = "run-1"

USAGE = Usage(
    requests=9, prompt_tokens=700, cached_tokens=300, output_tokens=50, seconds=2.5, money=0.25
)


@dataclass(frozen=True, slots=True)
class Metered:
    """Each address that is not to fail comes to one commit: seven rows, four of them kept."""

    uses_engine: bool = True
    gpus_each: float = 1.0
    name: str = "backtranslate+score"

    def open(self) -> "Metered":
        return self

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        logs.happened("asked")
        if address.object == "bad":
            raise ValueError("a bad shard")
        counts = Counts(7, 4, {"refused": 1, "prompt_too_long": 2})
        commit = Commit("score", address.key, address.shard, "o", 0, "p", counts, USAGE, RUN)
        found = Commit("score", address.key, address.shard, "o", 0, "p", counts, USAGE, "earlier")
        return [found, commit], 1

    def close(self) -> None:
        pass
