"""Where records lie under a root: their places, what a folder of them holds, many read at once.

Promises: a name that is no safe segment of a key is refused, written or listed; records come in the
order in which they were asked for.

Does not know: what a record says.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from backtrans.entries import checked_name, is_name
from backtrans.errors import StoreError
from backtrans.store import Store

Record = TypeVar("Record")

_READERS = 16
"""How many records are read at once: each is a short round trip to the store, and no work."""


def place(folder: str, *names: str) -> str:
    """Return where a record lies, without its ending. Raises: StoreError for what is no name."""
    return "/".join((folder, *map(checked_name, names)))


def names(store: Store, folder: str) -> Iterator[str]:
    """Yield the names of the records in a folder. Raises: StoreError for what is none."""
    for info in store.list(folder):
        name = info.key.removeprefix(folder).removesuffix(".json")
        if not is_name(name) or not info.key.endswith(".json"):
            raise StoreError(f"{info.key}: no record of this project; move it elsewhere")
        yield name


def read_at_once(read: Callable[[str], Record], keys: Iterable[str]) -> Iterator[Record]:
    """Yield what `read` makes of each key, in order, with several reads under way."""
    pool = ThreadPoolExecutor(_READERS, thread_name_prefix="records")
    try:
        yield from pool.map(read, keys)
    finally:
        pool.shutdown(cancel_futures=True)
