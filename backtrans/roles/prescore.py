"""What an instruction shows by itself: whether a pair is worth a judge's tokens.

Promises: pure; decided by the instruction alone, before a model is asked; what brings its text with
it ("Summarise this text: ..."), names the text ("the text of the Treaty of Rome"), or speaks in the
first person of a person ("I am unable to log in") passes: in doubt a pair goes on to the judge.

Does not know: responses, scores, languages other than English.
"""

import re
from dataclasses import dataclass

from backtrans.errors import ConfigError
from backtrans.records import Reject
from backtrans.roles.phrases import (
    A_MODEL,
    I_AM_A_MODEL,
    I_AM_UNABLE,
    I_CANNOT,
    WEB_TEXT,
    plain,
)

MAX_CHARS = 500
"""Source: REInstruct (2408.10663) drops longer instructions."""

PRESCORE_REASONS = (
    "instruction_void",
    "instruction_too_long",
    "instruction_refuses",
    "instruction_leaks",
    "instruction_refers",
)
"""Why an instruction is refused unasked: no other judge would be asked about it either."""

_WORD = re.compile(r"[^\W_]")

_NOUN = r"(?:text|passage|article|document|excerpt|paragraph|snippet|web\ ?page)"

_REFERS = re.compile(
    rf"""\b(?:
        this\ (?:(?:short|long|web|news|blog|given|provided|whole|entire|particular)\ )?{_NOUN}
      | (?:the|this|that)\ (?:above|below|following|preceding|given|provided|supplied|attached)
        \ (?:(?:short|long|web|news|blog)\ )?(?:{_NOUN}|information|context)
      | the\ (?:{_NOUN}|information|context)
        \ (?:above|below|(?:provided|given|supplied|presented)
          (?!\ (?:by|to|in|at|for|of|on|under|with|during|when)\b))
      | (?:based\ on|according\ to)\ the\ (?:{_NOUN}|information|context|content)(?=[,.?!;]|$)
      | (?:in|from|of)\ the\ (?:passage|excerpt|web\ text)(?=[,.?!;]|$)
      | (?:mentioned|described|discussed|listed|stated)
        \ (?:above|below|in\ the\ {_NOUN}(?=[,.?!;]|$))
      | {WEB_TEXT}
    )(?!\w)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Source: REInstruct drops "web text" and "based on the information provided"; the rest are this
project's, from instructions that backward models write of passages."""

_BRINGS = re.compile(r"[:\n\"“”«»`]|\s['‘]\w")
"""Behind one of these stands what is referred to."""

_REFUSES = re.compile(
    rf"""(?:
        \bas\ {A_MODEL}(?:\ language\ model|\ assistant|\ model)?,?\ (?:i|it\ is\ not)\b
      | \b{I_AM_A_MODEL}(?:\ language\ model|\ assistant|\ model)?(?=[,.;]|\ and\b|$)
      | ^(?:i'm\ |i\ am\ )?(?:very\ )?sorry,?\ (?:but\ )?
        (?:i\ (?:cannot|can\ not|can't|don't|do\ not|won't)|{I_AM_UNABLE}|there\ is\ no)\b
      | ^(?:{I_CANNOT}|{I_AM_UNABLE}\ (?:answer|assist|help|provide|fulfil|comply|create|write))
        \ (?:with\ )?(?:you|this|that|your|the|a|an|any)\ (?:\w+\ )?
        (?:question|instruction|request|prompt|information|answer|response)s?\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)

_LEAKS = re.compile(
    r"""(?:
        <\|[\w ]{1,40}\|> | \[/?INST\] | <</?SYS>> | <(?:start|end)_of_turn> | \[/?RES\]
      | ^\#{2,}\ *(?:instruction|response|input|user|assistant|human)\b
      | ^(?:user|assistant|human)\ *:
      | \bScore:\ ?[1-5]\b
      | candidate\ answer\ to\ a\ question\ or\ instruction
      | text\ below\ would\ be\ a\ great\ answer
      | answer\ in\ the\ style\ of\ an\ ai\ assistant
      | answer\ with\ knowledge\ from\ web\ search
      | rate\ how\ well\ the\ response\ answers
      | write\ "score:\ "
      | ^(?:instruction|response)\ *:\ *$
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""Source: the words of this project's own prompts (`backtranslate`, `score`, the tags of `role`),
and the markers of the chat templates of Llama 2 and 3, ChatML, Gemma and Alpaca."""


@dataclass(frozen=True, slots=True)
class PrescoreSettings:
    """Which instructions are refused before a judge is asked; each check is a switch or a bound."""

    void: bool = True
    """No letter and no digit in it."""
    max_chars: int | None = MAX_CHARS
    """Longer ones; null: of any length. Source: REInstruct (2408.10663)."""
    refusals: bool = True
    """It declines instead of asking."""
    leaks: bool = True
    """Words of a prompt or of the rubric, a chat template's markers, a speaker's name and colon."""
    refers: bool = True
    """Asks about a text that is not in it."""

    def __post_init__(self) -> None:
        if self.max_chars is not None and self.max_chars < 1:
            raise ConfigError(f"max_chars {self.max_chars}: no instruction is that short")

    def verdict(self, instruction: str) -> Reject | None:
        """Say why an instruction is refused; None where a judge is to be asked."""
        if self.void and _WORD.search(instruction) is None:
            return Reject("instruction_void", f"{len(instruction):,} characters, no word")
        if self.max_chars is not None and len(instruction) > self.max_chars:
            detail = f"{len(instruction):,} characters > {self.max_chars:,}"
            return Reject("instruction_too_long", detail)
        if self.refusals and (found := _REFUSES.search(plain(instruction))):
            return Reject("instruction_refuses", found[0].strip())
        if self.leaks and (found := _LEAKS.search(instruction)):
            return Reject("instruction_leaks", found[0].strip())
        if self.refers and (said := _referred(instruction)) is not None:
            return Reject("instruction_refers", said)
        return None


NO_PRESCORE = PrescoreSettings(
    void=False, max_chars=None, refusals=False, leaks=False, refers=False
)


def _referred(instruction: str) -> str | None:
    """Return the words that point at a text which is not there."""
    # Line breaks count as bringing a text, so they are looked for in the instruction as it is.
    found = _REFERS.search(plain(instruction))
    if found is None or _BRINGS.search(instruction.strip()):
        return None
    return found[0]
