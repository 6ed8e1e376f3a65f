"""Pages: how many of a web archive are cut into segments in a second of one core.

    python -m bench.pages [--pages 600]

The pages are generated, of 30 to 60 KB of HTML: a head with styles and scripts, a menu, an article
of some thousand words with links and emphasis, a list, a table, a sidebar and a footer. They lie in
a .warc.gz with a member a record, as Common Crawl writes it. A fourth as many have four times as
much of everything, since real ones are of that size: 164 KB with their headers in CC-MAIN-2024-51.
Source: its announcement (commoncrawl.org), 2.64 billion pages in 394 TiB uncompressed. Beside each,
in turn in the same run: fastwarc's own reading with resiliparse's extract_plain_text, which gives
text without a structure.
CPU seconds of this process, the best of several turns.
"""

import argparse
import gzip
import io
import random
import time
from collections.abc import Callable

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str

from backtrans.corpus.document import Document
from backtrans.corpus.reader import ReaderSettings, documents
from backtrans.corpus.segment import SegmentSettings, spans
from backtrans.records import Reject
from bench import book
from bench.book import Figure

TURNS = 5
LETTERS = "etaoinshrdlcumwfgypbvk"


def page(draw: random.Random, words: list[str], times: int = 1) -> str:
    """Write one page, with so many times as much of everything."""

    def said(least: int, most: int) -> str:
        text = " ".join(draw.choices(words, k=draw.randint(least, most)))
        return text[0].upper() + text[1:] + "."

    def paragraph() -> str:
        sentences = [said(6, 20) for _ in range(draw.randint(2, 6))]
        sentences.insert(1, f'<a href="https://example.org/{said(2, 3)}" rel="nofollow">a link</a>')
        sentences.insert(2, f"<strong>{draw.choice(words)}</strong>")
        return f'<p class="body-text">{" ".join(sentences)}</p>\n'

    def links(count: int) -> str:
        item = '<li class="menu-item menu-item-{}"><a href="/category/{}/" title="x">{}</a></li>\n'
        return (
            "<ul>" + "".join(item.format(i, i, said(2, 5)) for i in range(count * times)) + "</ul>"
        )

    def section() -> str:
        return f'<h2 class="title">{said(3, 6)}</h2>' + "".join(
            paragraph() for _ in range(draw.randint(2, 5))
        )

    rows = "".join(
        "<tr>" + "".join(f'<td class="c">{draw.randint(0, 999)}</td>' for _ in range(5)) + "</tr>"
        for _ in range(10 * times)
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{said(4, 8)}</title>'
        f"<style>{'.a{margin:0 auto;display:block}' * 120 * times}</style>"
        f"<script>{'var a=1;function f(b){return a<b&&b>0}' * 130 * times}</script></head>"
        f'<body class="home"><header class="site"><nav>{links(35)}</nav></header>'
        f'<div id="content"><main><article><h1>{said(4, 8)}</h1>{paragraph()}'
        + "".join(section() for _ in range(draw.randint(5, 11) * times))
        + f"<ul>{''.join(f'<li>{said(6, 14)}</li>' for _ in range(8 * times))}</ul>"
        f'<table class="data">{rows}</table></article></main>'
        f'<aside class="widgets">{links(30)}</aside></div><footer>{links(30)}</footer>'
        f"<script>{'window.layer=window.layer||[];' * 150 * times}</script></body></html>"
    )


def archive(count: int, times: int) -> tuple[bytes, float]:
    """Write a .warc.gz; return it, and the mean bytes of a page."""
    draw = random.Random(11)
    words = ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(4_000)]
    members, size = [], 0
    for number in range(count):
        body = page(draw, words, times).encode()
        size += len(body)
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
            f"WARC-Target-URI: https://example.org/{number}\r\nWARC-Date: 2024-05-01T12:00:00Z\r\n"
            f"Content-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
        )
        members.append(gzip.compress(head.encode() + block + b"\r\n\r\n"))
    return b"".join(members), size / count


def ours(data: bytes) -> tuple[int, int]:
    """Read an archive to segments: how many pages, and how many segments."""
    settings, segments, pages = SegmentSettings(), 0, 0
    for _, record in documents(io.BytesIO(data), "bench.warc.gz", ReaderSettings()):
        assert isinstance(record, Document)
        found = spans(record, settings)
        segments += 0 if isinstance(found, Reject) else len(found)
        pages += 1
    return pages, segments


def plain(data: bytes) -> tuple[int, int]:
    """Read an archive to plain text: how many pages, and how many lines."""
    pages = lines = 0
    for record in ArchiveIterator(io.BytesIO(data), record_types=WarcRecordType.response):
        html = bytes_to_str(record.reader.read(), record.http_charset or "utf-8")
        lines += extract_plain_text(html, main_content=True, preserve_formatting=True).count("\n")
        pages += 1
    return pages, lines


def seconds(work: Callable[[bytes], tuple[int, int]], data: bytes) -> float:
    """Return the CPU seconds that one turn takes."""
    began = time.process_time()
    work(data)
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=600)
    asked = book.asked(parser)
    count, figures = asked.pages, []
    for pages, times in ((count, 1), (count // 4, 4)):
        data, size = archive(pages, times)
        read, segments = ours(data)
        turns = [(seconds(ours, data), seconds(plain, data)) for _ in range(TURNS)]
        mine, other = (min(each) for each in zip(*turns, strict=True))
        print(f"{read:,} pages of {size / 1000:.1f} KB on average, {segments:,} segments")
        for name, spent in (("to segments", mine), ("fastwarc, extract_plain_text", other)):
            speed = (
                f"{read / spent:6,.0f} pages/s, {read * size / spent / 1e6:5.1f} MB/s of one core"
            )
            print(f"{name + ':':30}{spent:6.2f} CPU s, {speed}")
        print(f"ratio: {other / mine:.2f}")
        what, goal = f"pages of about {40 if times == 1 else 150} KB to segments by a core", {}
        if times == 1:
            goal = {"at_least": 1000.0}
        speeds, ratios = zip(*((read / a, b / a) for a, b in turns), strict=True)
        figures.append(Figure.over(what, speeds, "pages/s", runs="turns", **goal))
        beside = "fastwarc and resiliparse's extract_plain_text"
        figures.append(Figure.over(what, ratios, "", beside, runs="turns"))
    book.record(asked, *figures)


if __name__ == "__main__":
    main()
