"""Readers of the splits: processes that look again and again until they are told to stop."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from backtrans.ledger import Ledger
from backtrans.store import Store, StoreSettings
from tests.chaos.history import Read, look


@dataclass(frozen=True, slots=True)
class Watch:
    """What a reader is to do: plain values."""

    root: StoreSettings
    reader: str
    folder: Path  # where its history goes, and where the sign to stop will lie
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def seen(self) -> Path:
        """Where it writes what it sees, a line a read."""
        return self.folder / f"{self.reader}.history"

    @property
    def over(self) -> Path:
        """The sign that the storm is over; one more look is taken after it."""
        return self.folder / "over"

    def history(self) -> list[Read]:
        """Return what it has seen so far."""
        if not self.seen.exists():
            return []
        whole, _, _ = self.seen.read_text().rpartition("\n")
        return [Read(**json.loads(line)) for line in whole.splitlines()]


def watch(orders: Watch) -> None:
    """Look until the storm is over, and once more."""
    os.environ.update(orders.environment)
    ledger = Ledger(Store(orders.root))
    turn, over = 0, False
    with orders.seen.open("a") as seen:
        while not over:
            over = orders.over.exists()
            seen.write(json.dumps(asdict(look(ledger, orders.reader, turn))) + "\n")
            seen.flush()
            turn += 1
