"""A row of which engines die is found by halves, whatever else dies, and all others are asked."""

import math
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.engines.scripted import EXIT, KILL
from backtrans.entries import Searched
from backtrans.pipeline import Pipeline
from backtrans.searching import MAX_SEARCHES, Search
from tests.jobs import Silent, config, document, published, write_jsonl


class Engine:
    """Dies of some rows; and, of nothing, at some of the groups that it is asked about."""

    def __init__(self, lethal: set[str], dies_at: frozenset[int] = frozenset()) -> None:
        self.lethal = lethal
        self.dies_at = dies_at
        self.groups = self.deaths = 0
        self.written = Searched()

    def search_once(self, ids: list[str]) -> tuple[set[str], set[str]] | None:
        """Search as one process does: what came through, and what is lethal; None if it died."""
        search, came = Search(self.written), set[str]()
        for group in search.groups(ids):
            self.written = search.asking(group)
            self.groups += 1
            if self.lethal & set(group) or self.groups in self.dies_at:
                self.deaths += 1
                return None
            assert not came & set(group), "a row that came through is asked again"
            came |= set(group)
        return came, set(search.lethal)

    def search(self, ids: list[str]) -> tuple[set[str], set[str]]:
        while (found := self.search_once(ids)) is None:
            assert self.deaths < 200, "the search does not end"
        return found


ROWS = st.integers(1, 200).map(lambda n: [f"r{k}" for k in range(n)])


@given(ROWS, st.data())
def test_each_lethal_row_is_found_and_every_other_one_asked(
    rows: list[str], data: st.DataObject
) -> None:
    lethal = data.draw(st.sets(st.sampled_from(rows), max_size=3))
    engine = Engine(lethal)
    assert engine.search(rows) == (set(rows) - lethal, lethal)
    assert engine.deaths <= len(lethal) * (math.ceil(math.log2(len(rows) + 1)) + 1)


@given(ROWS, st.frozensets(st.integers(1, 12), max_size=3))
def test_where_an_engine_dies_of_no_row_now_and_then_the_search_ends_and_loses_none(
    rows: list[str], dies_at: frozenset[int]
) -> None:
    came, lethal = Engine(set(), dies_at).search(rows)
    assert came | lethal == set(rows)
    assert len(lethal) <= len(dies_at)


def test_two_lethal_rows_of_a_usual_shard_are_found_within_the_bound() -> None:
    rows = [f"r{k}" for k in range(1024)]
    engine = Engine({"r0", "r1023"})
    engine.search(rows)
    assert engine.deaths < MAX_SEARCHES


def test_a_search_of_other_rows_than_those_written_down_begins_anew() -> None:
    came, lethal = set[str](), Search(Searched(asked=("gone", "too")))
    for group in lethal.groups(["a", "b"]):
        came |= set(group)
    assert (came, lethal.lethal) == ({"a", "b"}, ())


@pytest.mark.parametrize(
    ("runtime", "marker"),
    [
        ("local", KILL),
        pytest.param("ray", KILL, marks=[pytest.mark.ray, pytest.mark.slow]),
        pytest.param("ray", EXIT, marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
)
def test_of_a_shard_with_a_row_that_kills_its_engine_all_others_are_delivered(
    tmp_path: Path, runtime: str, marker: str
) -> None:
    documents = [document(n) for n in range(24)]
    write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", documents)
    whole = Pipeline(config(tmp_path, placement__root="whole"))
    whole.run(Silent())
    documents[11]["text"] += f" {marker}"
    write_jsonl(tmp_path / "corpus/part-0.jsonl.gz", documents)
    pipeline = Pipeline(
        config(
            tmp_path,
            recipe__deduplicate={"enabled": False},
            placement__runtime=runtime,
            placement__engine={"device": "cpu"},
        )
    )
    summary = pipeline.run(Silent())
    assert summary.quarantined == []
    [refused] = pipeline.rejects("backtranslate", ["engine_died"])
    assert refused.row == 11, asdict(refused)
    lost = {row["document_id"] for row in published(whole)} - {
        row["document_id"] for row in published(pipeline)
    }
    assert lost <= {documents[11]["id"]}
