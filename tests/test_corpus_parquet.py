"""Parquet: rows by a column mapping; what cannot be read is counted row by row."""

import io
import json
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.corpus import parquet
from backtrans.corpus.document import Document, Record, Unread
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.errors import InputError

BAD = Path(__file__).parents[2] / "shared/data/parquet-bad"


def encoded(table: pa.Table | dict[str, object], **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), sink, **options)
    return sink.getvalue()


def read(data: bytes, name: str = "corpus.parquet", **settings_: object) -> list[Record]:
    return list(documents(io.BytesIO(data), name, ReaderSettings(**settings_)))  # type: ignore[arg-type]


def outcomes(records: list[Record]) -> list[str]:
    assert [row for row, _ in records] == list(range(len(records)))
    return [r.reject.reason if isinstance(r, Unread) else r.text for _, r in records]


def detail(record: Record) -> str:
    assert isinstance(record[1], Unread)
    return record[1].reject.detail


def test_mapped_columns_become_our_fields_and_others_are_not_read() -> None:
    data = encoded({"content": ["Tea."], "doc_id": [7], "link": ["https://x"], "text": ["no"]})
    mapping = {"text": "content", "id": "doc_id", "url": "link"}
    assert read(data, columns=mapping) == [(0, Document(text="Tea.", id="7", url="https://x"))]


def test_a_field_that_is_not_mapped_is_read_from_the_column_of_its_name() -> None:
    data = encoded({"content": ["Tea."], "id": [7], "url": ["https://x"], "text": ["no"]})
    assert read(data, columns={"text": "content"}) == [
        (0, Document(text="Tea.", id="7", url="https://x"))
    ]
    assert read(encoded({"text": ["Tea."], "url": ["https://x"]}), columns={"id": "url"}) == [
        (0, Document(text="Tea.", id="https://x", url="https://x"))
    ]
    swapped = {"text": "id", "id": "text"}
    assert read(encoded({"id": ["Tea."], "text": ["7"]}), columns=swapped) == [
        (0, Document(text="Tea.", id="7"))
    ]


def test_without_a_mapping_columns_with_our_names_are_read() -> None:
    data = encoded({"text": ["Tea."], "source": ["web"], "license": ["cc0"]})
    assert read(data) == [(0, Document(text="Tea.", source="web"))]


def test_the_magic_tells_parquet_whatever_the_name() -> None:
    assert outcomes(read(encoded({"text": ["Tea."]}), "part-0000.bin")) == ["Tea."]


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)  # fmt: skip
def test_every_type_that_can_hold_text_is_read(kind: pa.DataType) -> None:
    texts = ["Tea, déjà vu 😀", None, "", "Tea, déjà vu 😀"]
    column = pa.array(texts).cast(kind)
    expected = ["Tea, déjà vu 😀", "text_missing", "", "Tea, déjà vu 😀"]
    assert outcomes(read(encoded({"text": column}))) == expected


def test_a_column_of_nothing_but_nulls_refuses_each_row() -> None:
    assert outcomes(read(encoded({"text": pa.nulls(3)}))) == ["text_missing"] * 3


@pytest.mark.parametrize(
    "column",
    [pa.array([1]), pa.array([["a"]]), pa.array([{"a": "b"}]), pa.array([1.5]), pa.array([True])],
    ids=lambda column: str(column.type),
)
def test_a_text_column_that_can_hold_no_text_is_an_input_error(column: pa.Array) -> None:
    with pytest.raises(InputError, match=r"corpus\.parquet: column 'text' cannot be the text"):
        read(encoded({"text": column}))


def test_a_column_that_nobody_named_and_that_cannot_be_the_field_of_its_name_is_not_read() -> None:
    odd = {"text": ["Tea."], "source": [{"a": "b"}], "url": [["https://x"]], "id": ["7"]}
    assert read(encoded(odd)) == [(0, Document(text="Tea.", id="7"))]
    with pytest.raises(InputError, match="column 'url' cannot be the url"):
        read(encoded(odd), columns={"url": "url"})


def test_a_missing_column_is_an_input_error_that_names_those_there_are() -> None:
    message = r"a\.parquet: no column 'content' for text; it has: body \(string\), n \(int64\)"
    with pytest.raises(InputError, match=message):
        read(encoded({"body": ["t"], "n": [1]}), "a.parquet", columns={"text": "content"})
    with pytest.raises(InputError, match="no column 'doc' for id"):
        read(encoded({"text": ["t"]}), columns={"id": "doc"})


def test_a_column_that_is_there_twice_is_an_input_error() -> None:
    twice = pa.table([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(InputError, match="more than one column 'text'"):
        read(encoded(twice))


def test_bytes_that_are_not_utf8_refuse_their_row_alone() -> None:
    broken = pa.array([b"a", b"caf\xe9", b"\xed\xa0\x80", b"b"])
    as_string = pa.Array.from_buffers(pa.string(), len(broken), broken.buffers())
    for column in (broken, as_string):
        records = read(encoded({"text": column, "id": ["1", "2", "3", "4"]}))
        assert outcomes(records) == ["a", "invalid_utf8", "invalid_utf8", "b"]
        assert records[1][1].id == "2"
        assert "'text'" in detail(records[1])


def test_provenance_of_any_scalar_type_is_spelt_out() -> None:
    moment = datetime(2020, 3, 29, 9, 4, tzinfo=UTC)
    data = encoded(
        {"text": ["t"], "id": [Decimal("1.50")], "created": [moment], "added": [date(2023, 4, 7)]}
    )
    [(_, document)] = read(data)
    assert document.id == "1.50"
    assert document.created is not None
    assert document.created.startswith("2020-03-29 09:04:00")
    assert document.added == "2023-04-07"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None], "b": b"\xff"}, '{"a":[1,null],"b":"ff"}'),
        ([1.5], "[1.5]"),
        ('{"a": 1}', '{"a": 1}'),
        ("no json", '"no json"'),
        (3, "3"),
        (None, None),
    ],
)
def test_metadata_of_any_shape_becomes_json_text(value: object, text: str | None) -> None:
    [(_, document)] = read(encoded({"text": ["t"], "metadata": [value]}))
    assert document.metadata == text


def test_an_object_of_no_rows_gives_none() -> None:
    assert read(encoded(pa.table({"text": pa.array([], pa.string())}))) == []


def test_rows_come_in_order_over_many_batches_and_row_groups() -> None:
    texts = [f"document {i}" for i in range(1_000)]
    assert outcomes(read(encoded({"text": texts}, row_group_size=300))) == texts


# ------------------------------------------------------------------ damage


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1" * 9, b"no parquet at all", b"PARE" * 9])
def test_what_is_not_parquet_is_an_input_error(data: bytes) -> None:
    with pytest.raises(InputError, match=r"corpus\.parquet: not readable as Parquet"):
        read(data)


def test_a_cut_off_file_is_an_input_error_since_the_footer_is_at_its_end() -> None:
    data = encoded({"text": ["t"] * 100})
    for length in range(4, len(data), 37):
        with pytest.raises(InputError):
            read(data[:length])


def damaged(group: int, **options: object) -> bytes:
    """Three row groups of 100 rows, the pages of one overwritten."""
    texts = [f"document {i} {i * 7919 % 1000}" for i in range(300)]
    data = bytearray(encoded({"text": texts}, row_group_size=100, **options))
    metadata = pq.read_metadata(io.BytesIO(bytes(data)))
    column = metadata.row_group(group).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    return bytes(data)


@pytest.mark.parametrize("group", [0, 1, 2])
def test_each_row_of_a_damaged_row_group_is_a_reject_and_the_others_are_read(group: int) -> None:
    found = outcomes(read(damaged(group)))
    lost = range(group * 100, group * 100 + 100)
    assert len(found) == 300
    for i, outcome in enumerate(found):
        expected = "unreadable_row_group" if i in lost else f"document {i} {i * 7919 % 1000}"
        assert outcome == expected


def test_a_row_groups_reject_says_which_it_was() -> None:
    assert "row group 1: " in detail(read(damaged(1))[150])


def test_a_flipped_bit_is_found_where_pages_have_checksums() -> None:
    texts = ["a" * 50 + str(i) for i in range(100)]
    data = bytearray(
        encoded({"text": texts}, write_page_checksum=True, compression="none", use_dictionary=False)
    )
    data[data.index(b"aaaa7") + 2] ^= 1
    assert set(outcomes(read(bytes(data)))) == {"unreadable_row_group"}


def test_a_footer_is_not_believed_for_any_number_of_lost_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parquet, "MAX_LOST_ROWS", 99)
    found = outcomes(read(damaged(1)))
    assert found[99].startswith("document 99")
    assert found[100:] == ["unreadable_rest"]


def test_a_bomb_ends_at_the_cap_with_little_decoded() -> None:
    value = "a" * 1_000_000
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 2_000), pa.array([value]))
    data = encoded({"text": column}, store_schema=False)
    assert len(data) < 100_000  # of 2 GB of text
    found = outcomes(records := read(data, max_decoded_bytes=100_000_000))
    assert found == [value] * 64 + ["unreadable_rest"]
    assert "row 64 of 2,000" in detail(records[-1])


class BrokenLine(io.BytesIO):
    """A connection that is lost after so many reads."""

    left = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError("connection reset")
        return super().read(size)


def test_a_failing_read_is_never_taken_for_damage_to_the_data() -> None:
    data = encoded({"text": [str(i) * 99 for i in range(900)]}, row_group_size=100)
    file = BrokenLine(data)
    file.left = 1_000
    assert len(list(documents(file, "corpus.parquet", ReaderSettings()))) == 900
    needed = 1_000 - file.left
    assert needed > 9
    for reads in range(needed):
        file = BrokenLine(data)
        file.left = reads
        with pytest.raises(OSError, match="connection reset"):
            list(documents(file, "corpus.parquet", ReaderSettings()))


whole_file = encoded(
    {"text": [f"document {i}" for i in range(200)], "metadata": [{"n": i} for i in range(200)]},
    row_group_size=50,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(whole_file) - 1), st.integers(0, 255)), max_size=4))
def test_any_damage_gives_rows_or_an_input_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(whole_file)
    for place, byte in changes:
        data[place] = byte
    try:
        found = outcomes(read(bytes(data), "corpus.parquet", format="parquet"))
    except InputError:
        return
    assert found


@given(st.lists(st.none() | st.text(), max_size=200))
def test_any_text_comes_back_exactly(texts: list[str | None]) -> None:
    data = encoded(pa.table({"text": pa.array(texts, pa.string())}))
    assert outcomes(read(data)) == ["text_missing" if t is None else t for t in texts]


# ------------------------------------------------------------------ files known for their damage

FOUND = {
    "ARROW-GH-41317.parquet": ("string", {"document": 4, "text_missing": 1}),
    "ARROW-GH-41321.parquet": ("string", {"document": 4, "text_missing": 1}),
    "ARROW-GH-43605.parquet": ("min_fl", "cannot be the text"),
    "ARROW-GH-45185.parquet": ("x", "cannot be the text"),
    "ARROW-GH-47662.parquet": ("flba_field", "cannot be the text"),
    "ARROW-RS-GH-6229-DICTHEADER.parquet": ("name", {"unreadable_row_group": 25}),
    "ARROW-RS-GH-6229-LEVELS.parquet": ("outer", "cannot be the text"),
    "PARQUET-1481.parquet": ("text", "not readable as Parquet"),
}

needs_bad_files = pytest.mark.skipif(
    not BAD.is_dir(), reason=f"no {BAD.name} files beside the repository"
)


@needs_bad_files
@pytest.mark.parametrize("name", FOUND)
def test_a_file_known_for_its_damage_gives_what_it_gave(name: str) -> None:
    column, expected = FOUND[name]
    with (BAD / name).open("rb") as file:
        found = documents(file, name, ReaderSettings(columns={"text": column}))
        if isinstance(expected, str):
            with pytest.raises(InputError, match=expected):
                next(found)
            return
        reasons = Counter(
            r.reject.reason if isinstance(r, Unread) else "document" for _, r in found
        )
    assert reasons == expected


@needs_bad_files
def test_a_damaged_column_loses_its_row_group_and_no_other() -> None:
    name = "ARROW-GH-41321.parquet"
    with (BAD / name).open("rb") as file:
        columns = pq.read_schema(file).names
    lost = {}
    for column in columns:
        mapping = {"text": "string", "metadata": column}
        with (BAD / name).open("rb") as file:
            records = list(documents(file, name, ReaderSettings(columns=mapping)))
        assert len(records) == 5
        for _, record in records:
            if isinstance(record, Document) and record.metadata is not None:
                json.loads(record.metadata)
        reasons = Counter(r.reject.reason for _, r in records if isinstance(r, Unread))
        lost[column] = reasons["unreadable_row_group"]
    assert {column: rows for column, rows in lost.items() if rows} == {
        "int64": 3, "large_binary": 3, "map_float32": 2, "fixed_size_list_float64": 2,
    }  # fmt: skip
