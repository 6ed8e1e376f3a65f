"""Personal data: documents a second, against one substitution of e-mail addresses.

    python -m bench.privacy [--documents 5000]

Documents are of web texts' length, with numbers, dates and links as they have them; one in ten
holds personal data. The last lines double a text that is made to be slow: a ratio of 2 is linear.
"""

import argparse
import random
import re
import time
from collections.abc import Callable

from backtrans.corpus.privacy import Privacy, PrivacySettings, Treated
from bench import book
from bench.book import Figure

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")

WORDS = (
    "the tea is made with hot water and a little milk in most houses of this town while others take"
    " it cold after a long walk along the river on days without rain or work at home"
).split()
ASIDES = (
    "In 1990-2000 it cost $1,299.99.",
    "See https://acme.io/tea?page=2 for more: it is short.",
    "On 2023-04-07 at 12:30 they won 3-2-1.",
    "It is the key to all, version 2.10.3 says (p. 12).",
)
DATA = ("jane.doe@acme.io", "+44 20 7946 0958", "(415) 555-2671", "81.2.69.142", "4111111111111111")
HOSTILE = (
    "a.",
    "a@a.",
    "token=",
    "+1 ",
    "-----BEGIN PRIVATE KEY-----",
    "1.1.1.1.",
    "eyJaaaaaaaaaa.",
)


def made(documents: int) -> list[str]:
    """Return documents of about 2,000 characters."""
    draw = random.Random(7)
    texts = []
    for number in range(documents):
        sentences = []
        for _ in range(28):
            sentences.append(" ".join(draw.choices(WORDS, k=14)).capitalize() + ".")
            if draw.random() < 0.15:
                sentences.append(draw.choice(ASIDES))
        if number % 10 == 0:
            sentences.insert(draw.randrange(28), f"Write to {draw.choice(DATA)}.")
        texts.append(" ".join(sentences))
    return texts


def seconds(work: Callable[[str], object], texts: list[str]) -> float:
    """Return the least time of three over all texts."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for text in texts:
            work(text)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    asked = book.asked(parser)
    texts = made(asked.documents)
    privacy = Privacy(PrivacySettings(card="mask", secret="mask"))  # noqa: S106
    outcomes = [privacy.treat(text) for text in texts]
    masked = sum(isinstance(each, Treated) and bool(each.found) for each in outcomes)
    chars = sum(map(len, texts)) / len(texts)
    print(f"{len(texts):,} documents of {chars:,.0f} characters, {masked:,} with personal data")
    one = seconds(lambda text: EMAIL.sub("[email]", text), texts)
    every = seconds(privacy.treat, texts)
    print(f"one substitution of e-mail {len(texts) / one:10,.0f} documents/s")
    print(f"every kind                 {len(texts) / every:10,.0f} documents/s")
    print(f"every kind / one substitution: {every / one:.2f} of the time")
    doubled = []
    for piece in HOSTILE:
        half, whole = (
            seconds(privacy.treat, [piece * (chars // len(piece))])
            for chars in (500_000, 1_000_000)
        )
        print(f"1 MB / 0.5 MB of {piece[:12]!r:16} {whole / half:.2f} ({whole:.2f} s)")
        doubled.append(whole / half)
    best = "best of three"
    book.record(
        asked,
        Figure("every kind of personal data", len(texts) / every, "documents/s", runs=best),
        Figure("time for every kind", every / one, "", "one substitution of e-mail", runs=best),
        Figure("the slowest text, doubled", max(doubled), "", "the time of its half", runs=best),
    )


if __name__ == "__main__":
    main()
