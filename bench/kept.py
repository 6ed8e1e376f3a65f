"""Engine-seconds a kept pair: the naive recipe against the default one, step by step.

    python -m bench.kept [--pages 2400] [--rounds 4]

Pages as a crawl finds them (`bench.web`: half junk, a quarter copies), tiny models whose truth is
known, real vLLM. On GPUs an engine-second is so many GPU-seconds as the engine has GPUs.

- *naive*: what the papers' two prompts make of any corpus. An instruction for every page, then
  reasons and a score in free text, of which the first number after "score:" is read; 5 is kept. So
  does the open implementation (Spico197/Humback), by one call of `LLM.generate` at temperature 0.7
  and top_p 0.9. That it takes up to 512 tokens for a review, of which a judge who does not come to
  an end writes all, is not held against it: 96 are allowed here, where a review has some 30.
- *+ selection*: the same, of what is left by rules and by deduplication on CPUs. This is nearer to
  Humpback itself (2308.06259), which selects its segments too, and to corpora that others cleaned.
- *+ the digit*: the digit is decoded under constraint, and an expectation of 4.5 is kept. This is
  the default recipe, with the filters of the README's configuration.
- *+ a floor*: the demo's recipe, with a floor under the response's least likely token.

All steps have the same two engines, prompts with the rubric first, and vLLM's prefix cache, and
hand over all rows of a turn at once: how rows are handed over is what `bench.throughput` measures.
Turns are in another order in each round, each with an empty prefix cache. Of a kept pair the truth
says whether the page is clean and the instruction its own; copies of one page count once as *good*.

Lengths are this world's, a seventh of the web's: so are `min_chars` and `min_words`. No threshold
was chosen on these pages. This world is kind to the naive side: its judge was trained to end in a
score, and its reviews are short. The open implementation lost 45% of its scores.
"""

import argparse
import itertools
import statistics
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from backtrans.conversing import Tally
from backtrans.dialogue import Generate
from backtrans.engines.vllm_engine import VllmEngine
from backtrans.ledger import Usage
from backtrans.microworld.adapt import adapters
from backtrans.microworld.merge import merge
from backtrans.placement import EngineOptions
from backtrans.recipe import Model
from backtrans.records import Reject, Row
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.role import Role
from backtrans.serving import answers, engine_settings
from bench import book, web
from bench.book import Figure
from bench.recipes import DEFAULT, Outcome, Step, steps
from bench.web import Page

SEED = 63_001
"""The world of these figures. Nothing was trained, tuned or calibrated on it."""

MAX_INSTRUCTION = 48
OPTIONS = EngineOptions(device="cpu", eager=True, max_batched_tokens=4096)
GOAL = 5.0

# ---------------------------------------------------------------------- asking


def ask(engine: VllmEngine, role: Role, rows: Sequence[Row]) -> tuple[list[Outcome], Usage]:
    """Ask about all rows at once, with an empty prefix cache."""
    # No part of what an engine promises: without it, who asks second reads what the first computed.
    assert engine._core is not None
    engine._own.wait(engine._core.reset_prefix_cache())
    tally, began = Tally(), time.monotonic()
    found = answers(engine, role, rows, tally)
    return found, tally.usage(time.monotonic() - began)


def opened(model: Path) -> VllmEngine:
    """Open an engine, and ask it something, so that what is compiled late is compiled."""
    settings = engine_settings(
        {"model": Model(path=str(model), max_model_tokens=1024, dtype="float32")}, OPTIONS
    )
    engine = VllmEngine(settings)
    rows: list[Row] = [
        {"id": str(n), "text": f"Page {n} is about lamps.", "instruction": "What is it about?"}
        for n in range(32)
    ]
    for role in (Backtranslate(Generate(MAX_INSTRUCTION, 0.0)), *(step.judge for step in steps())):
        answers(engine, role, rows)
    return engine


def measured(
    rounds: Sequence[Sequence[Page]], left: set[str], models: Sequence[Path]
) -> list[Step]:
    """Go through all rounds, with one engine and then with the other."""
    found = steps()
    asked: list[dict[bool, tuple[list[Row], Usage]]] = []
    role = Backtranslate(Generate(MAX_INSTRUCTION, 0.0))
    engine = opened(models[0])
    try:
        for number, pages in enumerate(rounds):
            asked.append({})
            for which in (False, True) if number % 2 else (True, False):
                rows: list[Row] = [
                    {"id": page.id, "text": page.text, "page": page}
                    for page in pages
                    if page.id in left or not which
                ]
                said, usage = ask(engine, role, rows)
                pairs = [
                    row | each
                    for row, each in zip(rows, said, strict=True)
                    if not isinstance(each, Reject)
                ]
                asked[-1][which] = pairs, usage
    finally:
        engine.close()
    engine = opened(models[1])
    try:
        for number, pairs_of in enumerate(asked):
            turn = number % len(found)
            for step in (*found[turn:], *found[:turn]):
                pairs, before = pairs_of[step.is_selected]
                said, usage = ask(engine, step.judge, pairs)
                step.add(before, usage, pairs, said)
    finally:
        engine.close()
    return found


# ---------------------------------------------------------------------- telling


def shown(found: Sequence[Step]) -> list[str]:
    """Return the table, a line each."""
    lines = [
        "| step | pairs judged | without a score | kept | of them true | good, once each |"
        " engine-s of instructions | of judging | engine-s a kept pair | a good one |"
        " computed tokens a kept pair | naive / this, kept | good |",
        "|" + " --- |" * 13,
    ]
    naive = found[0]
    for step in found:
        kept, good = sum(step.kept), sum(step.good)
        cells = (
            step.name,
            f"{step.judged:,}",
            f"{step.lost / max(1, step.judged):.1%}",
            f"{kept:,}",
            f"{step.true / max(1, kept):.1%}",
            f"{good:,}",
            f"{sum(usage.seconds for usage in step.usages) - step.judging_seconds:.1f}",
            f"{step.judging_seconds:.1f}",
            f"{step.seconds('kept'):.4f}",
            f"{step.seconds('good'):.4f}",
            f"{step.computed('kept'):,.0f}",
            f"{naive.seconds('kept') / step.seconds('kept'):.2f}",
            f"{naive.seconds('good') / step.seconds('good'):.2f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def figures(found: Sequence[Step]) -> list[Figure]:
    """Return what the book has of it."""
    naive = found[0]
    default = next(step for step in found if step.name == DEFAULT)
    runs = f"{len(naive.kept)} rounds"
    recorded = []
    for of, what in (("kept", "kept pair"), ("good", "good pair")):
        ratios = [a / b for a, b in zip(naive.each(of), default.each(of), strict=True)]
        value = naive.seconds(of) / default.seconds(of)
        name = f"engine-seconds a {what}, naive"
        spread = (min(ratios), max(ratios), runs)
        recorded.append(Figure(name, value, "", "the default recipe", *spread, at_least=GOAL))
    for before, step in itertools.pairwise(found):
        ratios = [a / b for a, b in zip(before.each("kept"), step.each("kept"), strict=True)]
        value = before.seconds("kept") / step.seconds("kept")
        name = f"engine-seconds a kept pair before {step.name}"
        recorded.append(Figure(name, value, "", "after it", min(ratios), max(ratios), runs))
    tokens = naive.computed("kept") / default.computed("kept")
    recorded.append(Figure("computed tokens a kept pair, naive", tokens, "", "the default recipe"))
    for step in found:
        kept = max(1, sum(step.kept))
        recorded.append(
            Figure(f"{step.name}: kept pairs that are true", 100 * step.true / kept, "%")
        )
        recorded.append(Figure(f"{step.name}: good pairs", float(sum(step.good))))
        recorded.append(
            Figure(f"{step.name}: a kept pair", 1000 * step.seconds("kept"), "engine-ms")
        )
    lost = 100 * naive.lost / max(1, naive.judged)
    recorded.append(Figure("naive: scores that were not found", lost, "%"))
    return recorded


def main() -> None:
    """Select, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2400)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--cache", type=Path, help="Where the adapters are kept.")
    asked = book.asked(parser)
    warnings.simplefilter("ignore")  # of what vLLM and torch warn while they load
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        folder = Path(name)
        trained = adapters(asked.cache or folder / "models")
        models = [
            merge(trained.base, each, folder / f"merged-{each.name}")
            for each in (trained.backward, trained.forward)
        ]
        pages = web.crawl(SEED, asked.pages)
        left, refused, cpu_seconds = web.selected(pages, folder)
        sorts = Counter(page.sort for page in pages)
        still = Counter(page.sort for page in pages if page.id in left)
        for sort, count in sorts.items():
            length = statistics.mean(len(page.text) for page in pages if page.sort == sort)
            print(f"{sort}: {count:,} of {length:.0f} characters, {still[sort]:,} are selected")
        for reason, count in refused.most_common():
            print(f"  {reason}: {count:,}")
        clean = [
            page.id in left for page in pages if page.sort == "page" and page.truth.quality == 5
        ]
        print(f"of clean pages {statistics.mean(clean):.1%} are selected")
        print(f"selecting took {cpu_seconds:.1f} CPU-s and no engine", flush=True)
        # Copies of one page are in one round, or each round would keep one of them as good.
        order = sorted({page.origin for page in pages})
        place = {origin: number % asked.rounds for number, origin in enumerate(order)}
        rounds = [[p for p in pages if place[p.origin] == n] for n in range(asked.rounds)]
        found = measured(rounds, left, models)
    for line in shown(found):
        print(line)
    book.record(asked, *figures(found))


if __name__ == "__main__":
    main()
