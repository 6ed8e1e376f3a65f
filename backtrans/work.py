"""What a runtime and a stage's work say to each other.

A runtime is given a `Work`, which travels (it is pickled to actors), and addresses, which are
small. It opens the work where it runs, once a worker, and has it do several addresses at a time;
what comes back are receipts, never rows (law 4).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from backtrans.ledger import Commit
from backtrans.store import StoreSettings

QUEUED_PER_WORKER = 1
"""Addresses that wait at a worker beside those in flight there, so that the next one is at hand.
Source: docs/log.md; 4 in all with 3 in flight kept a tiny vLLM busy."""


@dataclass(frozen=True, slots=True)
class Address:
    """One unit of work: an input object to select from, or a shard to carry through stages."""

    key: str  # what attempts are counted under: unique in the run
    shard: str  # the shard's identity; for an object, its content fingerprint
    object: str  # the input object's URL
    first_row: int = 0

    @property
    def name(self) -> str:
        """What a person calls it."""
        return f"{self.object} from row {self.first_row:,}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What came of one address."""

    address: Address
    outcome: Literal["done", "quarantined", "left"]  # left: stopped before it was begun
    commits: tuple[Commit, ...] = ()  # those that this call made or found, in stage order
    made: int = 0  # how many of them this call made
    error: str = ""  # of a quarantined address
    attempts: int = 1
    seconds: float = 0.0  # how long the attempt took that did it


class Worker(Protocol):
    """Opened work. Calls of `do` may overlap."""

    async def do(self, address: Address) -> tuple[list[Commit], int]:
        """Carry an address through: every commit made or found, and how many were made.

        Idempotent: what is committed is not done again. Raises: EngineDead (the worker is of no
        more use), ConfigError, CredentialsRefused and ModelError (the run stops), any other error
        (this attempt at the address failed).
        """
        ...

    def close(self) -> None:
        """Release what was opened."""
        ...


@runtime_checkable
class Searcher(Protocol):
    """A worker that can look for the rows of which its engine dies."""

    async def search(self, address: Address) -> tuple[list[Commit], int]:
        """Do as `do` does, but refuse those rows.

        To be called alone, and again after each EngineDead, in this process or another: each call
        goes on where the one before it died. Raises: as `do`.
        """
        ...


class Work(Protocol):
    """A stage's work, or that of several stages which share an engine. Pickles; holds no secret."""

    @property
    def name(self) -> str:
        """The stages, such as "backtranslate+score"."""
        ...

    @property
    def uses_engine(self) -> bool:
        """Whether workers hold an engine (a GPU actor) or are plain CPU work."""
        ...

    @property
    def gpus_each(self) -> float:
        """GPUs that one worker needs: the tensor parallel size, or 0."""
        ...

    def open(self) -> Worker:
        """Open the work in this process.

        Raises: EngineDead (it may do better the next time), any other error (the run stops).
        """
        ...


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """How work is placed: it does not change the result."""

    run: str
    store: StoreSettings  # where attempts and quarantine are recorded
    max_attempts: int = 3
    in_flight: int = 3  # addresses that one worker holds at once
    min_workers: int = 1
    max_workers: int = 1
    backoff_seconds: float = 1.0  # before the second attempt; doubles with each one, up to a minute
    stoppable: bool = False  # whether the run may be told to begin nothing more
    verbose: bool = False  # let Ray's own words and its workers' output through
    ray_address: str | None = None  # None: a local cluster of this run's own
    log_json: bool = False  # whether workers tell of events, on their own standard error
    ray_auth_token: bool = False  # whether the environment asks for Ray's token authentication


class Runtime(Protocol):
    """Maps work over addresses; inside `with`, keeps what it started from one map to the next."""

    def __enter__(self) -> "Runtime": ...

    def __exit__(self, *_: object) -> None: ...

    def ready(self, settings: RuntimeSettings) -> None:
        """Start or join what work is mapped on, so that others may use it inside `with`.

        Raises: ConfigError.
        """
        ...

    def map(
        self, work: Work, addresses: Sequence[Address], settings: RuntimeSettings
    ) -> Iterator[Receipt]:
        """Yield one receipt an address, in any order. Rows: N -> N.

        An address that fails is tried again up to `max_attempts` times in a run, whether the
        worker raised or died, then quarantined: its receipt says so and the others go on. Where
        the settings say `stoppable` and the journal that the run is stopped, what has not begun
        is left.
        Raises: what cannot be any one address's fault (work that does not open, a dead cluster).
        """
        ...
