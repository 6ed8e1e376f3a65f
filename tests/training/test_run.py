"""A recipe that trains its models: one run trains, asks and publishes; the next finds all of it."""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backtrans import custody
from backtrans.cli import app
from backtrans.config import load
from backtrans.errors import ConfigError
from backtrans.models import Registered, Registry
from backtrans.pipeline import Pipeline
from backtrans.roles import backtranslate
from backtrans.store import Store, StoreSettings
from tests.engines import tiny_model
from tests.jobs import Silent, configuration, write_jsonl

MAX_TOKENS = 40


@dataclass
class Done:
    """A run that is over."""

    folder: Path
    config: Path
    pipeline: Pipeline
    watching: Silent

    @property
    def models(self) -> dict[str, Registered]:
        store = Store(StoreSettings(str(self.folder / "out")))
        return {model.role: model for model in Registry(store).all()}


def page(number: int) -> str:
    return f"Mix flour and water {number} times, and wait."


def written(folder: Path, **changes: Any) -> Path:
    """Write a corpus, a seed and a configuration that trains both models on it."""
    documents = [{"id": f"d{k}", "text": page(k), "source": "t"} for k in range(8)]
    write_jsonl(folder / "corpus/a.jsonl.gz", documents)
    pairs = [{"ask": f"How do I bake {k} loaves?", "say": page(k)} for k in range(24)]
    rows = [*pairs, pairs[0], {"ask": " ", "say": "x"}]
    (folder / "seed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rated = [{"prompt": f"Rate {k}.", "completion": f"Score: {1 + k % 5}"} for k in range(10)]
    (folder / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rated))
    model = {"path": "./base", "trained": True, "dtype": "float32", "max_model_tokens": 512}
    finetune = {"steps": 60, "batch_examples": 4, "learning_rate": 0.01, "dtype": "float32"}
    settings: dict[str, Any] = {
        "recipe__models": {"backward": model, "forward": model},
        "recipe__training": {
            "seed": {"paths": ["seed.jsonl"], "columns": {"instruction": "ask", "output": "say"}},
            "replay": {"paths": ["rated.jsonl"], "share": 0.25},
            "backward": finetune,
            "forward": finetune | {"steps": 10},
        },
        "recipe__select": {"min_chars": 20, "max_chars": 500},
        "recipe__deduplicate": {"enabled": False},
        "recipe__backtranslate": {"temperature": 0.0, "top_p": 1.0, "max_tokens": MAX_TOKENS},
        "recipe__curate": {"a4": 1.0, "a5": 5.0},
        "placement__engine": {
            "device": "cpu",
            "eager": True,
            "max_batched_tokens": 1024,
            "max_sequences": 32,
        },
    }
    return configuration(folder, **(settings | changes))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("run")
    tiny_model.save_model(folder / "base")
    config = written(folder)
    pipeline, watching = Pipeline(load(config)), Silent()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what vLLM and torch warn of while they load
        pipeline.run(watching)
    return Done(folder, config, pipeline, watching)


@pytest.mark.slow
@pytest.mark.vllm
def test_a_run_trains_what_is_missing_before_it_asks(done: Done) -> None:
    phases = [name for name, _ in done.watching.phases]
    assert phases == ["select", "train.backward", "train.forward", "backtranslate+score", "curate"]
    assert done.models["backward"].data == {"seed": 24, "duplicate": 1, "empty": 1, "replay": 0}
    assert done.models["forward"].data == {"seed": 24, "duplicate": 1, "empty": 1, "replay": 8}
    assert any("backward: trained in" in note for note in done.watching.notes)
    status = done.pipeline.status()
    assert status.snapshot is not None
    assert status.snapshot.rows["A4"] == 8


@pytest.mark.slow
@pytest.mark.vllm
def test_what_vllm_wrote_with_the_trained_adapter_is_what_transformers_writes(done: Done) -> None:
    import torch

    from backtrans.engines.prompt import Prompter

    adapter = Registry(Store(StoreSettings(str(done.folder / "out")))).fetch(
        done.models["backward"].fingerprint, done.folder / "cache"
    )
    llama = tiny_model.load_merged(done.folder / "base", adapter)
    fast = tiny_model.tokenizer()
    rows = list(done.pipeline.rows("backtranslate"))
    texts = {row["id"]: row["text"] for row in done.pipeline.rows("select")}
    assert len(rows) == 8
    for row in rows:
        ids = Prompter(fast).prompt(backtranslate.render(texts[row["id"]]))
        with torch.no_grad():
            written = llama.generate(
                torch.tensor([ids]), max_new_tokens=MAX_TOKENS, do_sample=False
            )
        said = fast.decode(written[0, len(ids) :], skip_special_tokens=True)
        assert row["instruction"] == said.strip()
        assert said.startswith("How do I bake"), "it has learnt what it was taught"


@pytest.mark.slow
@pytest.mark.vllm
def test_the_next_run_trains_and_asks_nothing(done: Done) -> None:
    watching = Silent()
    Pipeline(load(done.config)).run(watching)
    assert watching.phases == []


@pytest.mark.slow
@pytest.mark.vllm
def test_the_command_says_what_was_trained_on_and_where_it_lies(done: Done) -> None:
    said = CliRunner().invoke(app, ["train", str(done.config), "backward"])
    assert said.exit_code == 0, said.output
    model = done.models["backward"]
    assert "backward: lora on base, 60 steps" in said.output
    assert "24  seed" in said.output
    assert "1  duplicate" in said.output
    assert f"loss {model.metrics.loss[0]:.3f} -> {model.metrics.loss[-1]:.3f}" in said.output
    assert str(done.folder / f"out/models/{model.fingerprint}") in said.output
    assert "forward" not in said.output


@pytest.fixture
def planned(tmp_path: Path) -> Path:
    """A folder with a base of which only the files' names matter."""
    base = tmp_path / "base"
    base.mkdir()
    tiny_model.tokenizer().save_pretrained(base)
    (base / "config.json").write_text("{}")
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (base / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    return tmp_path


def models(path: Path) -> dict[str, str]:
    return Pipeline(load(path)).resolved.models


def test_a_models_name_follows_from_its_training_before_there_is_one(planned: Path) -> None:
    before = models(written(planned))
    assert models(written(planned, placement__training={"examples_each": 2})) == before
    finetune = {"steps": 60, "learning_rate": 0.02}
    changed = models(written(planned, recipe__training__forward=finetune))
    assert changed["backward"] == before["backward"]
    assert changed["forward"] != before["forward"]
    (planned / "seed.jsonl").unlink()
    path = written(planned)
    with (planned / "seed.jsonl").open("a") as seed:
        seed.write('{"ask": "More?", "say": "More."}\n')
    assert models(path)["backward"] != before["backward"]


def test_adapters_of_one_base_share_an_engine_and_full_models_do_not(planned: Path) -> None:
    pipeline = Pipeline(load(written(planned)))
    (work,) = pipeline.works.ask_works("r", pipeline.works.retry())
    assert work.engine.model == str(planned / "base")
    assert {name: path.split(":")[0] for name, path in work.engine.adapters.items()} == {
        "backward": "registered",
        "forward": "registered",
    }
    both = {role: {"method": "full"} for role in ("backward", "forward")}
    full = {"seed": {"paths": ["seed.jsonl"], "columns": {"instruction": "ask", "output": "say"}}}
    pipeline = Pipeline(load(written(planned, recipe__training=full | both)))
    backward, forward = pipeline.works.ask_works("r", pipeline.works.retry())
    assert backward.engine.model.startswith("registered:")
    assert backward.engine.model != forward.engine.model
    assert not backward.engine.adapters


def test_only_models_that_the_recipe_trains_are_trained(planned: Path) -> None:
    path = written(planned, recipe__models__forward={"path": "./base"})
    assert Pipeline(load(path)).resolved.trained.roles == ("backward",)
    with pytest.raises(ConfigError, match="nothing says trained: true"):
        Pipeline(load(path)).train(Silent(), ["forward"])


def test_an_adapter_of_another_base_is_refused_before_anything_is_asked(planned: Path) -> None:
    from backtrans.engines.adapter_files import BASE_KEY
    from backtrans.errors import ModelError

    adapter = planned / "adapter"
    adapter.mkdir()
    config = {"peft_type": "LORA", "r": 1, "target_modules": ["q_proj"]}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    shapes: dict[str, Any] = {
        f"m.q_proj.lora_{x}.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [at, at + 4]}
        for x, at in (("A", 0), ("B", 4))
    }
    head = json.dumps({"__metadata__": {BASE_KEY: "f" * 24}, **shapes}).encode()
    weights = len(head).to_bytes(8, "little") + head + bytes(8)
    (adapter / "adapter_model.safetensors").write_bytes(weights)
    model = {"path": "./base", "adapter": "./adapter"}
    path = written(planned, recipe__models={"backward": model, "forward": {"path": "./base"}})
    with pytest.raises(ModelError, match=rf"trained on another base: on {'f' * 24}"):
        models(path)


def test_a_sweep_takes_what_no_model_names_and_leaves_the_models(planned: Path) -> None:
    pipeline = Pipeline(load(written(planned)))
    store = pipeline.ledger.store
    for key in ("models/a/one/weights", "training/a/examples.parquet", "training/a/x.json"):
        store.put(key, b"")
    found = custody.orphans(pipeline, -1.0)
    assert found == ["models/a/one/weights", "training/a/examples.parquet", "training/a/x.json"]
    assert custody.orphans(pipeline, 3600.0) == []
    custody.sweep(pipeline, found)
    assert list(store.list()) == []
