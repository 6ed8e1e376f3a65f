"""The world: same seed, same bytes; held-out slots stay out of training; the truth's laws."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.microworld import corpus, latent, noise, truth
from backtrans.microworld.kinds import KINDS
from backtrans.microworld.vocabulary import SEEN_NAMES, SLOTS
from backtrans.microworld.world import World, WorldDocument, true_rating

DIGEST = """
import hashlib
from backtrans.microworld.world import World
w = World(11)
rows = (w.documents(60), w.documents(60, split="train"), w.seed_pairs(60), w.rated_pairs(60))
print(hashlib.sha256(repr(rows).encode()).hexdigest())
"""


GOLDEN = "e15760ddfe9b2e2df4fe37c6c46bcaa64847733b720d042024dd8cadf5031626\n"


def test_same_seed_gives_same_rows_in_any_interpreter() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(said) == 1
    # The world is part of every published figure: a change of its text is a new generator version.
    assert said == {GOLDEN}


def test_a_longer_list_begins_with_the_shorter_one() -> None:
    assert World(3).documents(40)[:15] == World(3).documents(15)
    assert World(3).documents(15) != World(4).documents(15)


def test_corpus_bytes_repeat_and_hide_the_truth(tmp_path: Path) -> None:
    for name in ("a", "b"):
        corpus.write_corpus(World(5), tmp_path / name, 70, rows_per_shard=30)
    corpus.write_corpus(World(5), tmp_path / "b", 120, rows_per_shard=30)  # a larger one between
    corpus.write_corpus(World(5), tmp_path / "b", 70, rows_per_shard=30)
    assert len(list((tmp_path / "b").glob(corpus.CORPUS_GLOB))) == 3
    shards = sorted((tmp_path / "a").glob(corpus.CORPUS_GLOB))
    assert len(shards) == 3
    for shard in shards:
        twin = tmp_path / "b" / "corpus" / shard.name
        assert (
            hashlib.sha256(shard.read_bytes()).digest()
            == hashlib.sha256(twin.read_bytes()).digest()
        )
    assert (tmp_path / "a" / corpus.TRUTH_NAME) not in shards
    rows = [
        json.loads(line) for s in shards for line in gzip.decompress(s.read_bytes()).splitlines()
    ]
    documents = corpus.read_truth(tmp_path / "a" / corpus.TRUTH_NAME)
    assert documents == World(5).documents(70)
    assert [(r["id"], r["text"]) for r in rows] == [(d.id, d.text) for d in documents]
    assert {frozenset(r) for r in rows} == {
        frozenset(("id", "text", "source", "added", "created", "metadata"))
    }
    assert all(set(r["metadata"]) == {"url"} for r in rows)


def _combination(instruction: str) -> str:
    kind, values = _slots(instruction)
    template = next(k for k in KINDS if k.name == kind)
    return ":".join((kind, *(values[slot] for slot in template.slots)))


def _slots(instruction: str) -> tuple[str, dict[str, str]]:
    found = truth.slots_of(instruction)
    assert found is not None, instruction
    return found[0], dict(found[1])


def test_held_out_slots_and_names_are_never_in_training_data() -> None:
    world = World(6)
    asked = [pair.instruction for pair in world.seed_pairs(800)]
    asked += [pair.instruction for pair in world.rated_pairs(800)]
    asked += [d.instruction for d in world.documents(800, split="train") if d.instruction]
    seen = {name.lower() for name in SEEN_NAMES}
    for instruction in asked:
        assert not latent.is_held_out(_combination(instruction)), instruction
        _, values = _slots(instruction)
        for slot, value in values.items():
            if slot not in SLOTS and value not in seen:
                assert not latent.is_held_out(value.capitalize()), instruction


def test_evaluation_pages_hold_only_held_out_slots() -> None:
    documents = [d for d in World(6).documents(800) if d.instruction]
    assert all(latent.is_held_out(_combination(d.instruction)) for d in documents)
    fresh = [d for d in documents if d.fresh_name]
    assert 0.15 < len(fresh) / len(documents) < 0.35
    for document in fresh:
        _, values = _slots(document.instruction)
        assert all(
            latent.is_held_out(value.capitalize())
            for slot, value in values.items()
            if slot not in SLOTS
        )


def test_a_quarter_of_the_combinations_is_held_out() -> None:
    drawn = [latent.draw(latent.stream(1, n), "train", False).combination for n in range(50)]
    assert all(not latent.is_held_out(combination) for combination in drawn)
    share = sum(latent.is_held_out(f"any:{n}") for n in range(4000)) / 4000
    assert 0.22 < share < 0.28


def test_every_kind_noise_and_quality_comes_up() -> None:
    documents = World(8).documents(1500)
    assert {d.kind for d in documents} == {kind.name for kind in KINDS}
    assert {d.noises[0] for d in documents if d.noises} == set(noise.FLAWS)
    assert {d.quality for d in documents} == {1, 2, 3, 4, 5}
    good = sum(d.quality == 5 for d in documents) / len(documents)
    assert 0.29 < good < 0.37
    for document in documents:
        assert (document.quality == 5) == (not document.noises)
        assert bool(document.instruction) == ("void" not in document.noises)


def test_pages_of_one_clean_kind_spell_out_their_names() -> None:
    for document in World(9).documents(400, good_share=1.0):
        _, values = _slots(document.instruction)
        words = truth.words(document.text)
        for slot, value in values.items():
            if slot not in SLOTS:
                assert value in words


DOCUMENTS = [d for d in World(10).documents(300) if d.instruction]


@given(st.sampled_from(DOCUMENTS))
def test_the_own_instruction_earns_the_quality(document: WorldDocument) -> None:
    assert true_rating(document, document.instruction) == document.quality
    assert true_rating(document, document.instruction.upper() + " !") == document.quality


@given(st.sampled_from(DOCUMENTS), st.sampled_from(DOCUMENTS))
def test_another_instruction_is_never_a_five(document: WorldDocument, other: WorldDocument) -> None:
    if truth.slots_of(document.instruction) != truth.slots_of(other.instruction):
        assert true_rating(document, other.instruction) <= 2


@given(st.sampled_from(DOCUMENTS), st.integers(0, 2))
def test_a_paraphrase_matches(document: WorldDocument, form: int) -> None:
    kind, values = _slots(document.instruction)
    template = next(k for k in KINDS if k.name == kind)
    assert truth.matches(latent.fill(template.instructions[form], values), document.instruction)


@given(st.text(max_size=60))
def test_a_void_matches_nothing(instruction: str) -> None:
    assert not truth.matches(instruction, "")


@given(st.text(max_size=40), st.text(max_size=40))
def test_token_f1_is_symmetric_and_bounded(a: str, b: str) -> None:
    assert truth.token_f1(a, b) == truth.token_f1(b, a)
    assert 0.0 <= truth.token_f1(a, b) <= 1.0
    assert truth.token_f1(a, a) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_ratings_agree_with_their_reviews(seed: int) -> None:
    for pair in World(seed).rated_pairs(400):
        assert 1 <= pair.rating <= 5
        assert pair.reasoning.count("\n") == 0
        assert "score:" not in pair.reasoning.lower()
        perfect = "Asked: the same. Flaw: none." in pair.reasoning
        assert perfect == (pair.rating == 5), pair
