"""How many addresses are handed out at once: a driver that does not grow with their number.

Whoever maps work over addresses keeps something of each portion that it hands out, and a run of a
hundred thousand shards has no use for as many. So a portion is a share of the run, and one address
where the run is small. Towards the end portions get smaller, so that workers end together: at any
time as much is left to be handed out as lies at the workers.

Promises: every address is in one portion, in order; there are `MOST` portions of full size at most,
and beside them, at the end, some that depend on the workers and not on the addresses. Where a run
may be stopped each is one address, since a stop is decided by what came back.

Does not know: what an address is, how long it takes.
"""

from collections.abc import Sequence

from backtrans.work import QUEUED_PER_WORKER, Address, RuntimeSettings

MOST = 4096
"""Portions of full size. Source: docs/log.md: Ray Data takes some 10 ms and a few KiB of the driver
for each, so all of them a minute and some MiB; and what comes back is a four-thousandth of the run,
so that progress is seen."""


def held_at_once(settings: RuntimeSettings, addresses: int) -> int:
    """Return how many portions can lie at the workers at once."""
    workers = min(settings.max_workers, addresses)
    return workers * (settings.in_flight + QUEUED_PER_WORKER)


def portions(addresses: Sequence[Address], settings: RuntimeSettings) -> list[Sequence[Address]]:
    """Divide addresses into what is handed out at once, in the order in which it is."""
    full = 1 if settings.stoppable else max(1, len(addresses) // MOST)
    levelling = 2 * held_at_once(settings, len(addresses))
    found: list[Sequence[Address]] = []
    begin = 0
    while begin < len(addresses):
        size = max(1, min(full, (len(addresses) - begin) // levelling))
        found.append(addresses[begin : begin + size])
        begin += size
    return found
