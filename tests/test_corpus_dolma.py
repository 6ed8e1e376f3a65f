"""JSON Lines: every line that is not blank is a row, whatever is wrong with it or its stream."""

import gzip
import io
import json
import tracemalloc
import zlib
from pathlib import Path

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus import compression
from backtrans.corpus.document import Document, Record, Unread
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.errors import ConfigError, InputError

REAL = Path(__file__).parents[2] / "shared/data/dolma/cc_en_head-0091.jsonl.gz"
DEEP = 5_000


def read(data: bytes, name: str = "corpus.jsonl", **settings: object) -> list[Record]:
    return list(documents(io.BytesIO(data), name, ReaderSettings(**settings)))  # type: ignore[arg-type]


def outcomes(records: list[Record]) -> list[str]:
    """What each row gave: its text, or the reason why there is none."""
    return [r.reject.reason if isinstance(r, Unread) else r.text for _, r in records]


def detail(record: Record) -> str:
    assert isinstance(record[1], Unread)
    return record[1].reject.detail


def lines_of(n: int) -> bytes:
    return b"".join(b'{"id":"%d","text":"document %d"}\n' % (i, i) for i in range(n))


def test_a_line_in_dolmas_format_gives_all_its_fields() -> None:
    line = {
        "id": "d1", "text": "Tea.\n", "source": "common-crawl", "added": "2023-04-07",
        "created": "2020-03-29", "metadata": {"url": "https://example.org", "n": [1, None]},
    }  # fmt: skip
    [(row, document)] = read(json.dumps(line).encode())
    assert row == 0
    assert document == Document(
        id="d1", text="Tea.\n", source="common-crawl", url="https://example.org",
        added="2023-04-07", created="2020-03-29",
        metadata='{"url":"https://example.org","n":[1,null]}',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), ("s", '"s"'), (3, "3"), ([1, {"a": []}], '[1,{"a":[]}]'), ({}, "{}")],
)
def test_metadata_of_any_shape_becomes_json_text(value: object, text: str | None) -> None:
    [(_, document)] = read(json.dumps({"text": "t", "metadata": value}).encode())
    assert document.metadata == text


def test_an_id_that_is_a_number_is_kept_as_its_digits() -> None:
    assert read(b'{"id": 17, "text": "t"}')[0][1].id == "17"


def test_a_line_without_a_text_says_which_keys_it_has() -> None:
    [absent] = read(b'{"id": "a", "content": "t"}')
    assert detail(absent) == "no 'text'; it has: id, content"
    [number] = read(b'{"text": 5}')
    assert detail(number) == "'text' is a number"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_json_list_over_many_lines_is_no_json_lines_and_says_what_makes_it_so(
    ending: str,
) -> None:
    rows = [{"id": "a", "text": "t"}, {"id": "b", "text": "u"}]
    for text in (json.dumps(rows, indent=2), "[" + ",\n".join(map(json.dumps, rows)) + "]"):
        data = text.replace("\n", ending).encode()
        for stored in (data, gzip.compress(data)):
            with pytest.raises(InputError, match=r"list\.json: is one JSON list.*jq"):
                read(stored, "list.json")
    assert outcomes(read(b'["a"]\n{"text": "t"}\n')) == ["unreadable_line", "t"]


def test_utf_16_is_named() -> None:
    with pytest.raises(InputError, match=r"corpus\.jsonl: is UTF-16"):
        read('{"text": "t"}'.encode("utf-16"))


def test_other_keys_can_be_mapped_to_our_fields() -> None:
    [(_, document)] = read(
        b'{"content": "t", "doc": "a"}', columns={"text": "content", "id": "doc"}
    )
    assert document == Document(text="t", id="a")


def test_a_mapping_of_a_field_that_we_do_not_have_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="txet"):
        ReaderSettings(columns={"txet": "content"})


BAD_LINES = {
    "no json": (b"good morning", "unreadable_line"),
    "cut off": (b'{"text": "t', "unreadable_line"),
    "an array": (b'["text"]', "unreadable_line"),
    "a number": (b"7", "unreadable_line"),
    "null": (b"null", "unreadable_line"),
    "NaN": (b'{"text": "t", "score": NaN}', "unreadable_line"),
    "Infinity": (b'{"text": "t", "score": Infinity}', "unreadable_line"),
    "too large a number": (b'{"text": "t", "score": 1e999}', "unreadable_line"),
    "deep": (b'{"text": "t", "a": ' + b"[" * DEEP + b"]" * DEEP + b"}", "unreadable_line"),
    "deep metadata": (
        b'{"text": "t", "metadata": ' + b"[" * 600 + b"]" * 600 + b"}",
        "unreadable_line",
    ),
    "two objects": (b'{"text": "t"}{"text": "u"}', "unreadable_line"),
    "a control character": (b'{"text": "a\x01b"}', "unreadable_line"),
    "a byte that is not UTF-8": (b'{"text": "caf\xe9"}', "invalid_utf8"),
    "UTF-16": ('{"text": "é"}'.encode("utf-16"), "invalid_utf8"),
    "a lone leading surrogate": (rb'{"text": "\ud800"}', "invalid_utf8"),
    "a lone trailing surrogate": (rb'{"text": "x\udc00y"}', "invalid_utf8"),
    "surrogates in the wrong order": (rb'{"text": "\udc00\ud800"}', "invalid_utf8"),
    "no text": (b'{"id": "a"}', "text_missing"),
    "null text": (b'{"text": null}', "text_missing"),
    "a list for text": (b'{"text": ["t"]}', "text_not_string"),
    "a number for text": (b'{"text": 5}', "text_not_string"),
    "an object for text": (b'{"text": {}}', "text_not_string"),
}


@pytest.mark.parametrize("case", BAD_LINES)
def test_a_bad_line_is_one_reject_and_its_neighbours_are_read(case: str) -> None:
    line, reason = BAD_LINES[case]
    records = read(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    assert outcomes(records) == ["before", reason, "after"]
    assert [row for row, _ in records] == [0, 1, 2]
    assert detail(records[1])


def test_a_reject_keeps_what_is_known_of_its_document() -> None:
    [(_, refused)] = read(b'{"id": "a", "source": "web", "metadata": {"k": 1}, "text": null}')
    assert isinstance(refused, Unread)
    assert (refused.id, refused.source, refused.metadata) == ("a", "web", '{"k":1}')


def test_blank_lines_are_no_rows_and_a_byte_order_mark_no_part_of_one() -> None:
    data = b'\xef\xbb\xbf{"text": "a"}\r\n\r\n \t\n\n{"text": "b"}'
    assert outcomes(read(data)) == ["a", "b"]


def test_an_empty_object_has_no_rows() -> None:
    assert read(b"") == []
    assert read(b"\n\n") == []
    assert read(gzip.compress(b""), "x.jsonl.gz") == []


def test_an_over_long_line_is_refused_wherever_it_stands() -> None:
    long = b'{"text": "' + b"a" * 200 + b'"}\n'
    data = long + b'{"text": "b"}\n' + long + long.rstrip()
    too_long = "line_too_long"
    records = read(data, max_line_bytes=100)
    assert outcomes(records) == [too_long, "b", too_long, too_long]
    assert "212 bytes" in detail(records[0])
    assert outcomes(read(b'{"text":"%s"}\n' % (b"a" * 89), max_line_bytes=100)) == ["a" * 89]


@pytest.mark.parametrize(
    ("compress", "size"),
    [(gzip.compress, 40_000_000), (zstandard.compress, 150_000_000)],
    ids=["gzip", "zstd"],  # a KiB of zstd may be 40 MB
)
def test_an_over_long_line_is_passed_over_without_being_held(compress, size: int) -> None:  # type: ignore[no-untyped-def]
    data = compress(b'{"text": "' + b"a" * size + b'"}\n' + lines_of(2))
    tracemalloc.start()
    try:
        records = read(data, max_line_bytes=1_000_000)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcomes(records) == ["line_too_long", "document 0", "document 1"]
    assert peak_bytes < size * 2 // 3


def test_a_bomb_of_lines_ends_at_the_cap() -> None:
    bomb = gzip.compress((b'{"text":"%s"}\n' % (b"a" * 900)) * 3_000)
    records = read(bomb, max_decoded_bytes=1_500_000)
    assert outcomes(records)[-1] == "unreadable_rest"
    assert 1 < len(records) < 3_000
    assert "max_decoded_bytes" in detail(records[-1])


# ------------------------------------------------------------------ compression

COMPRESS = {
    "gzip": gzip.compress,
    "gzip in members": lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:]),
    "gzip with a padded end": lambda data: gzip.compress(data) + b"\0" * 700,
    "gzip with an empty member": lambda data: gzip.compress(data) + gzip.compress(b""),
    "zstd": zstandard.compress,
    "zstd in frames": lambda data: zstandard.compress(data[:999]) + zstandard.compress(data[999:]),
    "zstd after a skippable frame": lambda data: (
        b"\x50\x2a\x4d\x18\x03\0\0\0abc" + zstandard.compress(data)
    ),
    "plain": lambda data: data,
}


@pytest.fixture(params=["installed", "absent"])
def isal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run with ISA-L and without; results must not depend on what is installed."""
    if request.param == "installed":
        pytest.importorskip("isal", reason="isal is not installed")
    else:
        monkeypatch.setattr(compression, "fast_zlib", zlib)


@pytest.mark.usefixtures("isal")
@pytest.mark.parametrize("how", COMPRESS)
@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz", "corpus.json.zst", "corpus"])
def test_magic_bytes_tell_the_compression_whatever_the_name(how: str, name: str) -> None:
    records = read(COMPRESS[how](lines_of(500)), name)
    assert outcomes(records) == [f"document {i}" for i in range(500)]


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.json.zst"])
@pytest.mark.parametrize("data", [b"", b"hello", b"\x1f"])
def test_an_object_that_is_not_what_its_name_says_is_an_input_error(name: str, data: bytes) -> None:
    with pytest.raises(InputError, match=name):
        read(data, name)


@pytest.mark.parametrize("magic", [b"\x1f\x8b", b"\x28\xb5\x2f\xfd"])
def test_magic_with_nothing_readable_behind_it_is_an_input_error(magic: bytes) -> None:
    for rest in (b"", b"nothing of the sort" * 9):
        with pytest.raises(InputError, match=r"corpus\.jsonl: not readable as"):
            read(magic + rest)


def test_an_object_that_tells_nothing_of_itself_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"notes\.txt"):
        read(b"good morning", "notes.txt")


def varied_lines(n: int) -> tuple[bytes, list[str]]:
    """Lines that do not compress to nothing, and their texts."""
    texts = [f"{i} {zlib.crc32(b'%d' % i)} {zlib.adler32(b'x%d' % i)}" for i in range(n)]
    return b"".join(orjson.dumps({"text": text}) + b"\n" for text in texts), texts


@pytest.mark.usefixtures("isal")
@pytest.mark.parametrize(
    ("compress", "lines", "last_read"),
    [(gzip.compress, 6_000, 5_999), (zstandard.compress, 15_000, 10_000)],
    ids=["gzip", "zstd"],
)
def test_a_stream_cut_off_anywhere_gives_the_rows_before_and_one_reject(  # type: ignore[no-untyped-def]
    compress, lines: int, last_read: int
) -> None:
    data, texts = varied_lines(lines)
    whole = compress(data)
    read_rows = []
    for length in [*range(4, len(whole), len(whole) // 9), len(whole) - 1]:
        try:
            records = read(whole[:length], "corpus.jsonl")
        except InputError:
            continue
        *before, last = outcomes(records)
        assert last == "unreadable_rest"
        assert before == texts[: len(before)]
        assert f"after line {len(before):,} " in detail(records[-1])
        read_rows.append(len(before))
    assert len(read_rows) > 5
    assert read_rows == sorted(read_rows)
    assert read_rows[-1] >= last_read


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_damaged_gzip_stream_gives_the_same_rows_with_and_without_isal(
    place: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("isal", reason="isal is not installed")
    data, texts = varied_lines(9_000)
    whole = bytearray(gzip.compress(data))
    at = int(len(whole) * place)
    whole[at : at + 4] = b"\xff\xff\xff\xff"
    fast = read(bytes(whole))
    monkeypatch.setattr(compression, "fast_zlib", zlib)
    assert read(bytes(whole)) == fast
    assert outcomes(fast)[-1] == "unreadable_rest"
    assert outcomes(fast).count("unreadable_rest") == 1
    sound = int(len(texts) * place * 0.9)
    assert outcomes(fast)[:sound] == texts[:sound]


def test_a_wrong_checksum_says_that_rows_before_it_may_be_damaged() -> None:
    whole = bytearray(gzip.compress(lines_of(5)))
    whole[-8] ^= 1
    records = read(bytes(whole))
    assert outcomes(records)[-1] == "unreadable_rest"
    assert len(records) == 6
    assert "may be damaged" in detail(records[-1])


def test_what_follows_the_last_gzip_member_is_not_passed_over_in_silence() -> None:
    records = read(gzip.compress(lines_of(3)) + b"something else")
    assert outcomes(records) == ["document 0", "document 1", "document 2", "unreadable_rest"]


def test_a_damaged_zstd_block_gives_the_blocks_before_it() -> None:
    data, texts = varied_lines(20_000)
    whole = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(data))
    whole[-2] ^= 0xFF  # the checksum: all rows are out by then
    assert outcomes(read(bytes(whole))) == [*texts, "unreadable_rest"]


class BrokenLine(io.BytesIO):
    """A connection that is lost after some bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 30_000:
            raise OSError("connection reset")
        return super().read(size)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress, bytes])
def test_a_failing_read_is_never_taken_for_damage_to_the_data(compress) -> None:  # type: ignore[no-untyped-def]
    data, _ = varied_lines(10_000)
    with pytest.raises(OSError, match="connection reset"):
        list(documents(BrokenLine(compress(data)), "corpus.jsonl", ReaderSettings()))


# ------------------------------------------------------------------ laws

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(), json_values), max_size=8), st.booleans())
def test_any_text_and_metadata_come_back_exactly(
    rows: list[tuple[str, object]], escape: bool
) -> None:
    lines = [json.dumps({"text": t, "metadata": m}, ensure_ascii=escape) for t, m in rows]
    records = read("\n".join(lines).encode())
    assert outcomes(records) == [text for text, _ in rows]
    told = [None if r.metadata is None else json.loads(r.metadata) for _, r in records]
    assert told == [metadata for _, metadata in rows]


@given(st.binary(max_size=400))
def test_any_bytes_give_rows_and_never_another_error(data: bytes) -> None:
    try:
        records = read(data)
    except InputError:
        assert data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"WARC/"))
        return
    assert [row for row, _ in records] == list(range(len(records)))
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert len(records) == sum(bool(line.strip()) for line in lines)


@pytest.mark.skipif(not REAL.exists(), reason=f"no {REAL.name} beside the repository")
def test_a_real_dolma_object_is_read_whole() -> None:
    with REAL.open("rb") as file:
        records = list(documents(file, REAL.name, ReaderSettings()))
    assert len(records) == 10
    for _, document in records:
        assert isinstance(document, Document)
        assert document.source == "common-crawl"
        assert document.url
        assert "bucket" in json.loads(document.metadata or "")
