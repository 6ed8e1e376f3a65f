"""Select: objects become shards of segments, each row accounted for, each shard written once."""

import asyncio
import gzip
import json
import pickle
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backtrans.corpus import screening
from backtrans.corpus.reader import ReaderSettings
from backtrans.corpus.screening import ScreenSettings
from backtrans.corpus.span import SegmentSettings, Span
from backtrans.errors import InputError
from backtrans.evaluations import EvaluationSettings
from backtrans.ledger import Commit, Ledger, index_key
from backtrans.records import SEGMENT, Row, is_kept
from backtrans.stages.select import SelectWork, select_key, shard_identity
from backtrans.store import Store, StoreSettings, content_fingerprint, list_inputs
from backtrans.work import Address

STAGE_FINGERPRINT = "of-the-recipe"


class Corpus:
    """A root, an input folder, and the stage over both."""

    def __init__(self, folder: Path) -> None:
        self.inputs = folder / "corpus"
        self.inputs.mkdir(parents=True)
        self.root = StoreSettings(str(folder / "root"))
        self.ledger = Ledger(Store(self.root))

    def put(self, name: str, data: bytes) -> Address:
        path = self.inputs / name
        path.write_bytes(data)
        return Address("address", f"content-{hash(data)}", str(path))

    def work(self, shard_rows: int = 3, run: str = "run-1", **changes: object) -> SelectWork:
        values = {
            "store": self.root,
            "input": StoreSettings(str(self.inputs)),
            "reader": ReaderSettings(),
            "screen": ScreenSettings(SegmentSettings(min_chars=3, max_chars=30)),
            "evaluations": EvaluationSettings(self.root),
            "shard_rows": shard_rows,
            "stage_fingerprint": STAGE_FINGERPRINT,
            "run": run,
        }
        return SelectWork(**{**values, **changes})  # type: ignore[arg-type]

    def select(self, address: Address, **options: object) -> tuple[list[Commit], int]:
        worker = pickle.loads(pickle.dumps(self.work(**options))).open()  # type: ignore[arg-type]
        try:
            return asyncio.run(worker.do(address))
        finally:
            worker.close()

    def rows(self, commits: list[Commit]) -> list[Row]:
        return [row for c in commits for row in self.ledger.read_part(c).to_pylist()]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


def jsonl(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"id": "same", "text": text}).encode() + b"\n" for text in texts)


EIGHT = jsonl([f"document {i}" for i in range(8)])


def test_a_segment_carries_its_text_its_place_and_where_it_came_from(corpus: Corpus) -> None:
    line = {
        "id": "d1", "text": " Make tea.\n", "source": "web", "added": "a", "created": "c",
        "metadata": {"url": "https://example.org"},
    }  # fmt: skip
    address = corpus.put("a.jsonl", json.dumps(line).encode())
    commits, made = corpus.select(address)
    [row] = corpus.rows(commits)
    shard = shard_identity(address.shard, 3, 0)
    assert made == 1
    assert row == {
        "id": f"{shard[:16]}-000000", "text": "Make tea.", "object": address.object, "row": 0,
        "document_id": "d1", "start_char": 1, "end_char": 10, "source": "web",
        "url": "https://example.org", "added": "a", "created": "c",
        "metadata": '{"url":"https://example.org"}', "masked": [],
        "reject_reason": None, "reject_detail": None,
    }  # fmt: skip


def test_an_object_is_cut_every_so_many_rows_and_its_index_names_the_shards(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl.gz", gzip.compress(EIGHT))
    commits, made = corpus.select(address, run="run-7")
    shards = [shard_identity(address.shard, 3, i) for i in range(3)]
    assert made == 3
    assert [c.shard for c in commits] == shards
    assert [c.key for c in commits] == [select_key(STAGE_FINGERPRINT, s) for s in shards]
    assert [c.first_row for c in commits] == [0, 3, 6]
    assert [c.counts.rows_in for c in commits] == [3, 3, 2]
    assert {c.run for c in commits} == {"run-7"}
    index = corpus.ledger.index_of(index_key(STAGE_FINGERPRINT, address.shard))
    assert index is not None
    assert (index.rows, list(index.shards)) == (8, shards)
    assert (index.object, index.fingerprint) == (address.object, address.shard)


def test_rejects_stand_in_the_part_beside_what_was_kept(corpus: Corpus) -> None:
    good, short = '{"id": "g", "text": "good tea"}', '{"id": "s", "text": "no"}'
    lines = [good, "broken", short, '{"id": "n"}', json.dumps({"text": "a" * 99}), good]
    address = corpus.put("a.jsonl", "\n".join(lines).encode())
    commits, _ = corpus.select(address, shard_rows=100)
    rows = corpus.rows(commits)
    assert [row["reject_reason"] for row in rows] == [
        None, "unreadable_line", "too_short", "text_missing", "too_long", None,
    ]  # fmt: skip
    assert [row["document_id"] for row in rows] == ["g", None, "s", "n", None, "g"]
    assert [row["row"] for row in rows] == list(range(6))
    assert [row["text"] for row in rows] == ["good tea", None, None, None, None, "good tea"]
    assert len({row["id"] for row in rows}) == 6
    assert commits[0].counts.kept == 2
    assert commits[0].counts.rejects == {
        "text_missing": 1, "too_long": 1, "too_short": 1, "unreadable_line": 1,
    }  # fmt: skip


def test_an_object_that_breaks_off_is_selected_up_to_there(corpus: Corpus) -> None:
    data = jsonl([f"document {i} {i**4}" for i in range(2_000)])
    address = corpus.put("a.jsonl.gz", gzip.compress(data)[:-5_000])
    commits, _ = corpus.select(address, shard_rows=500)
    rows = corpus.rows(commits)
    assert rows[-1]["reject_reason"] == "unreadable_rest"
    assert [row["reject_reason"] for row in rows[:-1]] == [None] * (len(rows) - 1)
    assert len(rows) > 100
    assert corpus.ledger.index_of(index_key(STAGE_FINGERPRINT, address.shard)) is not None


def test_an_object_of_no_rows_is_indexed_without_shards(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl", b"\n\n")
    assert corpus.select(address) == ([], 0)
    index = corpus.ledger.index_of(index_key(STAGE_FINGERPRINT, address.shard))
    assert index is not None
    assert (index.rows, index.shards) == (0, ())


def test_an_object_that_cannot_be_opened_leaves_no_index(corpus: Corpus) -> None:
    address = corpus.put("a.parquet", b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"a\.parquet"):
        corpus.select(address)
    assert corpus.ledger.index_of(index_key(STAGE_FINGERPRINT, address.shard)) is None


def test_a_missing_object_is_an_input_error(corpus: Corpus) -> None:
    with pytest.raises(InputError, match="gone"):
        corpus.select(Address("k", "f", str(corpus.inputs / "gone.jsonl")))


def test_a_parquet_object_is_read_by_its_mapping(corpus: Corpus) -> None:
    pq.write_table(pa.table({"body": ["good tea", None]}), corpus.inputs / "a.parquet")
    address = corpus.put("a.parquet", (corpus.inputs / "a.parquet").read_bytes())
    commits, _ = corpus.select(address, reader=ReaderSettings(columns={"text": "body"}))
    assert [row["text"] for row in corpus.rows(commits)] == ["good tea", None]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.parquet"])
def test_objects_in_s3_give_what_they_give_in_a_folder(
    corpus: Corpus, name: str, s3_settings: StoreSettings
) -> None:
    address = corpus.put("a.jsonl.gz", gzip.compress(EIGHT))
    if name == "a.parquet":
        texts = pa.table({"id": ["same"] * 8, "text": [f"document {i}" for i in range(8)]})
        pq.write_table(texts, corpus.inputs / name)
        address = corpus.put(name, (corpus.inputs / name).read_bytes())
    here, _ = corpus.select(address)

    bucket = StoreSettings(s3_settings.root.removesuffix("/root"), *astuple(s3_settings)[1:])
    Store(bucket).put(f"corpus/{name}", Path(address.object).read_bytes())
    [info] = list_inputs([f"{bucket.root}/corpus/*"], bucket)
    there = Address("k", content_fingerprint(info, bucket), info.key)
    work = corpus.work(store=s3_settings, input=s3_settings)
    commits, made = asyncio.run(work.open().do(there))

    ledger = Ledger(Store(s3_settings))
    rows = [row for c in commits for row in ledger.read_part(c).to_pylist()]
    assert made == 3
    assert [row["text"] for row in rows] == [row["text"] for row in corpus.rows(here)]
    assert {row["object"] for row in rows} == {info.key}


# ------------------------------------------------------------------ done once


def test_what_is_indexed_is_not_read_again(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl", EIGHT)
    first, _ = corpus.select(address)
    Path(address.object).unlink()
    assert corpus.select(address, run="run-2") == (first, 0)


def test_the_same_bytes_under_another_name_are_the_same_shards(corpus: Corpus) -> None:
    first, _ = corpus.select(corpus.put("a.jsonl", EIGHT))
    again, made = corpus.select(corpus.put("renamed.jsonl", EIGHT))
    assert made == 0
    assert again == first


def test_another_recipe_or_shard_size_is_other_work(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl", EIGHT)
    first, _ = corpus.select(address)
    recut, made = corpus.select(address, shard_rows=4, stage_fingerprint="of-another")
    assert made == 2
    assert not {c.key for c in first} & {c.key for c in recut}
    ids = [row["id"] for row in corpus.rows([*first, *recut])]
    assert len(set(ids)) == 16


class Crash(Exception):
    """Stands for a lost machine."""


@pytest.mark.parametrize("after", [0, 1, 2])
def test_after_a_crash_only_the_missing_shards_are_committed(
    corpus: Corpus, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = corpus.put("a.jsonl", EIGHT)
    commit, tried = Ledger.commit, []

    def crash_later(ledger: Ledger, record: Commit, part: pa.Table) -> bool:
        if len(tried) == after:
            raise Crash
        tried.append(record.key)
        return commit(ledger, record, part)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "commit", crash_later)
        with pytest.raises(Crash):
            corpus.select(address)
    assert corpus.ledger.index_of(index_key(STAGE_FINGERPRINT, address.shard)) is None

    commits, made = corpus.select(address, run="run-2")
    assert made == 3 - after
    assert [c.run for c in commits] == ["run-1"] * after + ["run-2"] * (3 - after)
    assert [row["text"] for row in corpus.rows(commits)] == [f"document {i}" for i in range(8)]
    assert [row["row"] for row in corpus.rows(commits)] == list(range(8))


def test_a_commit_that_is_gone_is_made_again_though_the_index_is_there(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl", EIGHT)
    commits, _ = corpus.select(address)
    corpus.ledger.store.delete(f"commits/select/{commits[1].key}.json")
    again, made = corpus.select(address)
    assert made == 1
    assert [c.key for c in again] == [c.key for c in commits]


def test_two_workers_on_one_object_commit_each_shard_once(corpus: Corpus) -> None:
    address = corpus.put("a.jsonl", jsonl([f"document {i}" for i in range(60)]))

    async def both() -> list[tuple[list[Commit], int]]:
        workers = [corpus.work(run=f"run-{i}").open() for i in range(4)]
        return await asyncio.gather(*(worker.do(address) for worker in workers))

    results = asyncio.run(both())
    assert sum(made for _, made in results) == 20
    assert all(commits == results[0][0] for commits, _ in results)


# ------------------------------------------------------------------ laws


def test_a_document_of_several_segments_counts_each(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "spans", lambda document, settings: [Span(0, 4), Span(5, 8)])
    address = corpus.put("a.jsonl", jsonl(["good tea", "more tea"]))
    commits, _ = corpus.select(address)
    shard = commits[0].shard[:16]
    assert [(row["id"], row["text"], row["row"]) for row in corpus.rows(commits)] == [
        (f"{shard}-000000-0", "good", 0), (f"{shard}-000000-1", "tea", 0),
        (f"{shard}-000001-0", "more", 1), (f"{shard}-000001-1", "tea", 1),
    ]  # fmt: skip
    assert commits[0].counts.rows_in == commits[0].counts.kept == 4


some_lines = st.lists(
    st.one_of(
        st.text(max_size=40).map(lambda text: json.dumps({"text": text}).encode()),
        st.sampled_from(
            [b"{", b"[]", b'{"text": null}', b'{"text": 3}', b'"\xff"', b"NaN", b" ", b""]
        ),
    ),
    max_size=30,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lines=some_lines, shard_rows=st.integers(1, 12))
def test_every_row_is_accounted_for_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], shard_rows: int
) -> None:
    corpus = Corpus(tmp_path_factory.mktemp("corpus"))
    commits, made = corpus.select(corpus.put("a.jsonl", b"\n".join(lines)), shard_rows=shard_rows)
    there = [line for line in lines if line.strip()]
    rows = corpus.rows(commits)
    assert made == len(commits) == -(-len(there) // shard_rows)
    assert [row["row"] for row in rows] == list(range(len(there)))
    assert len({row["id"] for row in rows}) == len(there)
    for commit in commits:
        part = corpus.ledger.read_part(commit)
        assert part.schema.equals(SEGMENT)
        reasons = Counter(row["reject_reason"] for row in part.to_pylist())
        assert commit.counts.kept == reasons.pop(None, 0)
        assert commit.counts.rejects == dict(reasons)
        assert commit.counts.rows_in == part.num_rows
    for line, row in zip(there, rows, strict=True):
        if is_kept(row):
            text = json.loads(line)["text"]
            assert row["text"] == text[row["start_char"] : row["end_char"]] == text.strip()
        else:
            assert row["text"] is None
