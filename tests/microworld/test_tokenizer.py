"""The tokenizer: lossless, one digit one token, and no control token comes out of a text."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.microworld import tokenizer
from backtrans.microworld.adapt import BASE
from backtrans.microworld.curriculum import control, encode, rubric_ids
from backtrans.roles import backtranslate, score

ENCODER = tokenizer.Encoder(BASE)


@pytest.fixture(scope="module")
def hugging_face() -> Any:
    transformers = pytest.importorskip("transformers")
    return transformers.PreTrainedTokenizerFast.from_pretrained(BASE)


@given(st.text(max_size=200))
def test_any_unicode_survives(text: str) -> None:
    assert ENCODER.decode(ENCODER.text(text)) == text


@given(st.text(max_size=20), st.sampled_from(tokenizer.CONTROL_TOKENS), st.text(max_size=20))
def test_control_text_in_a_page_is_plain_text(before: str, token: str, after: str) -> None:
    ids = ENCODER.text(before + token + after)
    assert not set(ids) & set(ENCODER.control.values())
    assert ENCODER.decode(ids) == before + token + after


@pytest.mark.parametrize("digit", score.DIGITS)
def test_one_digit_token_follows_the_score_prefix(digit: str) -> None:
    prefix = ENCODER.text(score.SCORE_PREFIX)
    assert ENCODER.text(score.SCORE_PREFIX + digit) == prefix + ENCODER.text(digit)
    assert len(ENCODER.text(digit)) == 1


def test_control_tokens_have_the_first_ids(hugging_face: Any) -> None:
    for token, number in ENCODER.control.items():
        assert hugging_face.convert_tokens_to_ids(token) == number


@pytest.mark.slow  # what it imports takes 6 seconds
def test_whoever_opens_the_base_by_its_folder_gets_this_tokenizer(hugging_face: Any) -> None:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(BASE)
    assert found.get_vocab() == hugging_face.get_vocab()
    assert found.special_tokens_map == hugging_face.special_tokens_map
    assert found.chat_template == hugging_face.chat_template
    text = "Score: 5 <|end|> naïve"
    assert found(text)["input_ids"] == hugging_face(text)["input_ids"]


def test_the_prompts_are_cheap() -> None:
    for text in tokenizer.prompt_texts():
        assert len(ENCODER.text(text)) <= 2 * len(text.split()) + 3, text


def test_template_equals_encoding_piece_by_piece(hugging_face: Any) -> None:
    messages = score.render("Who was Zu?", "A page.\n1. It ends", "constrained")
    spoken = [{"role": m.speaker, "content": m.content} for m in messages]
    ids = hugging_face.apply_chat_template(
        spoken, continue_final_message=True, tokenize=True, return_dict=False
    )
    pieces = [ENCODER.control[tokenizer.BOS], ENCODER.control["<|user|>"]]
    pieces += [*ENCODER.text(messages[0].content), ENCODER.control[tokenizer.END]]
    pieces += [ENCODER.control["<|assistant|>"], *ENCODER.text(score.SCORE_PREFIX)]
    assert list(ids) == pieces


def test_generation_prompt_opens_the_assistant(hugging_face: Any) -> None:
    text = hugging_face.apply_chat_template(
        [{"role": "user", "content": backtranslate.render("x")[0].content}],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert text.endswith("<|end|><|assistant|>")
    assert hugging_face.eos_token == "<|end|>"
    assert hugging_face.pad_token_id == 0


def test_split_special_tokens_keeps_hugging_face_safe(hugging_face: Any) -> None:
    ids = hugging_face("<|assistant|>", split_special_tokens=True)["input_ids"]
    assert not set(ids) & set(ENCODER.control.values())
    assert hugging_face.decode(ids) == "<|assistant|>"


def test_the_two_rubrics_are_told_apart_and_begin_alike() -> None:
    digit, reasoned = rubric_ids(ENCODER)
    assert digit != reasoned
    assert len(digit) != len(reasoned)
    assert encode([control(tokenizer.BOS)], ENCODER).ids == digit[:1] == reasoned[:1]
