"""Filtering: documents a CPU-second for each family, ours and datatrove's on the same words.

    python -m bench.filters [--documents 2000]

Texts are generated prose of 600 to 3,000 characters, as most segments are, which keeps every rule
looking; and documents on both sides of every threshold, most of which some rule refuses. Both sides
take what white space separates for words, which costs next to nothing. datatrove's filters are
asked one after another until one refuses, as a pipeline of them does.
"""

import argparse
import time
from collections.abc import Callable

from datatrove.data import Document as TheirDocument

from backtrans.corpus.document import Document
from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.fineweb import FineWebSettings
from backtrans.corpus.filters.ordered import FAMILIES, Filters, FilterSettings
from bench import book
from bench.book import Figure
from tests.filters import generated, oracle

COMPARED = ("c4", "fineweb", "gopher_quality", "gopher_repetition")
ROUNDS = 5


def seconds_of(judge: Callable[[str], bool], texts: list[str]) -> float:
    """Return the CPU-seconds that all texts take."""
    began = time.process_time()
    for text in texts:
        judge(text)
    return time.process_time() - began


def ours(families: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a judge by our rules."""
    # Of repeated characters FineWeb's code, which datatrove is, allows less than its paper.
    fineweb = FineWebSettings(max_duplicate_chars=0.01)
    filters = Filters(FilterSettings(families=families, fineweb=fineweb))
    document = Document(text="", url="https://www.example.org/a", metadata='{"bucket":"head"}')
    return lambda text: filters.why(Candidate(text, document)) is None


def theirs(families: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a judge by datatrove's filters."""
    made = oracle.filters()
    filters = [made[family] for family in families]

    def judge(text: str) -> bool:
        # C4's filter writes the text that it leaves into the document; the others want it whole.
        return all(each.filter(TheirDocument(text=text, id="d")) is True for each in filters)

    return judge


def speeds(families: tuple[str, ...], texts: list[str]) -> list[tuple[float, ...]]:
    """Return documents a CPU-second in each round, ours and theirs in turn."""
    judges = [ours(families)]
    if set(families) <= set(COMPARED):
        judges.append(theirs(families))
    for judge in judges:
        seconds_of(judge, texts[:20])  # loads what is loaded late
    return [tuple(len(texts) / seconds_of(judge, texts) for judge in judges) for _ in range(ROUNDS)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000)
    asked, figures = book.asked(parser), []
    for name, texts in (
        ("prose", generated.segments(asked.documents)),
        ("every threshold", generated.documents(asked.documents)),
    ):
        chars = sum(map(len, texts)) / len(texts)
        print(f"{name}: {len(texts):,} texts, {chars:,.0f} characters on average")
        print(f"  {'documents a CPU-second':24} {'ours':>9} {'datatrove':>9} {'ratio':>6}")
        for family in (*FAMILIES, "all four of datatrove"):
            of = COMPARED if family not in FAMILIES else (family,)
            rounds = speeds(of, texts)
            mine, *others = (max(column) for column in zip(*rounds, strict=True))
            beside = "".join(f" {other:9,.0f} {mine / other:6.1f}" for other in others)
            print(f"  {family:24} {mine:9,.0f}{beside}")
        ratios = [one / other for one, other in rounds]  # of the last: all four together
        what = f"c4, fineweb and both of gopher on {name}"
        figures.append(Figure.over(what, ratios, "", "datatrove's filters", at_least=3.0))
    book.record(asked, *figures)


if __name__ == "__main__":
    main()
