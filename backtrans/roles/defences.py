"""What keeps a page from talking its judge into a score: how a pair is shown, not what it says.

Promises: only what the judge sees changes; the pair itself is never touched. Escaping is
idempotent, leaves no spelling of a control token, no hidden character and no line that names a
score, and leaves a text without any of these as it is. A mark is the same for the same row and
pair, and is in neither text.

Does not know: the rubric, which judge reads it, whether a text meant harm.
"""

import hashlib
import re
import unicodedata
from dataclasses import dataclass

MARK_CHARS = 12
"""Source: 26^12 is over 2^56. The mark is a hash of the page itself, so a page that holds its own
would have to be found by trying so many, even by an author who knows the recipe."""


@dataclass(frozen=True, slots=True)
class Defences:
    """Which defences a judge has. What each is worth: docs/audit.md."""

    token_ids: bool = True
    """Control tokens that a page spells are read as text. Without it, which only a judge's file
    may ask for, they act: to measure what it is worth, and never to score a corpus."""
    delimiters: bool = False
    """Instruction and response stand between lines of a mark that no page can foresee."""
    escape: bool = False
    """The judge sees control-token spellings broken, hidden characters gone, speakers and scores
    that a text names made plain prose."""
    rubric_after: bool = False
    """The rubric and what is asked stand once more after the pair: the page has no last word."""
    digit_only: bool = False
    """Refuse the reasoned form: there are no reasons to be steered."""
    salt: str = ""
    """Hashed into every mark."""

    @property
    def reworded(self) -> bool:
        """Whether any of them changes the words of a prompt."""
        return self.delimiters or self.escape or self.rubric_after


NO_DEFENCES = Defences()


def mark(salt: str, row_id: str, instruction: str, response: str) -> str:
    """Return twelve letters that stand in neither text, the same for the same row and pair."""
    turn = 0
    while True:
        hashed = hashlib.sha256()
        for said in (salt, row_id, instruction, response, str(turn)):
            # With its length, or a page could shift where one part ends and the next begins.
            encoded = said.encode("utf-8", "surrogatepass")
            hashed.update(len(encoded).to_bytes(8, "big") + encoded)
        number = int.from_bytes(hashed.digest(), "big")
        letters = []
        for _ in range(MARK_CHARS):
            number, letter = divmod(number, 26)
            letters.append(chr(ord("a") + letter))
        found = "".join(letters)
        if found not in instruction and found not in response:
            return found
        turn += 1


CONTROL_SPELLING = re.compile(
    r"(?<=<)(?=[|｜])|(?<=[|｜])(?=>)"
    r"|(?<=<)(?=/?(?:s|eos|bos|pad|unk|mask|cls|sep|think|sys|system|user|assistant|tool_call"
    r"|start_of_turn|end_of_turn)>)"
    r"|(?<=\[)(?=/?(?:inst|res|system_prompt|available_tools|tool_calls)\])",
    re.IGNORECASE,
)
"""Where a space breaks the spelling of a token by which a model's turn begins or ends, or of a
bound by which this project marks a rewrite. Source: the chat templates of the Llama, ChatML, Gemma,
Mistral, DeepSeek and Phi families."""

NAMED_SCORE = re.compile(
    r"""(?ix) \b (?: score | rating | grade | verdict ) \b ["'*_`\]]{0,4} \s* (?: : | = | ： )
    (?: ["'*_`\s]{0,6} -?\d+ (?: \s? [./] \s? \d+ )* ["'*_`]{0,4} )?"""
)
"""A label for a score, with the number after it where there is one."""

SPOKEN_LINE = re.compile(
    r"(?im)^(?P<before>[^\w\n]{0,8}(?:system|user|assistant|human|instruction|response|rubric))"
    r"[^\w\n]*:"
)
"""A line that begins as a turn, or as a part of the prompt, does."""

_RATED = "(a rating)"
_VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def escaped(text: str) -> str:
    """Return a text as the judge may see it."""
    # Hidden characters first: what they break into pieces is whole again for what follows.
    seen = _VARIATION.sub("", "".join(c for c in text if not _is_hidden(c)))
    seen = CONTROL_SPELLING.sub(" ", seen)
    seen = NAMED_SCORE.sub(_RATED, seen)
    return SPOKEN_LINE.sub(r"\g<before> -", seen)


def _is_hidden(character: str) -> bool:
    """Say whether a character shows nothing: a format or a control character, but for layout."""
    return unicodedata.category(character) in ("Cf", "Cc") and character not in "\n\r\t"
