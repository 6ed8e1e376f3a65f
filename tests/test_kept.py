"""The benchmark of engine-seconds a kept pair: its corpus, its naive judge, and what it counts."""

from collections import Counter
from pathlib import Path

import pytest

from backtrans.dialogue import Reply
from backtrans.ledger import Usage
from backtrans.records import Reject
from bench import recipes, web

SEED = 61_001  # not the benchmark's world

PAGES = web.crawl(SEED, 400)


def test_a_crawl_is_half_junk_a_quarter_copies_and_the_same_each_time() -> None:
    assert Counter(page.sort for page in PAGES) == {"junk": 200, "page": 100, "copy": 100}
    assert web.crawl(SEED, 400) == PAGES


def test_selecting_refuses_the_junk_and_nearly_every_copy(tmp_path: Path) -> None:
    left, refused, _ = web.selected(PAGES, tmp_path)
    chosen = [page for page in PAGES if page.id in left]
    junk = sum(page.sort == "junk" for page in chosen)
    assert junk <= 0.02 * 200
    # A menu changes a short page by more than the threshold lets pass.
    assert len(chosen) - len({page.origin for page in chosen}) <= 0.02 * 100
    assert len(chosen) > 0.5 * 100
    assert len(chosen) + refused.total() == len(PAGES)


@pytest.mark.parametrize(
    ("text", "digit"),
    [
        ("Clear and whole.\nScore: 5", 5),
        ("score:4, since the year is wrong", 4),
        ("Score: 5 at first, but then\nScore: 2", 5),
        ("From a page of Score: 1986", 1986),
        ("Five of five.", None),
    ],
)
def test_the_naive_judge_reads_the_first_number_after_score(text: str, digit: int | None) -> None:
    dialogue = recipes.Reviewed().converse({"instruction": "Why?", "text": "Because."})
    next(dialogue)
    with pytest.raises(StopIteration) as ended:
        dialogue.send([Reply(text=text)])
    found = ended.value.value
    assert isinstance(found, Reject) if digit is None else found == {"digit": digit}


def test_a_kept_pair_costs_what_all_pairs_cost_and_copies_are_good_once() -> None:
    clean = next(page for page in PAGES if page.sort == "page" and page.truth.quality == 5)
    row = {"page": clean, "instruction": clean.truth.instruction}
    rows = [row, row, {**row, "instruction": "Something else?"}, row]
    step = recipes.steps()[0]
    step.add(
        Usage(seconds=4.0),
        Usage(seconds=2.0),
        rows,
        [{"digit": 5}, {"digit": 5}, {"digit": 5}, {"digit": 4}],
    )
    assert (step.kept, step.true, step.good) == ([3], 2, [1])
    assert (step.seconds("kept"), step.seconds("good")) == (2.0, 6.0)
    lost = Reject("digit_improbable")
    step.add(Usage(seconds=1.0), Usage(), [row], [lost])
    assert (step.judged, step.lost, step.kept) == (5, 1, [3, 0])
