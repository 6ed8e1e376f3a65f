"""Contamination: documents a second against 100,000 evaluation rows, and bytes a run of words.

    python -m bench.contamination [--rows 100000] [--documents 2000]

The ratios are against the plain way, a Python set of tuples of 13 words, in the same run. Words are
drawn as in natural text, the frequent ones most.
"""

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from backtrans.corpus.contamination import NGrams
from backtrans.corpus.evaluation import EvaluationSet
from backtrans.corpus.words import words
from bench import book
from bench.book import Figure

N = 13


def made(count: int, length: int, seed: int) -> list[str]:
    """Return texts of so many words."""
    draw = np.random.default_rng(seed)
    vocabulary = np.array([f"w{number:x}" for number in range(50_000)])
    numbers = np.minimum(draw.zipf(1.2, size=(count, length)) - 1, 49_999)
    return [" ".join(row).capitalize() + "." for row in vocabulary[numbers]]


def tuples(text: str) -> list[tuple[str, ...]]:
    """Return a text's runs of words, the plain way."""
    found = words(text)
    return [tuple(found[i : i + N]) for i in range(len(found) - N + 1)]


def seconds(way: Callable[[str], object], texts: list[str]) -> float:
    """Return the time that a way takes over all texts."""
    began = time.perf_counter()
    for text in texts:
        way(text)
    return time.perf_counter() - began


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--documents", type=int, default=2_000)
    asked = book.asked(parser)
    rows = [(text,) for text in made(asked.rows, 60, 1)]
    documents = made(asked.documents, 350, 2)
    for number in range(0, asked.documents, 100):
        documents[number] += " " + rows[number][0].upper()

    began = time.perf_counter()
    index = NGrams.of([EvaluationSet("made", rows)])
    built = time.perf_counter() - began
    hits = sum(index.match(text) is not None for text in documents)

    # A tenth of the rows, for the plain way's memory: its bytes a tuple are the same for more.
    few = rows[: max(1, asked.rows // 10)]
    tracemalloc.start()
    plain = {each for (text,) in few for each in tuples(text)}
    plain_bytes = tracemalloc.get_traced_memory()[0] / len(plain)
    tracemalloc.stop()
    # In turns, and the least of five, since other work on the machine comes and goes.
    ways: tuple[Callable[[str], object], ...] = (
        index.match,
        lambda text: any(each in plain for each in tuples(text)),
        words,
    )
    times = [[seconds(way, documents) for way in ways] for _ in range(5)]
    ours, theirs, split = (min(column) for column in zip(*times, strict=True))

    planted = asked.documents // 100
    run_bytes = index.nbytes / len(index)
    print(f"{asked.rows:,} rows, {len(index):,} runs, built in {built:.1f} s")
    print(f"{hits:,} of {len(documents):,} documents hold a row; {planted:,} were made so")
    print(f"index {len(documents) / ours:8,.0f} documents/s {run_bytes:6.1f} bytes a run")
    print(f"set   {len(documents) / theirs:8,.0f} documents/s {plain_bytes:6.1f} bytes a run")
    print(f"words {len(documents) / split:8,.0f} documents/s, the least that either can take")
    print(f"set / index: {theirs / ours:.2f} in time, {plain_bytes / run_bytes:.1f} in memory")
    plain_way, best = "the index; the plain way is a set of tuples", "best of 5"
    book.record(
        asked,
        Figure("documents looked through", len(documents) / ours, "documents/s", runs=best),
        Figure("the plain way's time", theirs / ours, "", plain_way, runs=best),
        Figure("the plain way's memory", plain_bytes / run_bytes, "", plain_way),
    )


if __name__ == "__main__":
    main()
