"""What a chat template writes around the contents of a sequence of turns.

The template is rendered once for each sequence of speakers, with placeholders for the contents;
what it writes around them is split at the tokenizer's control tokens.

Promises: a template that fails, or that does not write every turn exactly once, is refused.

Does not know: contents, requests.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from backtrans.errors import ModelError

PINNED_DATE = "26 Jul 2024"
"""Source: Llama 3.1's own default. Later templates write today's date unless one is given, and a
prompt must not change from one day to the next."""


@dataclass(frozen=True, slots=True)
class Control:
    """A control token that the template itself writes."""

    token: int
    text: str


Part = Control | str | int
"""A piece of a rendered template; an int is the place of that message's content."""


class ChatTemplate:
    """A template, and the tokenizer by which its control tokens are known."""

    def __init__(self, tokenizer: Any, text: str, encoder: Any, control: Collection[int]) -> None:
        """Take the template's text, and the encoder that reads `control` as control tokens."""
        self._tokenizer = tokenizer
        self._text = text
        self._encoder = encoder
        self._control = control
        self._known: dict[tuple[tuple[str, ...], bool], tuple[Part, ...]] = {}

    def parts(self, speakers: tuple[str, ...], is_open: bool) -> tuple[Part, ...]:
        """Return what is written for these turns; the last is left open where `is_open`.

        Raises: ModelError.
        """
        known = self._known.get((speakers, is_open))
        if known is None:
            known = tuple(self._split(self._render(speakers, is_open), len(speakers)))
            self._known[speakers, is_open] = known
        return known

    def closing(self, speakers: tuple[str, ...]) -> list[int]:
        """Return the ids that the template writes after a last turn that is closed."""
        rendered = self._render(speakers, is_open=False, asks=False)
        last = _placeholder(len(speakers) - 1)
        after = rendered[rendered.index(last) + len(last) :]
        ids: list[int] = self._encoder.encode(after, add_special_tokens=False).ids
        return ids

    def _render(self, speakers: tuple[str, ...], is_open: bool, *, asks: bool = True) -> str:
        from jinja2 import TemplateError

        turns = [{"role": s, "content": _placeholder(i)} for i, s in enumerate(speakers)]
        try:
            rendered: str = self._tokenizer.apply_chat_template(
                turns,
                tokenize=False,
                add_generation_prompt=asks and not is_open,
                chat_template=self._text,
                date_string=PINNED_DATE,
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise ModelError(f"the chat template fails on the turns {speakers}: {error}") from error
        for index in range(len(speakers)):
            if rendered.count(_placeholder(index)) != 1:
                raise ModelError(
                    f"the chat template does not write turn {index + 1} of {speakers} exactly once"
                )
        if is_open:
            last = _placeholder(len(speakers) - 1)
            rendered = rendered[: rendered.index(last) + len(last)]
        return rendered

    def _split(self, rendered: str, turns: int) -> list[Part]:
        """Cut a rendered template into control tokens, plain text and places of contents."""
        places = sorted((rendered.index(_placeholder(i)), i) for i in range(turns))
        parts: list[Part] = []
        position = 0
        for start, index in places:
            parts += self._split_text(rendered[position:start])
            parts.append(index)
            position = start + len(_placeholder(index))
        return parts + self._split_text(rendered[position:])

    def _split_text(self, text: str) -> list[Part]:
        encoded = self._encoder.encode(text, add_special_tokens=False)
        parts: list[Part] = []
        position = 0
        for token, (start, end) in zip(encoded.ids, encoded.offsets, strict=True):
            if token not in self._control:
                continue
            name = self._encoder.id_to_token(token)
            at = text.index(name, start, end)  # a token may also have eaten white space around it
            parts += [text[position:at], Control(token, name)]
            position = at + len(name)
        parts.append(text[position:])
        return [part for part in parts if part != ""]


def _placeholder(index: int) -> str:
    return f"backtransTurn{index}ContentPlace"
