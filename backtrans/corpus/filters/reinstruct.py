"""REInstruct's selection of texts: impersonal, not asking, not shouting.

Source: REInstruct (2408.10663), section 3.1, and its code (github.com/cs32963/REInstruct,
prepare_unlabeled_texts.py) for which pronouns count: those of a voice that tells of itself or of
others, not "you", which a guide needs. Counted here by whole words: a pronoun before a comma is
one, and "US" is none; a number or a lone "I" is no word in capitals, as it is in that code. Its
other rules (length, odd characters, verbs that begin paragraphs) are not here.

English only. Off by default: it is a choice of style that most texts do not meet (a biography says
"he" more than twice), and the curating model rates a personal voice low by itself.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.rule import Rule, check_numbers, over

SOURCE = "REInstruct (2408.10663), section 3.1"

# "i." is the beginning of "i.e."; "US" and "IT" are names.
PRONOUN = re.compile(r"\b(?:[Ww]e|WE|[Oo]ur|OUR|[Uu]s|[Mm]y|MY|[Hh]e|HE|[Ss]he|SHE|I|i(?!\.))\b")
CAPITALS = re.compile(r"\b[^\W\d_a-z]{2,}\b")


@dataclass(frozen=True, slots=True)
class REInstructSettings:
    """How many there may be; thresholds as published, each of them still allowed."""

    max_pronouns: int = 2  # I, we, us, our, my, he, she
    max_question_marks: int = 1  # wherever they stand
    max_capital_words: int = 2  # words of two letters or more, all of them capitals

    def __post_init__(self) -> None:
        check_numbers(self)


def rules(settings: REInstructSettings) -> tuple[Rule, ...]:
    """Return the rules, cheapest first."""
    of = settings
    checks: dict[str, Callable[[Candidate], str | None]] = {
        "reinstruct_questions": lambda c: over(
            c.text.count("?"), of.max_question_marks, "question marks"
        ),
        "reinstruct_capitals": lambda c: over(
            sum(map(str.isupper, CAPITALS.findall(c.text))),
            of.max_capital_words,
            "words in capitals",
        ),
        "reinstruct_pronouns": lambda c: over(
            len(PRONOUN.findall(c.text)), of.max_pronouns, "personal pronouns"
        ),
    }
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())
