"""`backtrans analyze`: from files and a run's splits to the papers' tables and one JSON."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.jobs import configuration, write_corpus
from tests.test_cli import called


def write_pairs(path: Path, n: int, **extra: Any) -> Path:
    rows = [
        {"instruction": f"What is thing {k}?", "response": f"A Thing of kind {k} is good.", **extra}
        for k in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_two_files_stand_side_by_side_in_the_papers_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = write_pairs(tmp_path / "ours.jsonl", 150, score=4.6)
    theirs = write_pairs(tmp_path / "theirs.jsonl", 100)
    to = tmp_path / "out/analysis.json"
    code, out, err = called("analyze", ours, f"Alpaca={theirs}", "--json", to, capsys=capsys)
    assert (code, err) == (0, "")
    for title in ("Average length, in words", "Unique trigrams of so many instructions", "Scores"):
        assert title in out
    assert "Alpaca" in out
    whole = json.loads(to.read_bytes())
    first, second = whole["accounts"]
    assert (first["name"], second["name"]) == ("ours", "Alpaca")
    assert first["instruction_length"]["mean"] == 4.0
    assert first["response_length"]["mean"] == 7.0
    # "what is thing" in all, "is thing k" in each.
    assert first["instruction_trigrams"] == [[100, 101], [150, 151]]
    assert second["instruction_trigrams"] == [[100, 101]]
    assert first["scores"]["a5"] == 1.0
    assert second["scores"] is None
    assert whole["distances"] == []


def test_a_split_of_a_run_is_analysed_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path)
    path = configuration(tmp_path)
    code, _, err = called("analyze", f"{path}:A5", capsys=capsys)
    assert code == 2
    assert "no snapshot published yet" in err
    called("run", path, capsys=capsys)
    to = tmp_path / "a.json"
    code, _, _ = called("analyze", f"{path}:A4", f"best={path}:A5@1", "--json", to, capsys=capsys)
    assert code == 0
    wider, best = json.loads(to.read_bytes())["accounts"]
    assert (wider["name"], best["name"]) == (f"{path.stem}:A4", "best")
    assert wider["pairs"] > best["pairs"] > 0
    assert wider["scores"]["valid"] == best["scores"]["valid"] == 1.0
    assert wider["response_length"]["mean"] == 130  # words of the documents
    code, _, err = called("analyze", f"{path}:A6", capsys=capsys)
    assert (code, "no split 'A6'; there are A5, A4" in err) == (2, True)
    code, _, err = called("analyze", f"{path}:A5@7", capsys=capsys)
    assert (code, "no snapshot 7" in err) == (1, True)


def test_tags_are_counted_by_the_model_that_a_file_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"instruction": "Compare Rome and Paris", "response": "Rome is old"},
        {"instruction": "untaggable", "response": "none here"},
        {"instruction": "Go on", "response": "untaggable"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = {"path": "scripted:tests.analysis.taggers:tags_capitals", "engine": "scripted"}
    tagger = tmp_path / "tagger.yaml"
    tagger.write_text(yaml.safe_dump({"tagging": {"model": model}}))
    to = tmp_path / "out.json"
    code, out, _ = called("analyze", path, "--tagger", tagger, "--json", to, capsys=capsys)
    assert code == 0
    assert "Average number of tags" in out
    (found,) = json.loads(to.read_bytes())["accounts"]
    assert found["instruction_tags"] == {
        "mean_tags": 2.0,
        "tagged": 2,
        "rejects": {"tags_malformed": 1},
    }
    assert found["response_tags"]["mean_tags"] == 0.5
    code, _, _ = called(
        "analyze", path, "--tagger", tagger, "--sample", 1, "--json", to, capsys=capsys
    )
    (found,) = json.loads(to.read_bytes())["accounts"]
    tags = found["instruction_tags"]
    assert tags["tagged"] + sum(tags["rejects"].values()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere.jsonl"], 1, "nowhere.jsonl"),
        (["a.jsonl", "a.jsonl"], 2, "two sets have the same name"),
        (["a.jsonl", "--response", "reply"], 1, "needs the text reply; there is instruction, "),
        (["a.jsonl", "--tokenizer", "nowhere"], 1, "nowhere"),
        (["a.jsonl", "--tagger", "bad.yaml"], 2, "tagging.modle: unknown key"),
        (["a.jsonl", "--mauve", "nowhere"], 2, "MAUVE needs 20 responses"),
        (["nowhere.yaml:A5"], 2, "nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_error_that_names_it_and_a_code(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "a.jsonl", 3)
    (tmp_path / "bad.yaml").write_text("tagging: {modle: {path: x}}")
    got, out, err = called("analyze", *arguments, capsys=capsys)
    assert got == code
    assert said in err
    assert "Traceback" not in out + err
