"""What a model is trained on: pairs and replayed exchanges, each once, and what was refused.

    data = gathered([*seed_pairs(...), *a5_pairs], replay=exchanges)

Promises: the same pairs in any order, with any repeated, are the same data with the same digest;
what is left out is counted under its reason.

Does not know: files, tokens, models. What is too long is found when a tokenizer is at hand.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from backtrans.dialogue import Message

RoleName = Literal["backward", "forward"]
"""M_yx learns output -> instruction, M_0 and M_t learn instruction -> output."""

Why = Literal[
    "empty", "duplicate", "too_long", "not_text", "other_language", "deleted", "no_best_reply"
]

WHY: dict[Why, str] = {
    "empty": "the instruction or the output is blank",
    "duplicate": "another pair has the same instruction and output",
    "too_long": "it has more tokens than max_tokens, or more characters than max_chars",
    "not_text": "the instruction or the output is no text",
    "other_language": "of a conversation tree: the first turn is in another language",
    "deleted": "of a conversation tree: the first turn was deleted, or refused in its review",
    "no_best_reply": "of a conversation tree: no reply of rank 0 stands",
}
"""Every reason for which a row is not trained on, and what it means."""


FAULTS: tuple[Why, ...] = ("empty", "not_text")
"""Reasons that speak of a mistake in a file, not of a choice among its rows."""


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """An instruction and its output; `augmented` ones were backtranslated, others are the seed's.

    The tag that tells the two apart is added where a pair is rendered, never here.
    """

    instruction: str
    output: str
    augmented: bool = False


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is replayed as it stands: messages, and the answer that is to be learnt."""

    messages: tuple[Message, ...]
    answer: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not trained on, and why. `detail` says where it stands."""

    why: Why
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Gathered data: each item once, in an order of its own.

    `counts` has "seed", "augmented", "replay" and each reason of `WHY` that refused anything.
    """

    pairs: tuple[TrainingPair, ...] = ()
    replay: tuple[Exchange, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""


def gathered(
    pairs: Iterable[TrainingPair | Refused], replay: Iterable[Exchange | Refused] = ()
) -> TrainingData:
    """Gather data. Rows: N -> kept + refused, which `counts` says by reason."""
    counts: Counter[str] = Counter()
    found = _once(pairs, counts)
    replayed = _once(replay, counts)
    mine = tuple(pair for pair in found.values() if isinstance(pair, TrainingPair))
    theirs = tuple(each for each in replayed.values() if isinstance(each, Exchange))
    counts.update("augmented" if pair.augmented else "seed" for pair in mine)
    counts["replay"] += len(theirs)
    whole = hashlib.sha256(orjson.dumps([sorted(found), sorted(replayed)]))
    return TrainingData(mine, theirs, dict(counts), whole.hexdigest()[:24])


def _once(
    rows: Iterable[TrainingPair | Exchange | Refused], counts: Counter[str]
) -> dict[str, TrainingPair | Exchange]:
    """Return each row under its digest, sorted by that; count the others."""
    found: dict[str, TrainingPair | Exchange] = {}
    for row in rows:
        if isinstance(row, Refused):
            counts[row.why] += 1
        elif not all(text.strip() for text in _needed(row)):
            counts["empty"] += 1
        elif (digest := _digest(row)) in found:
            counts["duplicate"] += 1
        else:
            found[digest] = row
    return dict(sorted(found.items()))


def _needed(row: TrainingPair | Exchange) -> Sequence[str]:
    """Return the texts that may not be blank; an exchange may ask nothing, for log p(y)."""
    return (row.answer,) if isinstance(row, Exchange) else (row.instruction, row.output)


def _digest(row: TrainingPair | Exchange) -> str:
    if isinstance(row, TrainingPair):
        plain: list[object] = [row.instruction, row.output, row.augmented]
    else:
        plain = [[[m.speaker, m.content] for m in row.messages], row.answer]
    return hashlib.sha256(orjson.dumps(plain)).hexdigest()
