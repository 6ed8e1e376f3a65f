"""The judge alone, in a world whose truth is known: is a score ever lost, what does it cost?

    python -m bench.judging [--pairs 10000] [--pool 2000]

One model plays every judge: the micro-world's M_0, merged, on the real vLLM.

(a) So many pairs in a row, in the constrained form and in the reasoned one with the recipe's own
    sampling: how many have no score. (b) Both on one engine, five hundred pairs each in turn: rows
    a second, and the AUC of a true five against the rest; and the reasoned form once more without
    sampling, on a part of them.

(c) A cascade. The cheap judge decodes the digit; the dear one writes its reasons first, and is
    asked for the likelihood of the response too, so that its A5 is an expectation of 4.5 with a
    least likely token over the demo's floor (`microworld.calibrate`). When a pair goes on is chosen
    on the calibration world: of all intervals of expectations the one that sends the fewest on, of
    those that lose at most half a point of the dear judge's precision there (frugal), and at most
    two points of its recall, too (faithful). Measured on another world, whose pool has as many good
    pairs as the paper's labelled sample, 20% (2308.06259, section 3.5), or as `--good` says: its A5
    is 8.3% of what was scored (table 2). Tokens are those read and written; computed ones leave out
    what was read from the prefix cache.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from backtrans.conversing import Tally
from backtrans.engines.engine import Engine
from backtrans.ledger import Usage
from backtrans.microworld.adapt import TRAININGS, adapters
from backtrans.microworld.calibrate import CALIBRATION_SEED
from backtrans.microworld.merge import merge
from backtrans.microworld.verdict import auc
from backtrans.microworld.world import RatedPair, World
from backtrans.recipe import Model, Sampling, Score
from backtrans.records import Reject, Row
from backtrans.serving import answers, engine_settings, score_role, serving
from bench import book
from bench.book import Figure
from bench.cascades import (
    CHEAP,
    DEAR,
    GREEDY,
    MAX_TOKENS,
    OPTIONS,
    Outcome,
    cascaded,
    chosen_intervals,
    expectation,
    figures,
    reckoned,
    taken,
    tokens,
    tokens_of,
)

SEED = 41_003
"""The worlds of these figures. Nothing was trained, tuned or calibrated on them."""

TURN = 500
GOOD_SHARE = 0.2
RUN = "frugal"

SAMPLED = Score(form="reasoned", sampling=Sampling(max_tokens=MAX_TOKENS))
REASONED = Score(form="reasoned", sampling=GREEDY)


def rated(seed: int, count: int) -> list[RatedPair]:
    """Draw held-out pairs, as often off as the backward model is."""
    forward = TRAININGS[1]
    return World(seed).rated_pairs(
        count, split="heldout", near_share=forward.near_share, far_share=forward.far_share
    )


def pool(seed: int, count: int, share: float) -> list[RatedPair]:
    """Draw pairs of which so large a share is good: good ones beyond it are left out."""
    found: list[RatedPair] = []
    good = 0
    for pair in rated(seed, 4 * count):
        if pair.rating == 5:
            if good >= share * (len(found) + 1):
                continue
            good += 1
        found.append(pair)
        if len(found) == count:
            break
    return found


def ask(engine: Engine, score: Score, pairs: Sequence[RatedPair]) -> tuple[list[Outcome], Usage]:
    """Judge pairs; return what came and what it cost, with the time it took."""
    tally, began = Tally(), time.monotonic()
    rows: list[Row] = [
        {"id": str(number), "instruction": pair.instruction, "text": pair.output}
        for number, pair in enumerate(pairs)
    ]
    found = answers(engine, score_role(score, None), rows, tally)
    return found, tally.usage(time.monotonic() - began)


def judged_in_a_row(engine: Engine, count: int) -> list[Figure]:
    """Print (a) and (b); return what the book has of them."""
    pairs = rated(SEED, count)
    forms = {"constrained": CHEAP, "reasoned": SAMPLED}
    outcomes: dict[str, list[Outcome]] = {name: [] for name in forms}
    speeds: dict[str, list[float]] = {name: [] for name in forms}
    for score in (*forms.values(), REASONED):
        ask(engine, score, rated(SEED + 1, 32))  # to warm up
    for start in range(0, count, TURN):
        turn = pairs[start : start + TURN]
        for name, score in forms.items():
            found, usage = ask(engine, score, turn)
            outcomes[name] += found
            speeds[name].append(len(turn) / usage.seconds)
    recorded = []
    for name, found in outcomes.items():
        lost = sum(isinstance(each, Reject) for each in found)
        again = sum(each.get("form") == "second_ask" for each in found if isinstance(each, dict))
        print(
            f"{name:12} {len(found):,} pairs, {lost:,} without a score"
            + (f"; {again:,} whose reasons gave none, and were asked again" if again else "")
            + f"; {statistics.median(speeds[name]):.1f} rows/s;"
            f" AUC {area(found, pairs):.3f}",
            flush=True,
        )
        pairs_said = f"{len(found):,} pairs"
        recorded += [
            Figure(f"{name}: pairs without a score", float(lost), runs=pairs_said, at_most=0.0),
            Figure(f"{name}: AUC of a true five", area(found, pairs), runs=pairs_said),
        ]
    ratio = [a / b for a, b in zip(speeds["constrained"], speeds["reasoned"], strict=True)]
    print(f"constrained / reasoned: {statistics.median(ratio):.2f} of the rows/s, turn by turn")
    part = pairs[: 2 * TURN]
    fast, slow = (ask(engine, score, part) for score in (CHEAP, REASONED))
    print(
        f"constrained / reasoned without sampling: {slow[1].seconds / fast[1].seconds:.2f} of the"
        f" rows/s ({len(part):,} pairs; AUC {area(slow[0], part):.3f})",
        flush=True,
    )
    beside = "the reasoned form, sampled"
    recorded.append(
        Figure.over("constrained: rows/s", ratio, "", beside, runs="turns", at_least=3.0)
    )
    return recorded


def area(found: Sequence[Outcome], pairs: Sequence[RatedPair]) -> float:
    scored = [
        (value, pair.rating == 5)
        for each, pair in zip(found, pairs, strict=True)
        if (value := expectation(each)) is not None
    ]
    return auc(scored) or 0.0


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--pool", type=int, default=2000)
    parser.add_argument("--calibration", type=int, default=2000)
    parser.add_argument("--good", type=float, default=GOOD_SHARE)
    parser.add_argument("--cache", type=Path, help="Where the adapters are kept.")
    asked, recorded = book.asked(parser), []
    warnings.simplefilter("ignore")  # of what vLLM and torch warn while they load
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        trained = adapters(asked.cache or Path(name))
        folder = merge(trained.base, trained.forward, Path(name) / "merged-forward")
        model = Model(path=str(folder), max_model_tokens=1024, dtype="float32")
        known = pool(CALIBRATION_SEED, asked.calibration, asked.good)
        pairs = pool(SEED + 2, asked.pool, asked.good)
        with serving(engine_settings({"judge": model}, OPTIONS)) as engine:
            if asked.pairs:
                recorded += judged_in_a_row(engine, asked.pairs)
            if not asked.pool:
                book.record(asked, *recorded)
                return
            intervals = chosen_intervals(
                ask(engine, CHEAP, known)[0], ask(engine, DEAR, known)[0], known
            )
            alone = {
                "cheap alone": ask(engine, CHEAP, pairs),
                "dear alone": ask(engine, DEAR, pairs),
            }
        good = sum(pair.rating == 5 for pair in pairs) / len(pairs)
        print(f"a cascade over {len(pairs):,} pairs, {good:.1%} of them true fives")
        for title, (found, usage) in alone.items():
            show(title, [taken(each) for each in found], pairs, tokens(usage), usage.seconds)
        cheap, dear = alone["cheap alone"], alone["dear alone"]
        theirs = figures([taken(each) for each in dear[0]], pairs)
        for title, interval in intervals.items():
            if title == RUN:
                takes, account, seconds = cascaded(model, interval, pairs)
                spent, on = tokens_of(account), account.sent_on
            else:
                takes, spent, seconds, on = reckoned(interval, cheap, dear)
                title += " *"
            ours = show(title, takes, pairs, spent, seconds)
            saved = [1 - a / b for a, b in zip(spent, tokens(dear[1]), strict=True)]
            print(
                f"  {interval[0]:g} to {interval[1]:g} goes on: {on:,} pairs; against dear alone"
                f" saved: {saved[0]:.1%} of the tokens, {saved[1]:.1%} of those computed,"
                f" {1 - seconds / dear[1].seconds:.1%} of the time;"
                f" {100 * (theirs[0] - ours[0]):+.2f} points of precision lost,"
                f" {100 * (theirs[1] - ours[1]):+.2f} of recall",
                flush=True,
            )
            if title == RUN:
                beside, of = "the dear judge alone", f"{len(pairs):,} pairs, {good:.0%} good"
                lost = [100 * (a - b) for a, b in zip(theirs, ours, strict=True)]
                recorded += [
                    Figure(
                        "cascade: tokens saved", 100 * saved[0], "%", beside, runs=of, at_least=50.0
                    ),
                    Figure("cascade: computed tokens saved", 100 * saved[1], "%", beside, runs=of),
                    Figure(
                        "cascade: precision of A5 lost",
                        lost[0],
                        "points",
                        beside,
                        runs=of,
                        at_most=1.0,
                    ),
                    Figure("cascade: recall lost", lost[1], "points", beside, runs=of),
                ]
        print("* not run: reckoned from what both judges said above, and their mean cost")
    book.record(asked, *recorded)


def show(
    title: str,
    takes: Sequence[bool],
    pairs: Sequence[RatedPair],
    spent: tuple[int, int],
    seconds: float,
) -> tuple[float, float]:
    """Print a judge's figures; return precision and recall."""
    precision, recall = figures(takes, pairs)
    print(
        f"{title:12} A5 precision {precision:.1%} at recall {recall:.1%};"
        f" {spent[0] / len(pairs):.0f} tokens a pair, {spent[1] / len(pairs):.0f} computed;"
        f" {len(pairs) / seconds:.1f} pairs/s",
        flush=True,
    )
    return precision, recall


if __name__ == "__main__":
    main()
