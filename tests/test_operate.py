"""The manual of those who operate a run: what it quotes is what the program says."""

import ast
import json
import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from backtrans.config import Config

ROOT = Path(__file__).parent.parent
MANUAL = (ROOT / "docs/operate.md").read_text(encoding="utf-8")
SYMPTOMS = re.findall(r"^\| `([^`]+)` \|", MANUAL.split("## What it says")[1], re.MULTILINE)
VARIES = "\0"


@cache
def said() -> tuple[str, ...]:
    """Return every text of the program, with a mark for each thing that varies in it."""
    found = []
    for path in sorted((ROOT / "backtrans").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else VARIES for p in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return tuple(found)


def is_said(message: str) -> bool:
    pieces = map(re.escape, re.split(r"\.\.\.(?!\.)", message))
    wanted = re.compile(f".*{VARIES}.*".join(pieces), re.DOTALL)
    return any(wanted.search(text) for text in said())


@pytest.mark.parametrize("message", SYMPTOMS)
def test_each_message_of_the_table_is_one_that_the_program_has(message: str) -> None:
    assert is_said(message)


def test_there_are_enough_of_them_and_the_check_sees_others() -> None:
    assert len(SYMPTOMS) == len(set(SYMPTOMS)) >= 20
    assert not is_said("no such file, and no folder matches")
    assert not is_said("vLLM ... starts")


def test_the_configuration_for_one_gpu_machine_is_one_that_loads() -> None:
    section = MANUAL.split("## On one GPU machine")[1].split("\n## ")[0]
    (block,) = section.split("```yaml")[1:]
    read = Config.model_validate_json(json.dumps(yaml.safe_load(block.split("```")[0])))
    assert read.placement.prices.gpu_hour > 0


def test_the_settings_that_the_manual_names_are_there() -> None:
    known = json.dumps(Config.model_json_schema())
    named = set(re.findall(r"`(?:placement|recipe)\.([a-z_.]+)", MANUAL))
    assert {each.strip(".").rsplit(".", 1)[-1] for each in named} <= set(
        re.findall(r'"([a-z_]+)": ', known)
    )


def test_the_events_that_the_manual_names_are_told() -> None:
    log = MANUAL.split("**Logs.**")[1].split("\n## ")[0]
    events = set(re.findall(r"`((?:run|stage|shard|training|model|attempt|engine) [a-z ]+)`", log))
    assert len(events) >= 9
    assert events <= set(said())
