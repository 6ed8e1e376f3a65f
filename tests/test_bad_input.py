"""Bad input, end to end: refused or given up with a reason and listed; the rest is unharmed."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtrans.errors import RunIncomplete
from backtrans.pipeline import Pipeline
from backtrans.refused import QUARANTINED, Refused
from tests.jobs import Silent, config, configuration, document, published, write_jsonl

pytestmark = pytest.mark.slow

BAD = Path(__file__).parents[2] / "shared/data/parquet-bad"
GOOD = 12
MIB = 2**20

needs_bad_files = pytest.mark.skipif(
    not BAD.is_dir(), reason=f"no {BAD.name} files beside the repository"
)


def run(folder: Path, column: str = "text", **changes: Any) -> tuple[Pipeline, list[Refused]]:
    """Run over what lies in `corpus` and a good object beside it, whose rows must all come out."""
    documents = [document(k) for k in range(GOOD)]
    good = [{column if k == "text" else k: v for k, v in d.items()} for d in documents]
    write_jsonl(folder / "corpus/good.jsonl.gz", good)
    changes = {
        "recipe__curate": {"a4": 1.0, "a5": 3.2},
        "recipe__select": {"min_chars": 0, "max_chars": 5_000},
        "recipe__deduplicate": {"enabled": False},  # bad rows repeat good ones
        "placement__min_complete": 0.1,
        **changes,
    }
    if column != "text":
        changes["recipe__corpus__columns"] = {"text": column}
    pipeline = Pipeline(config(folder, **changes))
    pipeline.run(Silent())
    shown = [row for row in published(pipeline) if row["object"].endswith("good.jsonl.gz")]
    assert [row["response"] for row in shown] == [d["text"] for d in documents]
    for stage in pipeline.status().stages:
        assert stage.rows_in == stage.kept + sum(stage.rejects.values())
    return pipeline, list(pipeline.rejects())


def reasons(rejects: list[Refused]) -> dict[str, int]:
    return dict(Counter(row.reason for row in rejects))


# ------------------------------------------------------------------ files known for their damage

FOUND: dict[str, tuple[str, dict[str, int], str]] = {
    "ARROW-GH-41317.parquet": ("string", {"text_missing": 1, "text_empty": 1}, ""),
    "ARROW-GH-41321.parquet": ("string", {"text_missing": 1, "text_empty": 1}, ""),
    "ARROW-GH-43605.parquet": ("min_fl", {QUARANTINED: 1}, "'min_fl' cannot be the text"),
    "ARROW-GH-45185.parquet": ("x", {QUARANTINED: 1}, "'x' cannot be the text"),
    "ARROW-GH-47662.parquet": ("flba_field", {QUARANTINED: 1}, "cannot be the text"),
    "ARROW-RS-GH-6229-DICTHEADER.parquet": ("name", {"unreadable_row_group": 25}, "row group 0"),
    "ARROW-RS-GH-6229-LEVELS.parquet": ("outer", {QUARANTINED: 1}, "'outer' cannot be the text"),
    "PARQUET-1481.parquet": ("text", {QUARANTINED: 1}, "not readable as Parquet"),
}
"""File -> the column taken for the text, what comes of it, and what each reject says."""


@needs_bad_files
def test_every_file_known_for_its_damage_is_looked_at() -> None:
    assert sorted(path.name for path in BAD.glob("*.parquet")) == sorted(FOUND)


@needs_bad_files
@pytest.mark.parametrize("name", FOUND)
def test_a_file_known_for_its_damage_harms_nothing_and_is_listed(tmp_path: Path, name: str) -> None:
    column, expected, said = FOUND[name]
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / name).write_bytes((BAD / name).read_bytes())
    _, rejects = run(tmp_path, column)
    assert reasons(rejects) == expected
    for row in rejects:
        assert name in row.object
        assert said in row.detail


@needs_bad_files
def test_all_of_them_at_once_without_a_text_column_are_given_up_each_by_name(
    tmp_path: Path,
) -> None:
    (tmp_path / "corpus").mkdir()
    for name in FOUND:
        (tmp_path / "corpus" / name).write_bytes((BAD / name).read_bytes())
    _, rejects = run(tmp_path)
    assert {Path(row.object.split(" from row ")[0]).name for row in rejects} == set(FOUND)
    assert reasons(rejects) == {QUARANTINED: len(FOUND)}
    with pytest.raises(RunIncomplete, match=r"PARQUET-1481\.parquet"):
        run(tmp_path, placement__min_complete=1.0)


# ------------------------------------------------------------------ rows and columns


def write_lines(folder: Path, *lines: bytes) -> None:
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "corpus/bad.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines)))


def test_numbers_that_json_does_not_have_and_nesting_without_end_refuse_their_lines(
    tmp_path: Path,
) -> None:
    write_lines(
        tmp_path,
        b'{"id": "a", "text": "t", "metadata": {"score": NaN}}',
        b'{"id": "b", "text": "t", "metadata": {"score": -Infinity}}',
        b'{"id": "c", "text": "t", "metadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": "d", "text": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}",
        b'{"id": "e", "text": ["a", "list"]}',
        b'{"id": "f", "text": null}',
        b'{"id": "g", "text": 3.5}',
    )
    _, rejects = run(tmp_path)
    assert reasons(rejects) == {"unreadable_line": 3, "text_not_string": 3, "text_missing": 1}
    assert [row.row for row in rejects] == list(range(7))
    assert [row.document_id for row in rejects][3:] == ["d", "e", "f", "g"]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.nulls(3), {"text_missing": 3}),
        (pa.array([None, "t", None], pa.string()), {"text_missing": 2}),
        (pa.array([["a"], ["b", "c"], []]), {QUARANTINED: 1}),
        (pa.array([{"a": 1}, None, None]), {QUARANTINED: 1}),
        (pa.array([], pa.string()), {}),
    ],
    ids=["all null", "some null", "lists", "structs", "no rows"],
)
def test_a_column_that_holds_no_text_where_text_is_expected(
    tmp_path: Path, column: pa.Array, expected: dict[str, int]
) -> None:
    (tmp_path / "corpus").mkdir()
    pq.write_table(pa.table({"text": column}), tmp_path / "corpus/bad.parquet")
    _, rejects = run(tmp_path)
    assert reasons(rejects) == expected
    if QUARANTINED in expected:
        assert "'text' cannot be the text" in rejects[0].detail


def test_objects_without_a_row_come_to_nothing_and_are_done(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    pq.ParquetWriter(
        tmp_path / "corpus/no-groups.parquet", pa.schema({"text": pa.string()})
    ).close()
    assert pq.read_metadata(tmp_path / "corpus/no-groups.parquet").num_row_groups == 0
    empty_group = pa.table({"text": pa.array([], pa.string())})
    with pq.ParquetWriter(tmp_path / "corpus/empty-group.parquet", empty_group.schema) as writer:
        writer.write_table(empty_group)
    write_jsonl(tmp_path / "corpus/empty.jsonl.gz", [])
    (tmp_path / "corpus/blank.jsonl").write_bytes(b"\n \n")
    pipeline, rejects = run(tmp_path)
    assert rejects == []
    assert pipeline.plan().nothing_pending


def test_rows_with_one_document_id_both_stay_and_status_counts_them(tmp_path: Path) -> None:
    twice = [document(1), document(2), document(1)]
    for number, each in enumerate(twice):
        each["text"] += f" take {number}"
    write_jsonl(tmp_path / "corpus/twice.jsonl.gz", [*twice, {"text": "without an id"}])
    pipeline, _ = run(tmp_path)
    rows = published(pipeline)
    assert Counter(row["document_id"] for row in rows)["doc-1"] == 3
    assert len({row["id"] for row in rows}) == len(rows) == GOOD + 4
    found = pipeline.repeated_ids()
    assert (found.rows_with_id, found.distinct_ids) == (GOOD + 3, GOOD)
    assert (found.repeating_rows, found.rows_without_id) == (3, 1)


# ------------------------------------------------------------------ bombs


def members(*pieces: tuple[bytes, int]) -> bytes:
    """Return a gzip object of many members: gigabytes that are made in no time."""
    return b"".join(gzip.compress(piece, 6, mtime=0) * times for piece, times in pieces)


def parquet(texts: pa.Array, **options: Any) -> bytes:
    sink = io.BytesIO()
    options = {"compression": "zstd", "store_schema": False, **options}
    pq.write_table(pa.table({"text": texts}), sink, **options)
    return sink.getvalue()


def a_page_of_300_megabytes() -> bytes:
    return parquet(pa.array(["a" * 300_000_000]), use_dictionary=False)


def a_page_of_many_large_values() -> bytes:
    return parquet(pa.array(["a" * 10**6] * 300), use_dictionary=False, data_page_size=2**30)


def a_dictionary_that_makes_128_gigabytes() -> bytes:
    indices = pa.array([0] * 2_000, pa.int32())
    column = pa.DictionaryArray.from_arrays(indices, pa.array(["a" * 64_000_000]))
    return parquet(column, dictionary_pagesize_limit=2**30)


def a_line_of_a_gigabyte() -> bytes:
    end = b'"}\n{"id": "y", "text": "good"}\n'
    return members((b'{"id": "x", "text": "', 1), (b"a" * MIB, 1024), (end, 1))


def two_gigabytes_of_lines() -> bytes:
    return members((b'{"text": "' + b"a" * 100_000 + b'"}\n', 20_000))


def a_line_of_empty_lists() -> bytes:
    lists = b"[]," * (15 * MIB // 3)
    return members((b'{"text": "t", "metadata": [' + lists + b"1]}\n", 1))


def lines_of_large_metadata() -> bytes:
    return members((b'{"text": "t", "metadata": "' + b"a" * 8_000_000 + b'"}\n', 250))


BOMBS = [
    (a_page_of_300_megabytes, {"unreadable_row_group": 1}, 60),
    (a_page_of_many_large_values, {"unreadable_row_group": 300}, 60),
    (a_dictionary_that_makes_128_gigabytes, {"too_long": 18, "unreadable_rest": 1}, 600),
    (a_line_of_a_gigabyte, {"line_too_long": 1}, 100),
    (two_gigabytes_of_lines, {"too_long": 11_998, "unreadable_rest": 1}, 100),
    (a_line_of_empty_lists, {"provenance_too_long": 1}, 600),
    (lines_of_large_metadata, {"provenance_too_long": 149, "unreadable_rest": 1}, 150),
]
"""What is fed, what comes of it under a cap of 1.2 GB decoded, and MiB over a run without it."""

CHILD = """
import json, sys
from pathlib import Path
from backtrans.config import load
from backtrans.pipeline import Pipeline
from tests.jobs import Silent, published
pipeline = Pipeline(load(Path(sys.argv[1])))
pipeline.run(Silent())
status = Path("/proc/self/status").read_text()  # unlike ru_maxrss, not that of the parent too
peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
rejects = {}
for row in pipeline.rejects():
    rejects[row.reason] = rejects.get(row.reason, 0) + 1
print(json.dumps({"peak_mib": peak, "rejects": rejects, "rows": len(published(pipeline))}))
"""


def peak_of_a_run(folder: Path, bomb: bytes | None) -> dict[str, Any]:
    """Run in a process of its own, with or without a bomb beside a good object; return its peak."""
    write_jsonl(folder / "corpus/good.jsonl.gz", [document(k) for k in range(GOOD)])
    if bomb is not None:
        name = "bomb.parquet" if bomb.startswith(b"PAR1") else "bomb.jsonl.gz"
        (folder / "corpus" / name).write_bytes(bomb)
    path = configuration(
        folder,
        recipe__corpus__max_decoded_bytes=1_200_000_000,
        recipe__select={"min_chars": 2, "max_chars": 5_000},
        recipe__curate={"a4": 1.0, "a5": 3.2},
        recipe__corpus__shard_rows=1024,
    )
    here = str(Path(__file__).parents[1])
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        capture_output=True,
        text=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": here},
    )
    assert child.returncode == 0, child.stderr[-2_000:]
    said: dict[str, Any] = json.loads(child.stdout)
    return said


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run without a bomb comes to."""
    return peak_of_a_run(tmp_path_factory.mktemp("plain"), None)


@pytest.mark.parametrize(
    ("make", "expected", "most_mib"), BOMBS, ids=[b[0].__name__ for b in BOMBS]
)
def test_a_bomb_is_refused_in_bounded_memory(
    tmp_path: Path, plain: dict[str, Any], make: Any, expected: dict[str, int], most_mib: int
) -> None:
    bombed = peak_of_a_run(tmp_path, make())
    over_mib = bombed["peak_mib"] - plain["peak_mib"]
    sys.stdout.write(f"{make.__name__}: {bombed['peak_mib']} MiB, {over_mib} over a good run's\n")
    # Where a cap falls depends on the blocks in which a decoder gives its text.
    assert bombed["rejects"] == pytest.approx(expected, abs=2)
    assert bombed["rows"] >= plain["rows"] == GOOD
    assert over_mib < most_mib
