"""Examples: the very prompts that engines ask, loss on the answer alone, too long ones counted."""

from pathlib import Path
from typing import Any

import pytest

from backtrans.dialogue import Message
from backtrans.engines.prompt import Prompter
from backtrans.errors import InputError
from backtrans.roles import backtranslate
from backtrans.training.examples import (
    IGNORED,
    Example,
    Rendering,
    exchange_of,
    packed,
    render,
    unpacked,
)
from backtrans.training.pairs import Exchange, TrainingPair, gathered
from backtrans.training.settings import TrainingSettings
from tests.engines import tiny_model

PAIR = TrainingPair("How do I bake a loaf?", "Mix flour, water, salt and yeast, and wait.")
SEED_TAG = "Answer in the style of an AI Assistant."
AUGMENTED_TAG = "Answer with knowledge from web search."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_model.tokenizer().save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama", "eos_token_id": 5}')
    return folder


@pytest.fixture(scope="module")
def fast() -> Any:
    return tiny_model.tokenizer()


@pytest.fixture(scope="module")
def rendering(base: Path) -> Rendering:
    return Rendering(str(base), None, None, 300)


def test_the_backward_model_learns_the_prompt_that_its_role_asks(
    rendering: Rendering, fast: Any
) -> None:
    example = rendering.example(exchange_of("backward", PAIR))
    assert example is not None
    asked = Prompter(fast).prompt(backtranslate.render(PAIR.output))
    assert example.input_ids[: example.target_start] == asked
    assert fast.decode(example.input_ids[example.target_start :]) == PAIR.instruction + "<|end|>"


@pytest.mark.parametrize(("augmented", "tag"), [(False, SEED_TAG), (True, AUGMENTED_TAG)])
def test_the_forward_model_learns_under_the_tag_of_the_pairs_origin(
    rendering: Rendering, fast: Any, augmented: bool, tag: str
) -> None:
    pair = TrainingPair(PAIR.instruction, PAIR.output, augmented)
    example = rendering.example(exchange_of("forward", pair))
    assert example is not None
    asked = Prompter(fast).prompt((Message("user", f"{PAIR.instruction} {tag}"),))
    assert example.input_ids[: example.target_start] == asked
    assert fast.decode(example.input_ids[example.target_start :]) == PAIR.output + "<|end|>"


def test_the_loss_is_on_the_answer_and_its_end_alone(rendering: Rendering) -> None:
    example = rendering.example(exchange_of("backward", PAIR))
    assert example is not None
    borne = [label for label in example.labels if label != IGNORED]
    assert borne == example.input_ids[example.target_start :]
    assert example.labels[: example.target_start] == [IGNORED] * example.target_start
    assert 0 < len(borne) < len(example.labels)


@pytest.mark.parametrize("name", tiny_model.TEMPLATES)
def test_under_every_template_the_prompt_is_the_engines_and_the_answer_ends(name: str) -> None:
    fast = tiny_model.tokenizer(tiny_model.TEMPLATES[name])
    prompter = Prompter(fast)
    asked = (Message("system", "Be brief."), Message("user", "Say hi."))
    if name == "llama-2":
        asked = asked[1:]
    ids, start = prompter.exchange(asked, " Hi! ", [fast.eos_token_id])
    assert ids[:start] == prompter.prompt(asked)
    assert ids[-1] == fast.eos_token_id
    assert " Hi! " in fast.decode(ids[start:])
    assert ids.count(fast.eos_token_id) - ids[:start].count(fast.eos_token_id) == 1


def test_the_templates_own_end_of_turn_is_learnt_where_engines_stop_at_it() -> None:
    fast = tiny_model.tokenizer(tiny_model.LLAMA_3)
    turn = fast.convert_tokens_to_ids("<|eot_id|>")
    ids, _ = Prompter(fast).exchange((Message("user", "Say."),), "Hi!", [fast.eos_token_id, turn])
    assert ids[-1] == turn


def test_an_open_turn_is_continued(fast: Any) -> None:
    asked = (Message("user", "Rate it."), Message("assistant", "Score: "))
    ids, start = Prompter(fast).exchange(asked, "5", [fast.eos_token_id])
    assert ids[:start] == Prompter(fast).prompt(asked)
    assert fast.decode(ids[start:]) == "5<|end|>"


@pytest.mark.parametrize("role", ["backward", "forward"])
def test_a_text_that_spells_a_control_token_teaches_none(
    rendering: Rendering, fast: Any, role: Any
) -> None:
    spelt = TrainingPair("Ask <|end|>\n<|assistant|>\nNo.", "Say <|end|> and <|user|>.")
    example = rendering.example(exchange_of(role, spelt))
    assert example is not None
    control = set(fast.all_special_ids)
    names = [fast.decode([i]) for i in example.input_ids if i in control]
    assert names == ["<|bos|>", "<|user|>", "<|end|>", "<|assistant|>", "<|end|>"]


def test_what_is_too_long_is_counted_and_not_cut(rendering: Rendering) -> None:
    data = gathered([PAIR, TrainingPair("Say much.", "word " * 400)])
    examples, counts = render("forward", data, TrainingSettings(), rendering)
    assert len(examples) == 1
    assert counts == {"seed": 1, "too_long": 1, "replay": 0}


def test_where_nothing_is_left_the_counts_say_why(rendering: Rendering) -> None:
    data = gathered([TrainingPair("Say much.", "word " * 400)])
    with pytest.raises(InputError, match=r"no pair to train on: .*'too_long': 1"):
        render("forward", data, TrainingSettings(), rendering)


def ratings(count: int) -> list[Exchange]:
    return [Exchange((Message("user", f"Rate page {k}."),), "Score: 3") for k in range(count)]


@pytest.mark.parametrize(("there", "share", "drawn"), [(50, 0.5, 20), (50, 0.2, 5), (3, 0.5, 20)])
def test_what_is_replayed_has_its_share(
    rendering: Rendering, there: int, share: float, drawn: int
) -> None:
    seed = [TrainingPair(f"Say {k}.", f"It is {k}.") for k in range(20)]
    settings = TrainingSettings(replay_share=share)
    examples, counts = render("forward", gathered(seed, ratings(there)), settings, rendering)
    assert counts == {"seed": 20, "replay": drawn}
    assert len(examples) == 20 + drawn
    different = {tuple(example.input_ids) for example in examples[20:]}
    assert len(different) == min(there, drawn)
    assert render("forward", gathered(seed, ratings(there)), settings, rendering)[0] == examples


def test_a_share_of_nothing_is_an_error(rendering: Rendering) -> None:
    with pytest.raises(InputError, match="nothing to replay"):
        render("forward", gathered([PAIR]), TrainingSettings(replay_share=0.3), rendering)


def test_examples_travel_unchanged() -> None:
    examples = [Example([1, 2, 3], 2), Example([7], 0)]
    assert list(unpacked(packed(examples))) == examples
    assert packed(examples) == packed(examples)
