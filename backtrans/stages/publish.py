"""Gather what was curated into the splits A4 and A5, as plain Parquet that any reader opens.

Promises: the files and the manifest are put before the record that names them, which is put new;
two publishers at once publish one snapshot; the same curated shards make no second snapshot; what
was gathered before another snapshot came is not published over it.
Memory is bounded by one file and one part, whatever the size of the splits.

Does not know: models, rubrics, how many machines there were.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backtrans.checkpoint import commits_in
from backtrans.ledger import Ledger, fingerprint
from backtrans.records import parquet
from backtrans.snapshots import (
    ALL,
    PUBLISHED,
    SPLITS,
    Snapshot,
    latest,
    manifest_table,
    numbered,
    published_columns,
    put,
)
from backtrans.takedown import Withdrawn

FILE_BYTES = 8 * 2**20
"""A file ends at the row group that brings it to so many bytes, encoded. Source: this project's
choice; few enough requests for a reader, and little enough for a driver that holds one at a time.
"""

GROUP_BYTES = 4 * 2**20
"""Arrow bytes of rows in a row group, at least: what the driver holds decoded, beside a part that
it reads. Source: this project's choice.
"""

BIN = 0.25
"""Width of a bar in the histogram of scores. Source: this project's choice; the usual thresholds of
A4 and A5, 4 and 4.5, stand at bounds of bars."""

Histogram = list[tuple[float, float, int]]
"""How many rows have a score from the first figure on and below the second; 5 is in the last."""


def publish(
    ledger: Ledger,
    curated: pa.Table,
    fingerprints: dict[str, str],
    run: str,
    published_at: str,
    withdrawn: Withdrawn,
    card: Callable[[dict[str, int], Histogram], bytes],
    after: Snapshot | None,
    *,
    unfiltered: bool = False,
) -> Snapshot | None:
    """Publish the kept rows of these commits, in their order; return the snapshot that holds them.

    `after` is the latest snapshot of the time when the corpus was listed. Where a later one holds
    anything else, nothing is published, and None returned: its corpus may be the newer one.
    `curated`: commits as checkpoint.COMMITS, which stay a table, since there may be many. `card`
    writes the folder's README from the rows of each split and the scores of A4.
    `unfiltered`: there is a split `all` beside them, for rows that are in neither A4 nor A5.
    Rows: kept rows of the commits, but for what is withdrawn -> the same rows in `all` or A4, those
    with split A5 or A4 in A4, those with split A5 in A5 too.
    """
    splits = (*SPLITS, ALL) if unfiltered else SPLITS
    more = [ALL] if unfiltered else []
    digest = digest_of(curated, withdrawn, unfiltered=unfiltered)
    number = after.number if after else 0
    if (there := latest(ledger)) is not None:
        if there.digest == digest:
            return there
        if there.number != number:
            return None
    # Equal snapshots may lie in different orders, after a rename: no file is put over another's.
    named = fingerprint("splits", curated["part"].to_pylist(), withdrawn.number, *more)
    folder = f"splits/{named}"
    files: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    scores: dict[str, Counter[int]] = {}
    gone: dict[str, list[str]] = {}
    for split in splits:
        gathered = _gathered(ledger, curated, split, withdrawn, gone)
        files[split], scores[split] = _write(ledger, gathered, f"{folder}/{split}")
        rows[split] = scores[split].total()
    manifest = f"{folder}/manifest.parquet"
    ledger.store.put(manifest, parquet(manifest_table(curated, gone)))
    ledger.store.put(f"{folder}/README.md", card(rows, _histogram(scores[splits[-1]])))
    made = Snapshot(
        number=number + 1,
        digest=digest,
        rows=rows,
        files=files,
        manifest=manifest,
        shards=curated.num_rows,
        fingerprints=fingerprints,
        takedown=withdrawn.number,
        taken_down_rows=sum(map(len, gone.values())),
        run=run,
        published_at=published_at,
    )
    if put(ledger, made):
        return made
    theirs = numbered(ledger, made.number)
    return theirs if theirs.digest == digest else None


def digest_of(curated: pa.Table, withdrawn: Withdrawn, *, unfiltered: bool = False) -> str:
    """Return the digest of the snapshot that these commits come to."""
    more = [ALL] if unfiltered else []
    return fingerprint("snapshot", sorted(curated["part"].to_pylist()), withdrawn.number, *more)


def _write(
    ledger: Ledger, gathered: Iterator[pa.Table], folder: str
) -> tuple[list[str], Counter[int]]:
    """Put the files of a split; return their keys, and how many rows lie in each bin of scores."""
    keys: list[str] = []
    scores: Counter[int] = Counter()
    while (rows := next(gathered, None)) is not None:
        sink = BytesIO()
        with pq.ParquetWriter(sink, PUBLISHED, compression="zstd") as file:
            while rows is not None:
                file.write_table(rows)
                bins = pc.floor(pc.divide(pc.subtract(rows["score"], 1.0), BIN)).value_counts()
                scores.update({int(b["values"]): b["counts"] for b in bins.to_pylist()})
                rows = next(gathered, None) if sink.tell() < FILE_BYTES else None
        keys.append(f"{folder}/part-{len(keys):05d}.parquet")
        ledger.store.put(keys[-1], sink.getvalue())
    return keys, scores


def _histogram(scores: Counter[int]) -> Histogram:
    last = round((5 - 1) / BIN) - 1
    counts = [scores[number] for number in range(last)] + [scores[last] + scores[last + 1]]
    return [(1 + k * BIN, 1 + (k + 1) * BIN, count) for k, count in enumerate(counts)]


def _gathered(
    ledger: Ledger,
    curated: pa.Table,
    split: str,
    withdrawn: Withdrawn,
    gone: dict[str, list[str]],
) -> Iterator[pa.Table]:
    """Yield tables of about GROUP_BYTES; one empty table where there are no rows.

    An empty split is still a file, so that its readers find columns and not an error. The ids of
    rows that are left out because they are withdrawn go to `gone`, by their shard.
    """
    held: list[pa.Table] = []
    held_bytes = yielded = 0
    for commit in commits_in(curated):
        if commit.counts.kept == 0:
            continue
        part = ledger.read_part(commit)
        kept = published_columns(part.filter(pc.is_null(part["reject_reason"])))
        leaves = pa.array(withdrawn.mask(kept), pa.bool_())
        if ids := kept["id"].filter(leaves).to_pylist():
            gone[commit.shard] = ids
        wanted = pc.invert(leaves)
        if split != ALL:
            within = SPLITS[: SPLITS.index(split) + 1]
            wanted = pc.and_(wanted, pc.is_in(kept["split"], pa.array(within, pa.string())))
        held.append(kept.filter(wanted))
        held_bytes += held[-1].nbytes
        if held_bytes >= GROUP_BYTES:
            yield pa.concat_tables(held)
            held, held_bytes, yielded = [], 0, yielded + 1
    if held or not yielded:
        yield pa.concat_tables([PUBLISHED.empty_table(), *held])
