"""From messages to token ids, so that no text can act as a control token.

A request fills its contents into what the chat template writes around them, and is tokenised in one
go, exactly as the tokenizer would by itself. Only if a content spelt a control token (its ids are
then more, or elsewhere, than the template's) is it tokenised again, every run of text between two
template tokens by itself and with control tokens read as plain text.

Promises: the control tokens of a prompt are the template's, whatever the contents hold; contents
are never trimmed, so a prefix such as "Score: " keeps its last space, even under a template that
trims; a final assistant message is left open. A control token is one that the tokenizer marks as
special, or has added with a sign in it (`<think>`): added words and runs of spaces are text.

Does not know: engines, roles, where the tokenizer was loaded from.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from backtrans.dialogue import Message
from backtrans.engines.template import ChatTemplate, Control
from backtrans.errors import ModelError

_WINDOW_CHARS = 64
"""How much text before a choice is tokenised with it; Source: longer than any run of characters
that a pre-tokenizer leaves unsplit before "Score: "."""

_REMEMBERED_CHOICES = 4096


@dataclass(frozen=True, slots=True)
class _Encoded:
    text: str
    ids: list[int]
    ends: list[int]  # where each token ends in the text, in characters
    run_start: int  # where the text after the last control token begins


class Prompter:
    """Turns messages into ids with a fast Hugging Face tokenizer and a chat template."""

    def __init__(self, tokenizer: Any, chat_template: str | None = None) -> None:
        """Prepare. Raises: ModelError where there is no template or no fast tokenizer."""
        name = getattr(tokenizer, "name_or_path", "") or "the tokenizer"
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise ModelError(f"{name} has no tokenizer.json: a fast tokenizer is needed")
        template = chat_template or getattr(tokenizer, "chat_template", None)
        if not template:
            raise ModelError(
                f"{name} has no chat template: give one as the engine's `chat_template` (Jinja),"
                " or save one with the tokenizer"
            )
        plan = json.loads(backend.to_str()) | {"truncation": None, "padding": None}
        self._full = type(backend).from_str(json.dumps(plan))
        self._control = set()
        for added in plan["added_tokens"]:
            if added["special"] or not all(c.isalnum() or c.isspace() for c in added["content"]):
                self._control.add(added["id"])
                added["special"] = True
        self._plain = type(backend).from_str(json.dumps(plan))
        self._plain.encode_special_tokens = True  # special tokens are then read as plain text
        self._template = ChatTemplate(tokenizer, template, self._full, self._control)
        self._choices: dict[tuple[str, tuple[str, ...]], tuple[int, list[int], list[int]]] = {}

    def prompt(self, messages: Sequence[Message], *, contents_act: bool = False) -> list[int]:
        """Return the ids after which the model writes. Raises: ModelError (the template).

        `contents_act`, here and for a choice, takes back the promise: for measuring it alone.
        """
        return self._encode(messages, contents_act).ids

    def continued(self, messages: Sequence[Message], text: str) -> tuple[list[int], int]:
        """Return the ids of the prompt with `text` as the assistant's, and where its tokens begin.

        A token that the tokenizer made of the prompt's end and of the text's beginning together
        counts as the text's.
        """
        before, said = messages, ""
        if _is_open(messages):
            before, said = messages[:-1], messages[-1].content
        whole = self._encode((*before, Message("assistant", said + text)))
        start_char = len(whole.text) - len(text)
        for index, end in enumerate(whole.ends):
            if end > start_char:
                return whole.ids, index
        return whole.ids, len(whole.ids)

    def exchange(
        self, messages: Sequence[Message], answer: str, ends: Collection[int]
    ) -> tuple[list[int], int]:
        """Return the ids of a whole exchange, as a model is taught it, and where the answer begins.

        The ids before that are those of `prompt(messages)`. After the answer comes what the
        template writes after it, up to a token of `ends` by which the model is to stop; where the
        template writes none, the first of them. Raises: ModelError (the template).
        """
        prompt = self._encode(messages).ids
        before, said = messages, ""
        if _is_open(messages):
            before, said = messages[:-1], messages[-1].content
        turns = (*before, Message("assistant", said + answer))
        whole = self._encode(turns).ids
        closing = self._template.closing(tuple(turn.speaker for turn in turns))
        if whole[: len(prompt)] != prompt:
            # The tokenizer would join the two; asked, the model has the prompt as it is.
            rest = self._plain_ids(answer)
            if spelt := self._control.intersection(rest):
                raise ModelError(f"the tokenizer reads plain text as control tokens {spelt}")
            whole = [*prompt, *rest]
        stop = next((place for place, token in enumerate(closing) if token in ends), None)
        tail = closing[: stop + 1] if stop is not None else list(ends)[:1]
        return [*whole, *tail], len(prompt)

    def choice(
        self, messages: Sequence[Message], choices: tuple[str, ...], *, contents_act: bool = False
    ) -> tuple[list[int], list[int]]:
        """Return the ids of the prompt, and the token by which each choice goes on.

        Where the tokenizer joins the prompt's last space to the choice (" 1" as one token), the
        prompt ends before that space, as the tokenizer would have it. Raises: ModelError when two
        choices begin with the same token.
        """
        whole = self._encode(messages, contents_act)
        run = whole.text[whole.run_start :]
        for tail in (run[-_WINDOW_CHARS:], run):
            kept, dropped, tokens = self._next_tokens(tail, choices)
            end = len(whole.ids) - len(dropped)
            # The token before it too: what was cut off in front must not reach up to the choice.
            if whole.ids[end:] == dropped and (kept < 0 or whole.ids[end - 1] == kept):
                return whole.ids[:end], tokens
        raise ModelError(f"the tokenizer does not read {run[-40:]!r} alike twice")

    def _next_tokens(self, tail: str, choices: tuple[str, ...]) -> tuple[int, list[int], list[int]]:
        """Return the last token shared, the tokens of `tail` after it, and each choice's first."""
        known = self._choices.get((tail, choices))
        if known is None:
            alone = self._plain_ids(tail)
            each = [self._plain_ids(tail + choice) for choice in choices]
            shared, firsts = parted(alone, each, choices, tail)
            known = (alone[shared - 1] if shared else -1, alone[shared:], firsts)
            if len(self._choices) >= _REMEMBERED_CHOICES:
                self._choices.clear()
            self._choices[tail, choices] = known
        return known

    def _plain_ids(self, text: str) -> list[int]:
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        return ids

    def _encode(self, messages: Sequence[Message], contents_act: bool = False) -> _Encoded:
        speakers = tuple(message.speaker for message in messages)
        parts = self._template.parts(speakers, _is_open(messages))
        pieces: list[str] = []
        controls: list[tuple[int, int]] = []  # token, start in characters
        position = run_start = 0
        for part in parts:
            if isinstance(part, Control):
                controls.append((part.token, position))
                piece = part.text
            else:
                piece = part if isinstance(part, str) else messages[part].content
            pieces.append(piece)
            position += len(piece)
            if isinstance(part, Control):
                run_start = position
        text = "".join(pieces)
        whole = self._full.encode(text, add_special_tokens=False)
        ids, offsets = whole.ids, whole.offsets
        found = [(t, *offsets[i]) for i, t in enumerate(ids) if t in self._control]
        if contents_act or (
            len(found) == len(controls)
            and all(
                token == expected and start <= at < end
                for (token, start, end), (expected, at) in zip(found, controls, strict=True)
            )
        ):
            return _Encoded(text, ids, [end for _, end in offsets], run_start)
        return self._encode_runs(text, controls, run_start)

    def _encode_runs(self, text: str, controls: list[tuple[int, int]], run_start: int) -> _Encoded:
        """Tokenise each run between the template's control tokens as plain text."""
        ids: list[int] = []
        ends: list[int] = []
        position = 0
        for token, start in [*controls, (-1, len(text))]:
            if start > position:
                run = self._plain.encode(text[position:start], add_special_tokens=False)
                if spelt := self._control.intersection(run.ids):
                    raise ModelError(f"the tokenizer reads plain text as control tokens {spelt}")
                ids += run.ids
                ends += [position + end for _, end in run.offsets]
            if token >= 0:
                position = start + len(self._full.id_to_token(token))
                ids.append(token)
                ends.append(position)
        return _Encoded(text, ids, ends, run_start)


def parted(
    alone: list[int], each: list[list[int]], choices: tuple[str, ...], tail: str
) -> tuple[int, list[int]]:
    """Return how many tokens of a text stay as they are before every choice, and each choice's
    first after these. Raises: ModelError where two choices begin alike.
    """
    shared = 0
    for tokens in zip(alone, *each, strict=False):
        if len(set(tokens)) > 1:
            break
        shared += 1
    firsts = [ids[shared] for ids in each if len(ids) > shared]
    if not choices or len(set(firsts)) < len(choices):
        raise ModelError(
            f"the choices {choices} cannot be told apart by their first token after"
            f" {tail[-20:]!r}: {firsts}"
        )
    return shared, firsts


def _is_open(messages: Sequence[Message]) -> bool:
    return bool(messages) and messages[-1].speaker == "assistant"
