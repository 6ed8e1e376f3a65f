"""Reading: how many megabytes of a .jsonl.gz a core reads in a second.

    python -m bench.reading [--documents 20000]

The documents are generated, in Dolma's format, of some 3,000 characters each. Beside our reader, in
turn in the same run: gzip and json of the standard library. CPU seconds of this process, the best
of several turns; megabytes are those of the decompressed lines.
"""

import argparse
import gzip
import io
import json
import random
import time
from collections.abc import Callable

from backtrans.corpus.document import Document
from backtrans.corpus.reader import ReaderSettings, documents
from bench import book
from bench.book import Figure

TURNS = 5
LETTERS = "etaoinshrdlcumwfgypbvk"


def corpus(count: int) -> tuple[bytes, int]:
    """Write a .jsonl.gz; return it, and the bytes of its lines."""
    draw = random.Random(11)
    words = ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(20_000)]
    lines = []
    for number in range(count):
        text = " ".join(draw.choices(words, k=draw.randint(200, 800)))
        about = {"id": f"d{number}", "source": "common-crawl", "added": "2024-05-01T12:00:00Z"}
        metadata = {"url": f"https://example.org/{number}", "language": "en", "score": 0.97}
        lines.append(json.dumps({**about, "text": text, "metadata": metadata}) + "\n")
    whole = "".join(lines).encode()
    return gzip.compress(whole, 6), len(whole)


def ours(data: bytes) -> int:
    """Read by our reader; return the characters of text."""
    chars = 0
    for _, record in documents(io.BytesIO(data), "bench.jsonl.gz", ReaderSettings()):
        assert isinstance(record, Document)
        chars += len(record.text)
    return chars


def standard(data: bytes) -> int:
    """Read by the standard library; return the characters of text."""
    with gzip.open(io.BytesIO(data)) as file:
        return sum(len(json.loads(line)["text"]) for line in file)


def seconds(work: Callable[[bytes], int], data: bytes) -> float:
    """Return the CPU seconds that one turn takes."""
    began = time.process_time()
    work(data)
    return time.process_time() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    asked = book.asked(parser)
    data, size = corpus(asked.documents)
    assert ours(data) == standard(data)
    turns = [(seconds(ours, data), seconds(standard, data)) for _ in range(TURNS)]
    mine, other = (min(each) for each in zip(*turns, strict=True))
    print(f"{size / 1e6:,.1f} MB of lines, {len(data) / 1e6:,.1f} MB compressed")
    print(f"our reader:               {size / mine / 1e6:6,.0f} MB/s of one core")
    print(f"gzip and json (standard): {size / other / 1e6:6,.0f} MB/s of one core")
    print(f"ratio: {other / mine:.2f}")
    speeds = [size / spent / 1e6 for spent, _ in turns]
    ratios = [theirs / spent for spent, theirs in turns]
    book.record(
        asked,
        Figure.over("jsonl.gz read by a core", speeds, "MB/s", runs="turns", at_least=150.0),
        Figure.over(
            "jsonl.gz read by a core",
            ratios,
            "",
            "gzip and json of the standard library",
            runs="turns",
        ),
    )


if __name__ == "__main__":
    main()
