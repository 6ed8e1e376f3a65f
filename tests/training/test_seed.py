"""Seeds: every row is a pair or has a reason; what is no seed is an error that names its place."""

import gzip
import io
import json
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from backtrans.dialogue import Message
from backtrans.errors import InputError
from backtrans.training.pairs import Exchange, Refused, TrainingPair
from backtrans.training.seed import SeedSettings, read_exchanges, read_pairs

ROWS = [{"instruction": "Say hi.", "output": "Hi!"}, {"instruction": "Say ho.", "output": "Ho!"}]
PAIRS = [TrainingPair("Say hi.", "Hi!"), TrainingPair("Say ho.", "Ho!")]


MANY = [{"instruction": str(Random(k).random()), "output": "a"} for k in range(500)]


def jsonl(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def parquet(rows: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def pairs(data: bytes, name: str = "seed.jsonl", **settings: Any) -> list[TrainingPair | Refused]:
    return list(read_pairs(io.BytesIO(data), name, SeedSettings(**settings)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", jsonl(ROWS)),
        ("a.jsonl.gz", gzip.compress(jsonl(ROWS))),
        ("a.jsonl.zst", zstandard.compress(jsonl(ROWS))),
        ("a.parquet", parquet(ROWS)),
    ],
)
def test_pairs_are_read_from_every_form(name: str, data: bytes) -> None:
    assert pairs(data, name) == PAIRS


def test_columns_may_have_other_names() -> None:
    rows = [{"prompt": "Say hi.", "answer": "Hi!", "id": 7}]
    columns = {"instruction": "prompt", "output": "answer"}
    assert pairs(jsonl(rows), columns=columns) == PAIRS[:1]


@pytest.mark.parametrize("write", [jsonl, parquet])
def test_other_columns_are_an_error_that_names_the_file_and_what_is_there(write: Any) -> None:
    with pytest.raises(InputError) as error:
        pairs(write([{"prompt": "Say hi.", "output": "Hi!"}]), "my seed")
    said = str(error.value)
    assert said.startswith("my seed: row 1: has no column instruction; it has output, prompt")
    assert "columns: {instruction:" in said


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"instruction": "Say hi.", "output": " \n"}, "empty"),
        ({"instruction": None, "output": "Hi!"}, "not_text"),
        ({"instruction": "Say hi.", "output": 7}, "not_text"),
        ({"instruction": "Say hi.", "output": "Hi! " * 9}, "too_long"),
    ],
)
def test_a_row_that_is_no_pair_has_a_reason_and_a_place(row: dict[str, Any], why: str) -> None:
    first, second = pairs(jsonl([ROWS[0], row]), max_chars=20)
    assert first == PAIRS[0]
    assert isinstance(second, Refused)
    assert second.why == why
    assert second.detail.startswith("seed.jsonl: row 2")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (jsonl(ROWS) + b"{nope}\n", "s: row 3: not JSON"),
        (jsonl(ROWS) + b"[1]\n", "s: row 3: not a JSON object"),
        (gzip.compress(jsonl(MANY))[:-200], "s: row .*: unreadable_rest"),
        (parquet(ROWS)[:-9] + b"x" * 9, "s: cannot be read as Parquet"),
    ],
)
def test_what_is_broken_is_an_error_that_names_its_place(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        pairs(data, "s")


def message(text: str, role: str = "assistant", **more: Any) -> dict[str, Any]:
    return {"text": text, "role": role, "lang": "en", "deleted": False, "replies": [], **more}


def tree(*replies: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked = message("How do I bake?", "prompter", review_result=True, **more)
    return {"message_tree_id": "t", "prompt": asked | {"replies": list(replies)}}


def test_of_a_tree_comes_the_first_turn_with_its_best_reply() -> None:
    further = message("And then?", "prompter", replies=[message("Eat it.", rank=0)])
    best = message("Mix and wait.", rank=0, review_result=True, replies=[further])
    found = pairs(gzip.compress(jsonl([tree(message("Buy it.", rank=1), best)])))
    assert found == [TrainingPair("How do I bake?", "Mix and wait.")]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (tree(message("Ja.", rank=0), lang="de"), "other_language"),
        (tree(message("Ja.", rank=0, lang="de")), "no_best_reply"),
        (tree(message("Mix.", rank=1), message("Bake.", rank=None)), "no_best_reply"),
        (tree(), "no_best_reply"),
        (tree(message("Mix.", rank=0, deleted=True)), "no_best_reply"),
        (tree(message("Mix.", rank=0, review_result=False)), "no_best_reply"),
        (tree(message("Mix.", rank=0), deleted=True), "deleted"),
        (tree(message(" ", rank=0)), "empty"),
    ],
)
def test_a_tree_that_gives_no_pair_has_a_reason(row: dict[str, Any], why: str) -> None:
    (found,) = pairs(jsonl([row]))
    assert isinstance(found, Refused)
    assert found.why == why


def test_a_row_among_trees_that_is_none_is_an_error() -> None:
    with pytest.raises(InputError, match="row 2: no conversation tree: it has a, b"):
        pairs(jsonl([tree(message("Mix.", rank=0)), {"b": 1, "a": 2}]))


def test_exchanges_are_read_in_both_forms() -> None:
    rows = [
        {"prompt": "Rate it.", "completion": "Score: 5"},
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Rate it."},
                {"role": "assistant", "content": "Score: 1"},
            ]
        },
        {
            "prompt": [{"role": "user", "content": "Rate it."}],
            "completion": [{"role": "assistant", "content": "Score: 2"}],
        },
    ]
    asked = Message("user", "Rate it.")
    assert list(read_exchanges(io.BytesIO(jsonl(rows)), "r")) == [
        Exchange((asked,), "Score: 5"),
        Exchange((Message("system", "Be brief."), asked), "Score: 1"),
        Exchange((asked,), "Score: 2"),
    ]


def test_an_exchange_without_an_answer_has_a_reason_and_other_columns_are_an_error() -> None:
    rows = [{"messages": [{"role": "user", "content": "Rate it."}]}, {"prompt": 1, "completion": 2}]
    found = list(read_exchanges(io.BytesIO(jsonl(rows)), "r"))
    assert [each.why for each in found if isinstance(each, Refused)] == [
        "no_best_reply",
        "not_text",
    ]
    with pytest.raises(InputError, match=r"r: row 1: needs prompt and completion.*it has text"):
        list(read_exchanges(io.BytesIO(jsonl([{"text": "a"}])), "r"))
