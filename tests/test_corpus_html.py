"""Web pages become Markdown with the headers, lists, tables and code that a reader sees."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.headers import headers
from backtrans.corpus.html import decoded, markdown
from backtrans.corpus.segment import SegmentSettings, spans
from backtrans.records import Reject

PAGES = Path(__file__).parent / "golden/pages"
NEXT = "\n<!-- next -->\n"
MIB = 1024 * 1024


def text_of(page: bytes | str, charset: str | None = None) -> str:
    found = markdown(page, 16 * MIB, charset)
    assert isinstance(found, str)
    return found


def segments_of(page: bytes, min_chars: int, max_chars: int) -> list[str]:
    document = Document(text=text_of(page), form="markdown")
    found = spans(document, SegmentSettings(min_chars=min_chars, max_chars=max_chars))
    assert not isinstance(found, Reject), found
    return [document.text[span.start : span.end] for span in found]


def test_there_are_pages_to_compare_with() -> None:
    assert len(list(PAGES.glob("*.html"))) >= 10


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.html")), ids=lambda path: path.stem)
def test_a_page_gives_the_segments_that_a_reader_would_cut_from_it(page: Path) -> None:
    expected = page.with_suffix(".md").read_text().rstrip("\n").split(NEXT)
    assert segments_of(page.read_bytes(), 60, 800 if page.stem == "aspnet" else 400) == expected


# ------------------------------------------------------------------ encodings

ENCODED = {
    "windows-1252, as the page says": (
        "<meta charset=windows-1252><p>“Café” – 5 €</p>".encode("cp1252"), None,
        "“Café” – 5 €",
    ),
    "windows-1252, as nobody says": ("<p>Où est le café déjà vu?</p>".encode("cp1252"), None,
        "Où est le café déjà vu?"),
    "Shift-JIS, as the server says": ("<p>日本語の文章です。</p>".encode("shift_jis"), "Shift_JIS",
        "日本語の文章です。"),
    "Shift-JIS, as an old declaration says": (
        '<META http-equiv="Content-Type" content="text/html; charset=x-sjis"><p>表示</p>'.encode(
            "shift_jis"), None, "表示"),
    "windows-1251, as nobody says": ("<p>Привет, как дела сегодня?</p>".encode("cp1251"), None,
        "Привет, как дела сегодня?"),
    "GBK that could be UTF-8": ("<p>联通</p>".encode("gbk"), "gb2312", "联通"),
    "UTF-16 with a byte order mark": ("<p>naïve</p>".encode("utf-16"), "utf-8", "naïve"),
    "UTF-16, big end first": (b"\xfe\xff" + "<p>naïve</p>".encode("utf-16-be"), None, "naïve"),
    "UTF-8 with a byte order mark": (b"\xef\xbb\xbf" + "<p>naïve</p>".encode(), "latin1", "naïve"),
    "UTF-8 that says it is Latin-1": ("<meta charset=iso-8859-1><p>naïve €</p>".encode(), None,
        "naïve €"),
    "UTF-8 that says it is UTF-16": ("<meta charset=utf-16><p>naïve</p>".encode(), None, "naïve"),
    "UTF-8 with bytes that are none": (b"<meta charset=utf-8><p>na\xc3\xafve \xff</p>", None,
        "naïve \ufffd"),
    "a label that means nothing": ("<p>naïve</p>".encode(), "klingon", "naïve"),
}  # fmt: skip


@pytest.mark.parametrize(("page", "charset", "text"), ENCODED.values(), ids=ENCODED)
def test_the_encoding_is_found(page: bytes, charset: str | None, text: str) -> None:
    assert text_of(page, charset) == text


# ------------------------------------------------------------------ what a page may hold

PIECES = {
    "a line that looks like a header": (
        "<p># one<p>####### two<p>#three",
        "\\# one\n\n####### two\n\n#three",
    ),
    "a line that looks like a fence": ("<p>``` and more<p>~~~", "\\``` and more\n\n\\~~~"),
    "a line that looks like an underline": ("Title<br>---<br>====", "Title\n\\---\n\\===="),
    "a header of a page that has none but its title": (
        "<title>Tea &lt; U</title>x",
        "# Tea < U\n\nx",
    ),
    "a title in capitals": ("<title>WELCOME</title>x", "x"),
    "a title beside a header": ("<title>T</title><h3>H</h3>x", "### H\n\nx"),
    "the title in the page's banner": (
        "<header><nav>n</nav><h1>H</h1><p>by x</p></header>x",
        "# H\n\nx",
    ),
    "a logo for a header": ("<h1><svg></svg></h1><h2>H</h2>x", "## H\n\nx"),
    "an empty header": ("<h2> </h2>x", "##\n\nx"),
    "a header that holds a page": (f"<h2>{'word ' * 80}", ("word " * 80).strip()),
    "a header with blocks": ("<h2><div>Part</div> <div>one</div></h2><p>x", "## Part one\n\nx"),
    "a header in a quote": ("<blockquote><h2>H</h2>x</blockquote>", "> ## H\n>\n> x"),
    "a quote in a list in a quote": (
        "<blockquote><ul><li>a<blockquote>b<p>c</blockquote></ul></blockquote>",
        "> - a\n>\n>   > b\n>   >\n>   > c",
    ),
    "two quotes": ("<blockquote>a</blockquote><blockquote>b</blockquote>", "> a\n\n> b"),
    "code in a list": ("<ul><li>a<pre>b\n\nc</pre></ul>", "- a\n\n  ```\n  b\n\n  c\n  ```"),
    "controls and NULs": ("a\0b\x01c&#1;d\x7fe&#128;f\x0bg", "abcde€fg"),
    "a comment in a script": ("<script><!--<script></script>--></script>x<p>y", "x\n\ny"),
    "a script in capitals": ("<SCRIPT>a<b</SCRIPT>x", "x"),
    "old listings": ("<xmp><b>1</b> &amp;</xmp>", "```\n<b>1</b> &amp;\n```"),
    "a quotation": ("He said <q>no</q>.", 'He said "no".'),
    "hidden elements": (
        "a<b hidden>x</b><i style='visibility:hidden'>x</i><p aria-hidden=true>x",
        "a",
    ),
    "a hidden element that cannot hold anything": (
        "<table><col style='visibility:hidden'><tr><td>a<td>b<tr><td>c<td>d</table>e",
        "| a | b |\n| --- | --- |\n| c | d |\n\ne",
    ),
    "a body that scripts would show": ("<body style='display:none'>a", "a"),
    "links with a > in them": ('<a title="a > b" href=x>c</a> d', "c d"),
    "links with a stray quote": ("<a href=it's>a</a> <a href='b'>b</a>", "a b"),
    "attributes that look like tags": ('<p a<b="c>d" "e=f>x</p>', "x"),
    "a table without a second column": ("<table><tr><td>a<tr><td>b</table>", "a\n\nb"),
    "a frameset": ("<frameset><frame src=x></frameset>", ""),
    "nothing": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("page", "text"), PIECES.values(), ids=PIECES)
def test_a_page_with(page: str, text: str) -> None:
    assert text_of(page) == text


# ------------------------------------------------------------------ size, depth and order

DEEP = 100_000


@pytest.mark.parametrize("tag", ["div", "b", "ul><li", "blockquote", "table><tr><td", "span", "q"])
def test_a_page_may_nest_a_hundred_thousand_deep(tag: str) -> None:
    assert text_of(f"<{tag}>" * DEEP + "the end").rstrip('"').endswith("the end")


HOSTILE = {
    "formatting left open": "<p>" + "".join(f"<font a={i}>" for i in range(9_000)) + "<p>x" * 9_000,
    "end tags of nothing": "<div>" * 50_000 + "</h1>" * 50_000,
    "a tag of attributes": "<p " + " ".join(f"a{i}=1" for i in range(90_000)) + ">x",
    "a tag that never ends": "<a " * 90_000,
    "crossed formatting": "".join(f"<b a={i}><div>" for i in range(9_000)) + "</b>" * 9_000,
    "lists in lists": "<ol><li>x" * 9_000,
    "nothing but <": "<" * 300_000,
    "scripts without an end": "<script>" * 50_000 + "<div>" * 9_000,
    "ends of scripts": "</script>" * 90_000 + "<div>" * 9_000,
    "scripts that begin again": "<script>" * 90_000 + "</script>" + "<div>" * 9_000,
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_a_page_made_to_be_slow_is_not(page: str) -> None:
    # As long as it takes to time out without the limits on depth, attributes and formatting.
    assert len(text_of(page)) < 50 * len(page)


def test_what_looks_like_tags_in_a_script_is_no_depth() -> None:
    scripts = "<script>for (i = 0; i<n; i++) f(i)</script><STYLE>a<b</STYLE>" * 1_000
    assert text_of(f"{scripts}<h2>Tea</h2><ul><li>Milk</ul>") == "## Tea\n\n- Milk"
    assert text_of(f"{scripts}<script>{'a<b;' * 3_000}") == ""


def test_a_page_of_ten_megabytes_is_read_and_a_larger_one_refused() -> None:
    paragraph = "<p class='x'>Rain fell on the <a href='/'>harbour</a> all day.</p>\n"
    page = ("<h1>Weather</h1>" + paragraph * (10 * MIB // len(paragraph))).encode()
    assert text_of(page).count("Rain fell on the harbour all day.") == 10 * MIB // len(paragraph)
    found = markdown(page, MIB)
    assert isinstance(found, Reject)
    assert found.reason == "page_too_large"
    assert f"{len(page):,} bytes" in found.detail


# ------------------------------------------------------------------ laws

markup = st.lists(
    st.sampled_from(
        "<div> </div> <p> <h1> </h1> <h3 id=a> </h3> <li> <ul> </ul> <ol> </ol> <table> <tr> <td> "
        "</table> <pre> </pre> <code> </code> <blockquote> </blockquote> <b> </b> <br> <header> "
        "</header> <form> </form> <script> </script> <svg> <select> <!-- --> &amp; &lt; # ``` --- "
        "=== text <nav> </nav> <button> <p\thidden> \" ' < > | <xmp> <template>".split(" ")
    ).map(lambda piece: piece.replace("\t", " "))
    | st.text(max_size=8),
    max_size=30,
).map(" ".join)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_give_text_and_always_the_same(page: bytes) -> None:
    assert text_of(page) == text_of(page)
    decoded(page, "shift_jis")


@settings(max_examples=300)
@given(st.text(max_size=100) | markup)
@example("<pre>one page\f\x1bthe next")
def test_any_text_gives_text_without_control_characters(page: str) -> None:
    text = text_of(page)
    assert not any(ord(c) < 32 and c not in "\n\t" for c in text)
    assert text == text.strip() or "```" in text


@given(st.lists(st.sampled_from(["#", "##", "=", "---", "x", "```", "~~~", " ", "<br>", "\t"])))
def test_no_text_can_pass_for_a_header(words: list[str]) -> None:
    assert list(headers(text_of("<p>" + "".join(words)))) == []
    assert list(headers(text_of("<ul><li>" + "".join(words)))) == []
