"""Work mapped over addresses by Ray Data: a pool of actors, each with a worker of its own.

One block is a portion of the addresses, and what comes back is a receipt of each: no text passes
through Ray. An actor has several addresses in flight, so that its engine does not drain where a
shard ends. When an engine dies, its actor ends its own process; Ray starts it anew and delivers
again the portions that it had.

A portion's receipts come together, when all are there: Ray takes up a broken-off stream by the
number of what came, and another attempt may end its addresses in another order.

Promises: the same receipts as the local runtime gives, also when actors are killed at any moment;
no failure of one address is an exception here; work that does not open stops the run with its own
error. Ray Data restarts actors and delivers again without end; `attempts`, which the ledger
counts, bound that, so that a row that kills its engine does not loop.

Does not know: what the work is.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NoReturn, Self

from backtrans import errors, logs
from backtrans.errors import BacktransError, ConfigError, EngineDead
from backtrans.runtime import shortage
from backtrans.runtime.attempts import DIED, MAX_OPENINGS, Attempts, open_patiently
from backtrans.runtime.joining import join
from backtrans.runtime.machines import RayNodes
from backtrans.runtime.metrics import Metrics
from backtrans.runtime.opening import unheard
from backtrans.runtime.portions import portions
from backtrans.runtime.precautions import check_address
from backtrans.runtime.receipts import addresses_from, addresses_text, receipt_from, receipt_text
from backtrans.store import Store
from backtrans.work import QUEUED_PER_WORKER, Address, Receipt, RuntimeSettings, Work, Worker


class RayRuntime:
    """Maps work over addresses on a Ray cluster, or on one of this machine's own.

    A cluster that is there already is used, and left as it is. One that this runtime starts or
    joins is kept from one map to the next inside `with`, and let go after the map otherwise.
    """

    def __init__(self, note: Callable[[str], None] = unheard) -> None:
        """Say through `note` what a map waits for, where that is not the work itself."""
        self._note = note
        self._kept = False
        self._started = False

    def __enter__(self) -> Self:
        self._kept = True
        return self

    def __exit__(self, *_: object) -> None:
        self._kept = False
        self._let_go()

    def _let_go(self) -> None:
        if self._started and not self._kept:
            import ray

            self._started = False
            ray.shutdown()

    def ready(self, settings: RuntimeSettings) -> None:
        """Join the cluster or start one, unless that is done. Raises: ConfigError."""
        check_address(settings)
        import ray

        if not ray.is_initialized():
            self._started = True
            _start(settings)

    def map(
        self, work: Work, addresses: Sequence[Address], settings: RuntimeSettings
    ) -> Iterator[Receipt]:
        """Yield one receipt an address, as they come. Rows: N -> N.

        Raises: ConfigError for a cluster that is open to others or lacks a GPU; what `open` raised
        where work does not open; Ray's own errors where the cluster is dead.
        """
        if not addresses:
            return
        self.ready(settings)
        try:
            _check_gpus(work, settings)
            metrics = Metrics(settings.run, work)
            known = {address.key: address for address in addresses}
            with (
                shortage.told(work, settings, self._note),
                closing(_rows(work, addresses, settings)) as rows,
            ):
                for row in rows:
                    if row["fatal"]:
                        raise _original(row["fatal"], row["text"])
                    yield metrics.counted(receipt_from(row["text"], known))
        finally:
            self._let_go()


def _start(settings: RuntimeSettings) -> None:
    """Join the cluster, or start one: quiet, no dashboard, workers at this run's priority."""
    import ray

    level = logging.INFO if settings.verbose else logging.ERROR
    quiet: dict[str, Any] = {"log_to_driver": settings.verbose, "logging_level": level}
    with _own_signals():
        if settings.ray_address not in (None, "local"):
            join(settings.ray_address, **quiet)
            return
        ray.init(
            address="local",
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            # Ray's default of 15 starves an engine beside anything else that runs.
            _system_config={"worker_niceness": 0},
            **quiet,
        )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what SIGTERM does: `ray.init` would have it end the process in silence."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _check_gpus(work: Work, settings: RuntimeSettings) -> None:
    """Refuse a machine that has fewer GPUs than one worker needs; a cluster may still grow."""
    import ray

    if settings.ray_address not in (None, "local") or work.gpus_each == 0:
        return
    there = ray.cluster_resources().get("GPU", 0.0)
    if there < work.gpus_each:
        raise ConfigError(
            f"{work.name} needs {work.gpus_each:g} GPU(s) a worker; this machine has {there:g}"
        )


def _rows(
    work: Work, addresses: Sequence[Address], settings: RuntimeSettings
) -> Generator[dict[str, str], None, None]:
    """Yield the rows that actors return, in the order in which they come."""
    import ray
    from ray.data import ActorPoolStrategy

    if not settings.verbose:
        logging.getLogger("ray.data").setLevel(logging.ERROR)
    rows = [{"portion": addresses_text(each)} for each in portions(addresses, settings)]
    data = ray.data.from_items(rows, override_num_blocks=len(rows))
    context = data.context
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.execution_options.preserve_order = False
    # A large shard may take longer than any figure set here; that actors live, Ray knows.
    context.execution_no_progress_timeout_s = -1
    workers = min(settings.max_workers, len(addresses))
    receipts = data.map_batches(
        _Actor,
        fn_constructor_args=(work, settings),
        batch_size=1,
        compute=ActorPoolStrategy(
            min_size=min(settings.min_workers, workers),
            max_size=workers,
            max_tasks_in_flight_per_actor=settings.in_flight + QUEUED_PER_WORKER,
            max_concurrent_calls_per_actor=settings.in_flight,
        ),
        num_cpus=1,
        num_gpus=work.gpus_each,
    )
    for batch in receipts.iter_batches(batch_size=None, prefetch_batches=0):
        for fatal, text in zip(batch["fatal"], batch["text"], strict=True):
            yield {"fatal": str(fatal), "text": str(text)}


def _original(kind: str, text: str) -> Exception:
    """Return an actor's error as its own class, where that is one of the package's or Python's."""
    import builtins

    found = getattr(errors, kind, None) or getattr(builtins, kind, None)
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(text)
        except TypeError:  # a class that wants more than a message, such as UnicodeDecodeError
            pass
    return BacktransError(f"{kind}: {text}")


class _Actor:
    """Holds one worker in a process of its own."""

    def __init__(self, work: Work, settings: RuntimeSettings) -> None:
        # An error here would have Ray start actors without end, or say its own words instead.
        self._fatal: Exception | None = None
        self._worker: Worker | None = None
        self._begun = asyncio.Semaphore(settings.in_flight)  # first come, first served
        if settings.log_json:
            logs.to_json(sys.stderr)
        try:
            self._metrics = Metrics(settings.run, work)
            self._attempts = Attempts(work.name, settings, self, RayNodes())
            openings = _Openings(work, settings)
            openings.begin()
            self._worker = open_patiently(work, settings)
            openings.end()
        except Exception as error:  # noqa: BLE001 - raised again by the driver
            self._fatal = error

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, list[str]]]:
        """Carry the portion of a block of one row to its receipts, in its order."""
        (text,) = batch["portion"]
        came = await asyncio.gather(*map(self._carry, addresses_from(str(text))))
        yield {"fatal": [fatal for fatal, _ in came], "text": [text for _, text in came]}

    async def _carry(self, address: Address) -> tuple[str, str]:
        """Carry an address to its receipt, or to the class and words of what stops the run."""
        async with self._begun:
            if self._fatal is None:
                try:
                    with self._metrics.in_flight():
                        receipt = await self._attempts.carry(address)
                    return "", receipt_text(receipt)
                except Exception as error:  # noqa: BLE001 - raised again by the driver
                    self._fatal = error
            return type(self._fatal).__name__, str(self._fatal)

    def worker(self) -> Worker:
        """Return the worker, which was opened with the actor."""
        if self._worker is None:
            raise EngineDead("the worker is closed")
        return self._worker

    def died(self, worker: Worker) -> NoReturn:
        """End this process; Ray starts another and delivers again what was in flight."""
        sys.stderr.flush()
        os._exit(1)


class _Openings:
    """Counts, across the lives of one actor, openings in a row in which its process died."""

    def __init__(self, work: Work, settings: RuntimeSettings) -> None:
        import ray

        actor = ray.get_runtime_context().get_actor_id()
        self._store = Store(settings.store)
        self._key = f"attempts/{settings.run}/{work.name}.opening/{actor}"
        self._name = work.name

    def begin(self) -> None:
        """Count one more. Raises: EngineDead where as many as are allowed have come to nothing."""
        begun = int(self._store.get(self._key)) if self._store.exists(self._key) else 0
        if begun >= MAX_OPENINGS:
            raise EngineDead(f"{self._name} did not open: {DIED} {begun} times while it started")
        self._store.put(self._key, str(begun + 1).encode())

    def end(self) -> None:
        """Forget the openings that failed: this one did not."""
        self._store.put(self._key, b"0")
