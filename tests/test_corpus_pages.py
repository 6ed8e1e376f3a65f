"""What a Parquet file's pages will take is told before they are decoded."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document, Unread
from backtrans.corpus.pages import DICTIONARY_PAGE, NoHeader, TooMuch, read_header
from backtrans.corpus.reader import ReaderSettings, documents


def encoded(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "snappy"])
def test_every_page_of_a_column_is_found_from_the_headers_alone(
    version: str, compression: str
) -> None:
    texts = pa.table({"text": [f"document {i}" for i in range(5_000)]})
    data = encoded(
        texts, data_page_version=version, compression=compression, data_page_size=2_000,
        write_statistics=True, write_page_checksum=True,
    )  # fmt: skip
    column = pq.read_metadata(io.BytesIO(data)).row_group(0).column(0)
    at = column.dictionary_page_offset
    end = at + column.total_compressed_size
    headers = []
    while at < end:
        headers.append(read_header(data[at : at + 500]))
        at += headers[-1].header_bytes + headers[-1].stored_bytes
    assert at == end
    assert [h.kind == DICTIONARY_PAGE for h in headers] == [True] + [False] * (len(headers) - 1)
    assert sum(h.values for h in headers) == 5_000
    whole = sum(h.header_bytes + h.decoded_bytes for h in headers)
    assert whole == column.total_uncompressed_size


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_none_and_nothing_else(data: bytes) -> None:
    try:
        found = read_header(data)
    except (NoHeader, TooMuch, IndexError):
        return
    assert found.header_bytes <= len(data)


def test_a_list_of_values_without_end_in_the_metadata_loses_its_row_group_alone() -> None:
    many = pa.array([[0] * 5_000_000], pa.list_(pa.int8()))
    sink = io.BytesIO()
    schema = pa.schema([("text", pa.string()), ("metadata", pa.list_(pa.int8()))])
    with pq.ParquetWriter(sink, schema) as writer:
        for text, values in (("good", pa.array([[1]], many.type)), ("bomb", many)):
            writer.write_table(pa.table({"text": [text], "metadata": values}, schema))
    found = [record for _, record in documents(sink, "a.parquet", ReaderSettings())]
    assert [type(record).__name__ for record in found] == ["Document", "Unread"]


@pytest.mark.slow
def test_a_page_over_the_cap_names_the_setting_that_lets_it_be_read() -> None:
    texts = [str(i) * 3_000_000 for i in range(1, 10)] * 12
    data = encoded(pa.table({"text": texts}), use_dictionary=False, compression="zstd")

    def read(settings: ReaderSettings) -> list[Document | Unread]:
        return [record for _, record in documents(io.BytesIO(data), "a.parquet", settings)]

    refused = read(ReaderSettings())
    assert len(refused) == len(texts)
    assert all(isinstance(r, Unread) and "max_page_bytes" in r.reject.detail for r in refused)
    found = read(ReaderSettings(max_page_bytes=2**30))
    assert [getattr(record, "text", None) for record in found] == texts
