"""What is compared with what: numbered generations of shards, and the index of their segments.

    deduplicate/<fingerprint>/generations/000001.parquet    its shards, put new
    deduplicate/<fingerprint>/<name>/
        entries/<bucket>/<batch>.parquet            sketches, and the hashes that lead to them
        segments/<batch>.parquet                    ids; put last: the batch is spread
        verdicts/<bucket>/<span>.parquet            copies; the last span's: the bucket is matched
        copies/<span>.parquet                       the same over all buckets, one row a segment
        finished                                    every span's are there

A generation names the *parts* of its shards, which are immutable, cut into batches. Segments have
one order in all: generation, then id. A record also says which earlier shards the corpus has no
more: they no longer count. So what is decided in a generation hangs on it and those before it
alone, whoever does the work, and however often.

Promises: a number is given once; a record never changes, and its objects lie in a folder that only
it names; each object has the same content whoever puts it.

Does not know: what its objects hold (`buckets`), how segments are compared, which shards a run is
about, when an index may go.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backtrans.corpus.similarity import BANDS
from backtrans.entries import checked_name
from backtrans.errors import StoreError
from backtrans.ledger import Ledger
from backtrans.records import parquet

FOLDER = "deduplicate/"

_RECORDS = "generations/"

BATCH_SEGMENTS = 2**16
"""Segments of the shards that are spread together, or those of one shard. Source: this project's
choice; their hashes and sketches are 15 MiB, and an object a bucket is put for each batch."""

BUCKET_ROWS = 2**21
"""Hashes in a bucket, on average, that a generation has no more of. Source: this project's choice;
with their sketches, at 350 bytes a hash, they take 0.7 GiB in the worker that matches them."""

SPAN_BATCHES = 8
"""Batches whose verdicts lie in one object a bucket. Source: this project's choice; whoever decides
about a shard reads those of half a million segments."""

MAX_BITS = 12
"""Of a bucket's number: a batch puts 4,096 objects at most, which a store takes in seconds."""

SHARDS = pa.schema(
    [
        ("shard", pa.string()),
        ("part", pa.string()),  # of select: these segments, whatever becomes of the shard later
        ("batch", pa.int64()),
        ("again", pa.bool_()),  # an earlier generation has a part of it too
    ]
)
"""The shards of a generation, sorted by their identity; then, without part and batch, those of
earlier ones that the corpus had no more."""

_SHARD_CHARS = 16
"""Characters of a shard's identity that begin the ids of its segments (`stages.select`)."""

_AT_ONCE = 16
"""Objects read or put at once: each is a short round trip to the store, and little work."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Generation:
    """A record: shards that were new together."""

    number: int
    folder: str  # of its objects, ending in "/"
    bits: int  # 2**bits buckets; an earlier generation has no more
    batches: int
    shards: pa.Table
    gone: pa.Array  # how the ids of earlier segments begin that no longer count

    @property
    def buckets(self) -> int:
        """How many buckets the hashes fall into."""
        return 1 << self.bits

    @property
    def spans(self) -> int:
        """How many spans the batches make."""
        return -(-self.batches // SPAN_BATCHES)

    def entries(self, bucket: int, batch: int, bits: int | None = None) -> str:
        """Return the key of a batch's entries in a bucket; `bits`: of the bucket's number."""
        if bits is not None:
            bucket >>= bits - self.bits
        return f"{self.folder}entries/{bucket:05d}/{batch:06d}.parquet"

    def segments(self, batch: int) -> str:
        """Return the key of a batch's ids."""
        return f"{self.folder}segments/{batch:06d}.parquet"

    def verdicts(self, bucket: int, span: int) -> str:
        """Return the key of a bucket's verdicts over a span."""
        return f"{self.folder}verdicts/{bucket:05d}/{span:06d}.parquet"

    def copies(self, span: int) -> str:
        """Return the key of a span's verdicts over all buckets."""
        return f"{self.folder}copies/{span:06d}.parquet"

    @property
    def finished(self) -> str:
        """The key that is there when its shards can be decided about."""
        return f"{self.folder}finished"

    def counts(self, entries: pa.Table, copies: pa.Table) -> pa.Table:
        """Return those ENTRIES of earlier ones that count here: no copies, and not gone."""
        ids = entries["id"]
        left_out = pc.is_in(ids, copies["id"].combine_chunks())
        if len(self.gone):
            begins = pc.utf8_slice_codeunits(ids, 0, _SHARD_CHARS)
            left_out = pc.or_(left_out, pc.is_in(begins, self.gone))
        return entries.filter(pc.invert(left_out))


class Generations:
    """The generations of one recipe, by the fingerprint of its deduplication."""

    def __init__(self, ledger: Ledger, stage_fingerprint: str) -> None:
        self._ledger = ledger
        self._place = f"{FOLDER}{checked_name(stage_fingerprint)}/"
        self._read: dict[int, Generation] = {}  # a record never changes

    def upto(self, number: int | None = None) -> list[Generation]:
        """Return the generations up to a number, or all, the first one first."""
        # Apart from the rest: there may be a hundred thousand objects beside them.
        listed = self._ledger.store.list(f"{self._place}{_RECORDS}")
        numbers = [int(info.key[-14:-8]) for info in listed]
        return [self._get(n) for n in sorted(numbers) if number is None or n <= number]

    def begin(self, after: list[Generation], selected: pa.Table, present: list[str]) -> bool:
        """Record one more generation of these shards; False where its number is taken.

        `after` are those that there are. `selected` has columns shard, part and kept; `present`
        are all shards of the corpus.
        """
        selected = selected.select(["shard", "part", "kept"]).sort_by("shard")
        kept = selected["kept"].to_numpy()
        batch = (np.cumsum(kept) - kept) // BATCH_SEGMENTS
        # Numbered without gaps, though a shard may be larger than a batch.
        batch = np.unique(batch, return_inverse=True)[1].reshape(-1)
        rows = int(kept.sum()) * (BANDS + 1)
        bits = max([max(0, (rows - 1) // BUCKET_ROWS).bit_length(), *(g.bits for g in after)])
        listed = [generation.shards["shard"] for generation in after]
        known = pa.chunked_array([c for each in listed for c in each.chunks], pa.string())
        shards = pa.table(
            {
                "shard": selected["shard"],
                "part": selected["part"],
                "batch": pa.array(batch, pa.int64()),
                "again": pc.is_in(selected["shard"], known),
            },
            schema=SHARDS.with_metadata(
                {
                    "folder": f"{self._place}{uuid4().hex}/",
                    "bits": str(min(bits, MAX_BITS)),
                    "batches": str(int(batch.max(initial=-1)) + 1),
                }
            ),
        )
        gone = pc.unique(known.filter(pc.invert(pc.is_in(known, pa.array(present, pa.string())))))
        nothing = [pa.nulls(len(gone), SHARDS.field(name).type) for name in SHARDS.names[1:]]
        left_out = pa.table([gone.sort(), *nothing], schema=shards.schema)
        shards = pa.concat_tables([shards, left_out])
        number = max((generation.number for generation in after), default=0) + 1
        return self._ledger.store.put_new(self._key(number), parquet(shards))

    def _get(self, number: int) -> Generation:
        if number not in self._read:
            key = self._key(number)
            rows = self._ledger.read_rows(key)
            said = {k.decode(): v.decode() for k, v in (rows.schema.metadata or {}).items()}
            try:
                bits, batches = int(said["bits"]), int(said["batches"])
                shards = rows.filter(pc.is_valid(rows["batch"]))
                gone = rows.filter(pc.is_null(rows["batch"]))["shard"].combine_chunks()
                begins = pc.utf8_slice_codeunits(gone, 0, _SHARD_CHARS)
                found = Generation(number, said["folder"], bits, batches, shards, begins)
                self._read[number] = found
            except (KeyError, ValueError) as error:
                raise StoreError(f"{key}: not the record of a generation: {error}") from error
        return self._read[number]

    def _key(self, number: int) -> str:
        return f"{self._place}{_RECORDS}{number:06d}.parquet"


def index_of(ledger: Ledger, stage_fingerprint: str) -> list[str]:
    """Return the keys of an index, in the order in which they may go: the last record first.

    What is left of it at any instant is an index without its last generations, and loose objects.
    """
    place = f"{FOLDER}{checked_name(stage_fingerprint)}/"
    keys = [info.key for info in ledger.store.list(place)]
    named = [key for key in keys if key.startswith(f"{place}{_RECORDS}")]
    return [*sorted(named, reverse=True), *(key for key in keys if key not in set(named))]


def loose_entries(ledger: Ledger, older_than: float) -> Iterator[str]:
    """Yield the objects of indexes that no record names, older than a moment: an expiry died."""
    # Before the records: what is put meanwhile is named by one that is seen.
    old = [info.key for info in ledger.store.list(FOLDER) if info.modified < older_than]
    named = {
        generation.folder
        for each in {key.split("/")[1] for key in old}
        for generation in Generations(ledger, each).upto()
    }
    for key in old:
        place, _, rest = key.removeprefix(FOLDER).partition("/")
        folder = f"{FOLDER}{place}/{rest.partition('/')[0]}/"
        if not rest.startswith(_RECORDS) and folder not in named:
            yield key


def in_order(call: Callable[[A], B], arguments: Sequence[A]) -> Iterator[B]:
    """Yield what a call makes of each argument, in order; few calls are ahead of the reader."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="generations") as pool:
        ahead: deque[Future[B]] = deque()
        for argument in arguments:
            ahead.append(pool.submit(call, argument))
            if len(ahead) >= _AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
