"""The micro-world's tokenizer: byte-level BPE with 2,048 tokens, trained on the world's own text.

Promises: any Unicode text decodes back to itself; a digit is always one token, so that exactly one
token follows "Score: "; the chat template is a plain concatenation of control tokens and contents,
so that encoding piece by piece equals encoding the whole.

Does not know models. transformers and tokenizers are imported late.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from backtrans.microworld.world import World
from backtrans.roles import backtranslate, score

PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
SPEAKERS = {"user": "<|user|>", "assistant": "<|assistant|>", "system": "<|system|>"}
CONTROL_TOKENS = (PAD, BOS, *SPEAKERS.values(), END)
"""Ids 0 to 5, in this order."""

VOCABULARY = 2048
MAX_TOKENS = 2048

CHAT_TEMPLATE = (
    "{{- '<|bos|>' -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def prompt_texts() -> Iterator[str]:
    """Yield the roles' own words, which the vocabulary should hold."""
    yield backtranslate.render("")[0].content
    for form in score.Form.__args__:  # type: ignore[attr-defined]
        for message in score.render("", "", form):
            yield message.content


def sample_texts(seed: int, pages: int) -> Iterator[str]:
    """Yield world text and, often enough to matter, the roles' prompts."""
    prompts = list(prompt_texts())
    rated = World(seed).rated_pairs(pages)
    for index, pair in enumerate(rated):
        yield pair.output
        yield pair.instruction
        yield pair.reasoning
        if index % 10 == 0:
            yield from prompts
            yield "Question: Answer: Page: Review: Verdict: Score: What was asked?"


def train(folder: Path, *, seed: int, pages: int = 8000) -> None:
    """Train the tokenizer and write tokenizer.json and tokenizer_config.json."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sample_texts(seed, pages), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "bos_token": BOS,
        "eos_token": END,
        "model_max_length": MAX_TOKENS,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": False,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")


class Encoder:
    """Text and control tokens to ids, without ever reading a control token out of a text."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # Special-token text inside a document is plain text.
        self._tokenizer.encode_special_tokens = True
        # Source: the trainer gives special tokens the first ids, in their order (pinned by a test).
        self.control = {token: place for place, token in enumerate(CONTROL_TOKENS)}

    def text(self, text: str) -> list[int]:
        """Encode plain text."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        """Decode ids; control tokens come out as their text."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))
