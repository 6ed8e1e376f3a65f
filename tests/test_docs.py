"""What the documents say is true: files are in the tree, commands exist, links lead on."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from backtrans.analysis.complexity import TaggingFile
from backtrans.audit.attacks import ATTACKS
from backtrans.audit.perturbations import PERTURBATIONS
from backtrans.cli import app
from backtrans.commands import calibrating, keeping, learning, measuring, operating, showing
from backtrans.config import Config, SelectorFile
from backtrans.evaluation.settings import EvaluationFile
from backtrans.judge.judged import JUDGED
from backtrans.judge.settings import JudgeFile
from backtrans.placement import Placement
from backtrans.recipe import Curate, Recipe
from backtrans.roles.defences import Defences
from backtrans.selection import Select
from backtrans.snapshots import PUBLISHED
from scripts import configuration, reference
from tests.documents import DOCUMENTS, ROOT, commands

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tree_in_the_readme_is_that_of_the_code() -> None:
    subprocess.run([sys.executable, ROOT / "scripts/tree.py", "check"], check=True)


def test_the_references_of_keys_and_commands_are_those_of_the_code() -> None:
    assert reference.stale() == []


def test_every_key_of_every_file_says_what_it_means() -> None:
    assert configuration.unexplained() == []


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    """The schema is pydantic's own view of the same models."""
    sections = Config.model_json_schema()["$defs"].values()
    keys = {key for section in sections for key in section.get("properties", {})}
    reference = (ROOT / "docs/configuration.md").read_text()
    assert keys <= set(re.findall(r"^\| `(\w+)` \|", reference, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_headings_that_are_there(document: Path) -> None:
    for name, target in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text()):
        there = (document.parent / name).read_text() if name else document.read_text()
        headings = re.findall(r"^#+ (.*)$", there, re.MULTILINE)
        assert target in {configuration.anchor(each) for each in headings}, f"{name}#{target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_are_there(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_documents_exist(document: Path) -> None:
    commands = {
        command.name or command.callback.__name__
        for each in (app, keeping.app, learning.app, measuring.app, operating.app, showing.app)
        for command in each.registered_commands
        if command.callback
    }
    named = set(re.findall(r"^backtrans (\w+)", document.read_text(), re.MULTILINE))
    assert named <= commands | {"calibrate"}
    steps = {
        c.name or c.callback.__name__ for c in calibrating.app.registered_commands if c.callback
    }
    calibrate = re.findall(r"^backtrans calibrate (\w+)", document.read_text(), re.MULTILINE)
    assert set(calibrate) <= steps
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make (\w+)", document.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_the_documents_have_the_arguments_and_options_that_they_name(
    document: Path,
) -> None:
    group: Any = typer.main.get_command(app)
    for line in commands(document.read_text()):
        _, name, *said = shlex.split(line)
        command = group.commands[name]
        if name == "calibrate":
            name, *said = said
            command = command.commands[name]
        command.make_context(name, said)


def test_the_configuration_in_the_readme_is_one_that_loads() -> None:
    example = README.split("```yaml")[1].split("```")[0]
    Config.model_validate_json(json.dumps(yaml.safe_load(example)))


def test_what_the_documents_say_of_selecting_is_a_section_that_loads() -> None:
    blocks = (ROOT / "docs/corpus.md").read_text().split("```yaml")[1:]
    for block in blocks:
        said = yaml.safe_load(block.split("```")[0])["recipe"]["select"]
        Select.model_validate_json(json.dumps(said))
    assert blocks


def test_what_the_documents_say_of_training_is_a_section_that_loads() -> None:
    block = (ROOT / "docs/training.md").read_text().split("```yaml")[1].split("```")[0]
    said = yaml.safe_load(block)["recipe"]
    Recipe.model_validate_json(json.dumps(said | {"corpus": {"paths": ["x"]}}))


def test_the_training_in_code_that_the_documents_show_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model that is made by rule in the place of the base."""
    monkeypatch.chdir(tmp_path)
    shown = (ROOT / "docs/training.md").read_text().split("```python")[1].split("```")[0]
    base = 'Base("models/base")'
    assert base in shown
    run: dict[str, Any] = {}
    exec(shown.replace(base, 'Base("scripted:default", scripted=True)'), run)
    assert run["folder"].parent == tmp_path / "curated/models" / run["model"].fingerprint


def test_what_the_documents_say_of_calibrating_is_a_section_that_loads() -> None:
    blocks = (ROOT / "docs/calibrate.md").read_text().split("```yaml")[1:]
    for block in blocks:
        said = yaml.safe_load(block.split("```")[0])
        kind = SelectorFile if "selector" in said else Curate
        kind.model_validate_json(json.dumps(said if "selector" in said else said["curate"]))
    assert len(blocks) == 2


def test_what_the_documents_say_of_endpoints_is_a_file_that_loads() -> None:
    blocks = (ROOT / "docs/endpoints.md").read_text().split("```yaml")[1:]
    for block in blocks:
        said = yaml.safe_load(block.split("```")[0])
        kind = EvaluationFile if "evaluation" in said else Config
        kind.model_validate_json(json.dumps(said))
    assert len(blocks) == 2


def test_what_the_documents_say_of_budgets_is_a_placement_that_loads() -> None:
    blocks = (ROOT / "docs/estimate.md").read_text().split("```yaml")[1:]
    for block in blocks:
        said = yaml.safe_load(block.split("```")[0])["placement"]
        Placement.model_validate_json(json.dumps({"root": "out"} | said))
    assert blocks


def test_every_column_of_a_split_is_documented() -> None:
    documented = set(re.findall(r"\w+", (ROOT / "docs/splits.md").read_text()))
    assert set(PUBLISHED.names) <= documented


def test_what_the_documents_say_of_evaluating_and_tagging_is_a_file_that_loads() -> None:
    blocks = (ROOT / "docs/evaluate.md").read_text().split("```yaml")[1:]
    for block in blocks:
        said = yaml.safe_load(block.split("```")[0])
        kind = TaggingFile if "tagging" in said else EvaluationFile
        kind.model_validate_json(json.dumps(said))
    assert len(blocks) == 3


def test_what_the_documents_say_of_auditing_is_a_judges_file_that_loads() -> None:
    (block,) = (ROOT / "docs/audit.md").read_text().split("```yaml")[1:]
    JudgeFile.model_validate_json(json.dumps(yaml.safe_load(block.split("```")[0])))


def test_every_attack_and_perturbation_is_documented() -> None:
    said = set(re.findall(r"`(\w+)`", (ROOT / "docs/audit.md").read_text()))
    assert {*ATTACKS, *PERTURBATIONS, *(field.name for field in fields(Defences))} <= said


def test_what_the_documents_say_of_judging_is_a_file_that_loads() -> None:
    document = (ROOT / "docs/judge.md").read_text()
    blocks = document.split("```yaml")[1:]
    for block in blocks:
        JudgeFile.model_validate_json(json.dumps(yaml.safe_load(block.split("```")[0])))
    assert blocks
    assert set(JUDGED.names) <= set(re.findall(r"\w+", document))
