"""What is loaded of a model: weights without code, at a revision that stays."""

from pathlib import Path
from typing import Any

import pytest

from backtrans.doctor import findings
from backtrans.engines.engine import EngineSettings
from backtrans.placement import EngineOptions
from backtrans.recipe import Model
from backtrans.serving import engine_settings
from tests.jobs import config, configuration, write_corpus
from tests.test_cli import called

COMMIT = "0" * 39 + "a"
SCRIPTED = {"path": "scripted:default", "engine": "scripted"}


def on_hub(revision: str) -> dict[str, Any]:
    model = {"path": "someone/base-8b", "revision": revision}
    return {"recipe__models": {"backward": model, "forward": SCRIPTED}}


@pytest.mark.parametrize("revision", ["main", "v1.0", "0123abc"])
def test_a_branch_a_tag_or_a_short_name_is_noted_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], revision: str
) -> None:
    write_corpus(tmp_path, files=1)
    code, out, _ = called("validate", configuration(tmp_path, **on_hub(revision)), capsys=capsys)
    assert code == 0
    (note,) = [line for line in out.splitlines() if "note:" in line]
    assert "recipe.models.backward.revision" in note
    assert repr(revision) in note
    assert "40 digits" in note
    told = {each.check: each for each in findings(config(tmp_path, **on_hub(revision)), {})}
    assert told["recipe.models.backward.revision"].state == "doubtful"


def test_a_commit_a_folder_and_a_model_without_weights_need_no_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    for changes in (on_hub(COMMIT), {}):
        _, out, _ = called("validate", configuration(tmp_path, **changes), capsys=capsys)
        assert "valid; 1 input object(s)" in out
        assert "note:" not in out


def test_code_that_comes_with_a_model_runs_only_when_told_and_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    models = {"model": Model(path="someone/odd", revision=COMMIT)}
    trusting = EngineOptions(trust_remote_code=True)
    for options, trusted in ((EngineOptions(), False), (trusting, True)):
        assert engine_settings(models, options).trust_remote_code is trusted
    assert EngineSettings("vllm", "m").trust_remote_code is False
    changes = {"placement__engine": {"trust_remote_code": True}}
    _, out, _ = called("validate", configuration(tmp_path, **changes), capsys=capsys)
    assert "note: placement.engine.trust_remote_code: " in out


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_a_folder_with_pickled_weights_alone_is_refused_by_name_before_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    write_corpus(tmp_path, files=1)
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/config.json").write_text("{}")
    (tmp_path / "pickled" / name).write_bytes(b"\x80\x04")
    models = {"backward": {"path": "pickled"}, "forward": SCRIPTED}
    path = configuration(tmp_path, recipe__models=models)
    for command in ("validate", "run", "doctor"):
        code, out, err = called(command, path, capsys=capsys)
        assert code == 1
        assert f"{name} is not loaded, since it may run code" in out + err
    assert not (tmp_path / "out/runs").exists()


def test_an_adapter_that_is_pickled_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import backtrans

    write_corpus(tmp_path, files=1)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text('{"r": 4, "target_modules": ["q_proj"]}')
    (tmp_path / "adapter/adapter_model.bin").write_bytes(b"\x80\x04")
    base = str(Path(backtrans.__file__).parent / "microworld/base")
    model = {"path": base, "adapter": "adapter", "max_model_tokens": 512}
    path = configuration(tmp_path, recipe__models={"backward": model, "forward": SCRIPTED})
    code, _, err = called("validate", path, capsys=capsys)
    assert code == 1
    assert "adapter_model.bin is not loaded, since it may run code" in err
