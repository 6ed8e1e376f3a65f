"""MAUVE and the vectors under it. Slow, since torch and the library take seconds to import."""

import json
from pathlib import Path

import numpy as np
import pytest

from backtrans.analysis.divergence import mauve
from backtrans.analysis.embedding import MAX_TOKENS, embed
from backtrans.errors import ConfigError, ModelError
from tests.engines.tiny_model import load_merged, save_model, tokenizer
from tests.test_cli import called

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embedding") / "tiny"
    save_model(folder)
    return folder


def drawn(seed: int, shift: float = 0.0, n: int = 300) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(n, 16)).astype(np.float32)
    found[:, 0] += shift
    return found


def test_the_same_vectors_are_alike_and_distant_ones_apart() -> None:
    assert mauve(drawn(1), drawn(1)).mean == pytest.approx(1.0, abs=1e-6)
    assert mauve(drawn(1), drawn(2, shift=50)).mean < 0.01
    alike = mauve(drawn(1), drawn(2))
    assert alike.mean > 0.9
    assert (alike.texts, alike.clusters) == (300, 30)


def test_mauve_falls_as_one_side_is_shifted() -> None:
    found = [mauve(drawn(1), drawn(2, shift), seeds=(25, 26)).mean for shift in (0, 1, 2, 4)]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.8


def test_mauve_is_the_same_twice() -> None:
    assert mauve(drawn(1), drawn(2, 1)) == mauve(drawn(1), drawn(2, 1))


def test_vectors_that_cannot_be_compared_are_an_error() -> None:
    for ours, theirs, said in (
        (drawn(1, n=19), drawn(2), "20 texts"),
        (np.ones((30, 4)), np.ones((30, 4)), "the same vector"),
        (np.full((30, 4), np.nan), drawn(1)[:, :4], "not finite"),
    ):
        with pytest.raises(ConfigError, match=said):
            mauve(ours, theirs)


def test_a_text_has_the_state_of_its_last_token_whatever_is_beside_it(model: Path) -> None:
    import torch

    texts = ["Mix flour.", "How do I bake a loaf of bread? Mix flour, water, salt.", "salt"] * 7
    found = embed(model, texts, "last")
    llama, fast = load_merged(model).model, tokenizer()
    for text, vector in zip(texts[:3], found[:3], strict=True):
        ids = torch.tensor([fast(text)["input_ids"]])
        with torch.no_grad():
            states = llama(ids).last_hidden_state[0]
        assert vector == pytest.approx(states[-1].numpy(), abs=1e-4)
        (mean,) = embed(model, [text], "mean")
        assert mean == pytest.approx(states.mean(dim=0).numpy(), abs=1e-4)
    assert found[0] == pytest.approx(found[3], abs=1e-4)


def test_a_text_over_the_context_is_cut_and_one_without_tokens_an_error(model: Path) -> None:
    (vector,) = embed(model, ["bread " * 2 * MAX_TOKENS], "last")
    assert np.isfinite(vector).all()
    with pytest.raises(ModelError, match="no token"):
        embed(model, ["", "bread"], "last")
    with pytest.raises(ModelError, match="nowhere"):
        embed(model.parent / "nowhere", ["bread"], "last")


def test_a_model_that_takes_fewer_tokens_than_it_has_positions_is_given_no_more(
    tmp_path: Path,
) -> None:
    from transformers import RobertaConfig, RobertaModel

    fast = tokenizer()
    fast.model_max_length = 32
    fast.save_pretrained(tmp_path)
    padding = fast.pad_token_id
    shape = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = RobertaConfig(
        vocab_size=len(fast), num_hidden_layers=1, pad_token_id=padding,
        max_position_embeddings=padding + 1 + fast.model_max_length, **shape,
    )  # fmt: skip
    RobertaModel(config).save_pretrained(tmp_path)
    (vector,) = embed(tmp_path, ["bread " * 100], "mean")
    assert np.isfinite(vector).all()


def test_the_command_compares_the_first_set_with_itself_and_with_the_others(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = np.random.default_rng(0)
    words = {"bread": "flour water salt yeast bread".split(), "turns": "7 3 ? 9 : ;".split()}
    for name, kind in words.items():
        rows = [
            {"instruction": "x", "response": " ".join(dice.choice(kind, size=8))}
            for _ in range(120)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    to = tmp_path / "out.json"
    both = [tmp_path / f"{name}.jsonl" for name in words]
    code, out, _ = called("analyze", *both, "--mauve", model, "--json", to, capsys=capsys)
    assert code == 0
    assert "MAUVE of 60 responses each" in out
    assert "bread vs. turns" in out
    itself, other = json.loads(to.read_bytes())["distances"]
    assert (itself["one"], itself["other"], other["other"]) == ("bread", "bread", "turns")
    assert itself["mauve"]["texts"] == other["mauve"]["texts"] == 60
    assert itself["mauve"]["mean"] > 0.8 > 0.2 > other["mauve"]["mean"]
