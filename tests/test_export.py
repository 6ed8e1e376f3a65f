"""Exports: every pair once, in the form asked for, whole or not at all; TRL takes them so."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backtrans.custody import write_export
from backtrans.errors import ConfigError, InputError
from backtrans.export import BATCH_ROWS, FORMS, export
from backtrans.pipeline import Pipeline
from backtrans.snapshots import PUBLISHED
from tests.engines.tiny_model import save_model
from tests.jobs import Silent, config, published, write_corpus
from tests.lakes import row

SEED_TAG = "Answer in the style of an AI Assistant."
AUGMENTED_TAG = "Answer with knowledge from web search."


def split_of(*numbers: int) -> list[pa.Table]:
    return [pa.Table.from_pylist([row(k)], schema=PUBLISHED) for k in numbers]


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return found
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.fixture(params=[".jsonl", ".parquet"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "exports" / f"a5{request.param}"


def test_prompt_and_completion_are_texts_that_join(out: Path) -> None:
    assert export(split_of(1, 2), "prompt-completion", out, tags=False) == 2
    first, second = row(1), row(2)
    assert read(out) == [
        {"prompt": first["instruction"] + "\n\n", "completion": first["response"]},
        {"prompt": second["instruction"] + "\n\n", "completion": second["response"]},
    ]


def test_messages_are_a_turn_of_the_user_and_one_of_the_assistant(out: Path) -> None:
    export(split_of(1), "messages", out, tags=False)
    (written,) = read(out)
    assert written["messages"] == [
        {"role": "user", "content": row(1)["instruction"]},
        {"role": "assistant", "content": row(1)["response"]},
    ]


def test_the_seed_comes_first_and_tags_tell_the_two_apart(out: Path, tmp_path: Path) -> None:
    pairs = [{"instruction": "Say hi.", "output": "Hi!", "rank": 0}] * 2
    seed = tmp_path / f"seed{out.suffix}"
    if seed.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(pairs), seed)
    else:
        seed.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    assert export(split_of(1), "prompt-completion", out, tags=True, seed=seed) == 3
    prompts = [r["prompt"] for r in read(out)]
    assert prompts == [f"Say hi. {SEED_TAG}\n\n"] * 2 + [
        f"{row(1)['instruction']} {AUGMENTED_TAG}\n\n"
    ]
    assert read(out)[0]["completion"] == "Hi!"


def test_an_empty_split_is_a_file_without_rows(out: Path) -> None:
    assert export([PUBLISHED.empty_table()], "messages", out, tags=True) == 0
    assert read(out) == []


def test_a_split_that_breaks_off_leaves_the_older_export_as_it_was(out: Path) -> None:
    export(split_of(1), "messages", out, tags=True)
    before = out.read_bytes()

    def breaking() -> Iterator[pa.Table]:
        yield from split_of(*range(3))
        raise ConnectionError("the store went away")

    with pytest.raises(ConfigError, match="went away"):
        export(breaking(), "messages", out, tags=True)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_rows_are_written_as_they_come(out: Path) -> None:
    tables = 3
    many = pa.Table.from_pylist([row(k) for k in range(2 * BATCH_ROWS)], schema=PUBLISHED)
    sizes: list[int] = []

    def split() -> Iterator[pa.Table]:
        for _ in range(tables):
            yield many
            (unfinished,) = out.parent.iterdir()
            sizes.append(unfinished.stat().st_size)

    assert export(split(), "messages", out, tags=True) == tables * 2 * BATCH_ROWS
    assert 0 < sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('{"instruction": "a", "output": "b"}\n{nope}\n', "row 2: not JSON"),
        ('{"instruction": "a"}\n', "row 1: has no column output; it has instruction"),
        ('{"instruction": "a", "output": 7}\n', "row 1: the instruction or the output is no text"),
        ('{"instruction": " ", "output": "b"}\n', "row 1: the instruction or the output is blank"),
        ("[1]\n", "row 1: not a JSON object"),
    ],
)
def test_a_bad_seed_pair_is_an_error_that_names_file_and_row(
    tmp_path: Path, lines: str, said: str
) -> None:
    seed = tmp_path / "seed.jsonl"
    seed.write_text(lines)
    with pytest.raises(InputError, match=said) as error:
        export(split_of(1), "messages", tmp_path / "out.jsonl", tags=True, seed=seed)
    assert str(seed) in str(error.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_seed_of_other_columns_or_no_parquet_is_an_error_that_names_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"instruction": ["a"]}), tmp_path / "seed.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    (tmp_path / "seed.csv").write_text("instruction,output\n")
    for name, said in (
        ("seed.parquet", "no column output"),
        ("broken.parquet", "cannot be read"),
        ("missing.jsonl", "cannot be read"),
        ("seed.csv", "row 1: not JSON"),
    ):
        with pytest.raises(InputError, match=rf"{name}: .*{said}"):
            export([], "messages", tmp_path / "out.jsonl", tags=True, seed=tmp_path / name)


def test_the_seed_is_not_replaced_by_the_export(tmp_path: Path) -> None:
    seed = tmp_path / "seed.jsonl"
    seed.write_text('{"instruction": "a", "output": "b"}\n')
    with pytest.raises(ConfigError, match="is the seed"):
        export([], "messages", seed, tags=True, seed=seed)


def test_an_export_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"out\.csv: an export is"):
        export([], "messages", tmp_path / "out.csv", tags=True)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match=r"file/out\.jsonl: cannot be written"):
        export([], "messages", tmp_path / "file/out.jsonl", tags=True)


def test_a_job_exports_the_snapshot_that_is_asked_for(tmp_path: Path, out: Path) -> None:
    write_corpus(tmp_path)
    first = Pipeline(config(tmp_path))
    with pytest.raises(ConfigError, match="no snapshot"):
        write_export(first, "A5", "messages", out, tags=False)
    first.run(Silent())
    old = published(first, "A5")
    (tmp_path / "corpus/part-0.jsonl.gz").unlink()
    second = Pipeline(config(tmp_path))
    second.run(Silent())
    for number, expected in ((1, old), (None, published(second, "A5"))):
        rows = write_export(second, "A5", "prompt-completion", out, tags=False, number=number)
        assert rows == len(expected)
        assert [r["completion"] for r in read(out)] == [r["response"] for r in expected]
    assert len(old) > len(expected) > 0


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_trl_takes_a_step_on_an_export_as_it_is(tmp_path: Path, out: Path, form: str) -> None:
    import datasets
    import torch
    from trl import SFTConfig, SFTTrainer

    export(split_of(*range(4)), form, out, tags=True)
    save_model(tmp_path / "model")
    kind = "parquet" if out.suffix == ".parquet" else "json"
    rows = datasets.load_dataset(
        kind, data_files=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    settings = SFTConfig(
        output_dir=str(tmp_path / "trained"),
        max_steps=1,
        per_device_train_batch_size=2,
        learning_rate=1e-2,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        gradient_checkpointing=False,
    )
    trainer = SFTTrainer(model=str(tmp_path / "model"), args=settings, train_dataset=rows)
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    done = trainer.train()
    assert done.global_step == 1
    assert done.training_loss > 0
    assert any(not torch.equal(p, before[n]) for n, p in trainer.model.named_parameters())
    (batch,) = list(trainer.get_train_dataloader())[:1]
    trained_on = batch["labels"] != -100
    assert trained_on.any()
    if form == "prompt-completion":
        assert not trained_on[:, 0].any(), "the prompt bears no loss"
