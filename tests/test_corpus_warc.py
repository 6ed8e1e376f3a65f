"""Web archives: each page is a row, whatever the archive and the page are."""

import gzip
import io
import json
import random
import tracemalloc

import brotli
import pytest
import zstandard
from fastwarc.warc import WarcRecord, WarcRecordType
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document, Record, Unread
from backtrans.corpus.filters.ordered import Filters, FilterSettings
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.corpus.reservations import NAMED
from backtrans.errors import InputError

PAGE = "<h1>Tea</h1><p>Boil water.</p>"


def archived(
    block: bytes, kind: str = "response", type_of_block: str = "application/http", **headers: str
) -> bytes:
    """A WARC record, by hand."""
    lines = {
        "WARC-Type": kind,
        "WARC-Record-ID": "<urn:uuid:1>",
        "WARC-Target-URI": "http://example.org/",
        "WARC-Date": "2024-05-01T12:00:00Z",
        "Content-Type": type_of_block,
        "Content-Length": str(len(block)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"WARC/1.0\r\n{head}\r\n".encode() + block + b"\r\n\r\n"


def answer(
    body: bytes | str = PAGE, content_type: str = "text/html", status: str = "200 OK", **more: str
) -> bytes:
    """An HTTP answer."""
    headers = {"Content-Type": content_type, **{k.replace("_", "-"): v for k, v in more.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + (
        body.encode() if isinstance(body, str) else body
    )


def page(number: int) -> bytes:
    return archived(answer(f"<p>page {number}</p>"), WARC_Record_ID=f"<urn:uuid:{number}>")


def read(data: bytes, name: str = "crawl.warc", **settings: object) -> list[Record]:
    return list(documents(io.BytesIO(data), name, ReaderSettings(**settings)))  # type: ignore[arg-type]


def outcomes(records: list[Record]) -> list[str]:
    assert [row for row, _ in records] == list(range(len(records)))
    return [r.reject.reason if isinstance(r, Unread) else r.text for _, r in records]


def detail(record: Record) -> str:
    assert isinstance(record[1], Unread)
    return record[1].reject.detail


# ------------------------------------------------------------------ rows


def test_a_page_becomes_a_document_with_its_provenance() -> None:
    headers = {"WARC_Identified_Content_Language": "eng", "WARC_Truncated": "length"}
    [(row, document)] = read(archived(answer(content_type="text/html; charset=utf-8"), **headers))
    assert row == 0
    assert isinstance(document, Document)
    assert document.text == "# Tea\n\nBoil water."
    assert document.form == "markdown"
    assert document.id == "<urn:uuid:1>"
    assert document.url == "http://example.org/"
    assert document.created == "2024-05-01T12:00:00Z"
    assert json.loads(document.metadata or "") == {
        "record_type": "response", "status": 200, "content_type": "text/html",
        "language": "eng", "truncated": "length",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (answer(X_Robots_Tag="noai, noindex"), {"x_robots_tag": "noai, noindex"}),
        (answer(tdm_reservation="1"), {"tdm_reservation": "1"}),
        (answer(f"<head><META Content='noml' name=robots></head>{PAGE}"), {"robots": "noml"}),
        (
            answer(f'<meta name="TDM-Reservation" content="1">{PAGE}', tdm_reservation="1"),
            {"tdm_reservation": "1"},
        ),
        (answer(f'<meta name="author" content="noai">{PAGE}', X_Robots="noai"), {}),
    ],
)
def test_what_an_answer_says_of_its_own_use_is_heard(given: bytes, said: dict[str, str]) -> None:
    [(_, document)] = read(archived(given))
    assert isinstance(document, Document)
    told = json.loads(document.metadata or "")
    assert {k: v for k, v in told.items() if k in NAMED.values()} == said
    assert (Filters(FilterSettings()).of_document(document) is not None) == bool(said)


def test_records_that_hold_no_document_are_no_rows() -> None:
    others = [
        archived(b"software: x\r\n", kind, "application/warc-fields")
        for kind in ("warcinfo", "request", "metadata", "revisit", "continuation")
    ]
    data = others[0] + page(0) + b"".join(others[1:]) + page(1) + others[0]
    assert outcomes(read(data)) == ["page 0", "page 1"]


def test_extracted_text_and_plain_text_stay_as_they_are() -> None:
    text = "# not a header\n\n  <b> stays\n"
    data = archived(text.encode(), "conversion", "text/plain") + archived(
        answer("na\xefve".encode("latin1"), "text/plain; charset=ISO-8859-1")
    )
    records = read(data)
    assert outcomes(records) == [text, "naïve"]
    assert [r.form for _, r in records if isinstance(r, Document)] == ["text", "text"]


def test_a_resource_is_read_by_the_type_that_its_record_gives() -> None:
    block = "<p>caf\xe9".encode("latin1")
    assert outcomes(read(archived(block, "resource", "text/html; charset=latin1"))) == ["café"]


@pytest.mark.parametrize("name", ["ClueWeb22-ID", "WARC-TREC-ID"])
def test_a_page_of_clueweb_is_named_by_its_id_there(name: str) -> None:
    [(_, document)] = read(archived(PAGE.encode(), **{name: "clueweb22-en0000-00-00004"}))
    assert isinstance(document, Document)
    assert document.id == "clueweb22-en0000-00-00004"
    assert document.text == "# Tea\n\nBoil water."  # its records hold the page without an answer


def test_an_archive_that_fastwarc_wrote_is_read() -> None:
    sink = io.BytesIO()
    for number in range(3):
        record = WarcRecord()
        record.init_headers(WarcRecordType.response)
        record.is_http = True
        record.set_bytes_content(answer(f"<p>page {number}"))
        record.write(sink)
    assert outcomes(read(sink.getvalue())) == ["page 0", "page 1", "page 2"]


REFUSED = {
    "not found": (answer(status="404 Not Found"), "not_answered", "404"),
    "moved": (answer("", status="301 Moved"), "not_answered", "301"),
    "no content": (answer(""), "text_empty", "empty body"),
    "white space": (answer(" \r\n"), "text_empty", "empty body"),
    "an image": (answer(b"\x89PNG", "image/png"), "not_text", "image/png"),
    "no type and no page": (b"HTTP/1.1 200 OK\r\n\r\nhello", "not_text", "no content type"),
    "no gzip": (answer("hello", Content_Encoding="gzip"), "undecodable_body", "Gzip"),
    "no brotli": (answer("hello", Content_Encoding="br"), "undecodable_body", ""),
    "no chunks": (answer("hello", Transfer_Encoding="chunked"), "undecodable_body", "chunk"),
    "too large": (answer("x" * 2_000), "page_too_large", "max_html_bytes is 1,500"),
    "far too large": (answer("x" * 200_000), "page_too_large", "max_html_bytes is 1,500"),
    "a bomb": (
        answer(gzip.compress(b"x" * 50_000_000), Content_Encoding="gzip"), "page_too_large",
        "more than 1,500 bytes",
    ),
    "a bomb of brotli": (
        answer(brotli.compress(b"x" * 50_000_000), Content_Encoding="br"), "page_too_large",
        "more than 1,500 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("block", "reason", "said"), REFUSED.values(), ids=REFUSED)
def test_a_record_without_a_page_is_refused_and_the_next_is_read(
    block: bytes, reason: str, said: str
) -> None:
    records = read(archived(block) + page(1), max_html_bytes=1_500, max_decoded_bytes=10**6)
    assert outcomes(records) == [reason, "page 1"]
    assert said in detail(records[0])
    assert records[0][1].id == "<urn:uuid:1>"


@pytest.mark.parametrize(
    "block",
    [
        answer(gzip.compress(PAGE.encode()), Content_Encoding="gzip"),
        answer(brotli.compress(PAGE.encode()), Content_Encoding="br"),
        answer(zstandard.compress(PAGE.encode()), Content_Encoding="zstd"),
        answer(f"{len(PAGE):x}\r\n{PAGE}\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        b"HTTP/1.1 200 OK\r\n\r\n" + PAGE.encode(),
        answer(content_type="application/xhtml+xml"),
        answer(content_type="TEXT/HTML;charset=klingon"),
    ],
)
def test_what_a_server_did_to_a_page_is_undone(block: bytes) -> None:
    assert outcomes(read(archived(block))) == ["# Tea\n\nBoil water."]


# ------------------------------------------------------------------ the archive as a whole

COMPRESS = {
    "plain": b"".join,
    "gzip, a member a record": lambda records: b"".join(map(gzip.compress, records)),
    "gzip, one member": lambda records: gzip.compress(b"".join(records)),
    "zstd": lambda records: b"".join(map(zstandard.compress, records)),
}


@pytest.mark.parametrize("how", COMPRESS)
@pytest.mark.parametrize("name", ["crawl.warc.gz", "crawl.jsonl.gz", "crawl"])
def test_the_first_bytes_tell_an_archive_whatever_its_name(how: str, name: str) -> None:
    data = COMPRESS[how]([page(i) for i in range(30)])
    if how == "zstd" and name.endswith(".gz"):
        name = "crawl.warc.zst"
    assert outcomes(read(data, name)) == [f"page {i}" for i in range(30)]


@pytest.mark.parametrize("how", COMPRESS)
def test_an_archive_cut_off_anywhere_gives_the_pages_before_and_one_reject(how: str) -> None:
    data = COMPRESS[how]([page(i) for i in range(20)])
    read_rows = []
    for length in range(60, len(data) - 5, max(1, len(data) // 97)):
        try:
            records = read(data[:length], format="warc")
        except InputError:
            continue
        before = outcomes(records)
        if before and before[-1] == "unreadable_rest":
            assert f"after record {len(before) - 1}" in detail(records[-1]) or how == "plain"
            before.pop()
        else:
            assert how != "gzip, one member"
        assert before == [f"page {i}" for i in range(len(before))]
        read_rows.append(len(before))
    assert read_rows == sorted(read_rows)
    assert read_rows[-1] >= 18


BREAKS = {
    "no length": (page(1).replace(b"Content-Length", b"X-Length"), "Content-Length is None"),
    "a length of letters": (page(1).replace(b"Content-Length: ", b"Content-Length: x"), "'x"),
    "a negative length": (page(1).replace(b"Content-Length: ", b"Content-Length: -"), "'-"),
    "a length beyond all": (page(1).replace(b"Length: ", b"Length: 99999999999999999999"), "999"),
    "words": (b"and so on\r\n\r\n", "Invalid WARC header"),
    "a page that is cut off": (page(1)[:-20], "cut off"),
    "a request that is cut off": (archived(b"x" * 99, "request")[:-50], "cut off"),
    "a long page that is cut off": (archived(answer("x" * 99_000))[:-50], "cut off"),
}


@pytest.mark.parametrize(("data", "said"), BREAKS.values(), ids=BREAKS)
def test_where_an_archive_breaks_off_one_reject_stands_for_the_rest(data: bytes, said: str) -> None:
    records = read(page(0) + data, max_html_bytes=20_000)
    assert outcomes(records) == ["page 0", "unreadable_rest"]
    assert said in detail(records[-1])


def test_a_damaged_member_ends_the_archive_where_it_is() -> None:
    members = [bytearray(gzip.compress(page(i))) for i in range(6)]
    members[3][60:64] = b"\xff\xff\xff\xff"
    records = read(b"".join(map(bytes, members)), "crawl.warc.gz")
    assert outcomes(records) == ["page 0", "page 1", "page 2", "unreadable_rest"]


def test_what_is_no_archive_cannot_be_opened_as_one() -> None:
    for data in (b"good morning\n\nto you", b'{"text": "t"}'):
        with pytest.raises(InputError, match=r"crawl\.warc"):
            read(data, format="warc")


def test_an_empty_archive_has_no_rows() -> None:
    assert read(b"", format="warc") == []


def test_a_bomb_of_records_ends_at_the_cap() -> None:
    records = read(gzip.compress(page(0) * 20_000), "crawl.warc.gz", max_decoded_bytes=2_000_000)
    assert outcomes(records)[-1] == "unreadable_rest"
    assert 1 < len(records) < 20_000
    assert "max_decoded_bytes" in detail(records[-1])


def test_a_record_of_tens_of_megabytes_is_passed_over_without_being_held() -> None:
    data = gzip.compress(archived(answer(b"x" * 60_000_000)), 1) + gzip.compress(page(1))
    tracemalloc.start()
    try:
        records = read(data, max_html_bytes=1_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcomes(records) == ["page_too_large", "page 1"]
    assert peak_bytes < 20_000_000


class BrokenLine(io.BytesIO):
    """A connection that is lost after some bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 100_000:
            raise OSError("connection reset")
        return super().read(size)


@pytest.mark.parametrize("how", COMPRESS)
def test_a_failing_read_is_never_taken_for_damage_to_the_data(how: str) -> None:
    noise = random.Random(7)
    data = COMPRESS[how]([archived(answer(noise.randbytes(2_000))) for _ in range(400)])
    lost = BrokenLine(data)
    with pytest.raises(OSError, match="connection reset"):
        list(documents(lost, "crawl.warc", ReaderSettings()))


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_rows_and_never_another_error(data: bytes, in_a_record: bool) -> None:
    if in_a_record:
        data = page(0) + archived(b"HTTP/1.1 200 OK\r\n" + data) + page(2)
        assert len(read(data)) == 3
        return
    try:
        outcomes(read(b"WARC/1.0\r\n" + data))
    except InputError:
        return


# ------------------------------------------------------------------ ClueWeb22's clean text

LINE = {
    "URL": "http://example.org/", "URL-hash": "AB12", "Language": "en",
    "ClueWeb22-ID": "clueweb22-en0000-00-00004", "Clean-Text": "Tea\nBoil water.\n",
}  # fmt: skip


@pytest.mark.parametrize("chosen", ["auto", "clueweb"])
def test_clean_text_of_clueweb_is_told_by_the_keys_of_its_first_line(chosen: str) -> None:
    data = gzip.compress((json.dumps(LINE) + "\n").encode() * 2)
    records = read(data, "en0000-00.json.gz", format=chosen)
    assert outcomes(records) == [LINE["Clean-Text"]] * 2
    document = records[0][1]
    assert (document.id, document.url) == (LINE["ClueWeb22-ID"], LINE["URL"])
    assert json.loads(document.metadata or "") == "en"


def test_other_lines_are_not_taken_for_clueweb() -> None:
    text = json.dumps({"text": json.dumps(LINE)}).encode()
    assert outcomes(read(text, "x.jsonl")) == [json.dumps(LINE)]
