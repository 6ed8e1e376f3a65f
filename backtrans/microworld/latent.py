"""What lies behind a page: its kind, its wording and its slots; and how these become text.

Promises: nothing here hangs on `hash()`, on set order or on the platform; a combination of slot
values is held out, or a fresh name is, by a sha256 of its own text, so for every world alike.

Does not know noise, ratings, or which model reads the text.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from backtrans.microworld.kinds import BY_NAME, KINDS, Kind
from backtrans.microworld.vocabulary import (
    FIRST_SYLLABLES,
    KNOWN,
    LATER_SYLLABLES,
    SEEN_NAMES,
    SLOTS,
)

Split = Literal["train", "heldout"]

HELD_OUT_IN_FOUR = 1
"""Of four slot combinations, and of four fresh names, so many are never in training data.
Source: the 25% of the feasibility study."""


def digest(text: str) -> int:
    """Return a number for a text, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def stream(*key: object) -> Random:
    """Return a random stream for a key such as (seed, purpose, index)."""
    return Random(digest("/".join(map(str, ("backtrans-microworld", *key)))))


def is_held_out(text: str) -> bool:
    """Say whether a slot combination or a fresh name belongs to the held-out quarter."""
    return digest(f"held-out:{text}") % 4 < HELD_OUT_IN_FOUR


@dataclass(frozen=True, slots=True)
class Latent:
    """The instruction behind a page, before any words: `form` is the paraphrase's place."""

    kind: str
    form: int
    values: tuple[tuple[str, str], ...]

    @property
    def template(self) -> Kind:
        """The kind with its templates."""
        return BY_NAME[self.kind]

    @property
    def combination(self) -> str:
        """The slot values without the names: what is held out or not."""
        values = dict(self.values)
        return ":".join((self.kind, *(values[slot] for slot in self.template.slots)))

    @property
    def split(self) -> Split:
        """Where this combination belongs."""
        return "heldout" if is_held_out(self.combination) else "train"

    def instruction(self) -> str:
        """Return the instruction in this paraphrase."""
        return fill(self.template.instructions[self.form], dict(self.values))

    def lines(self, rng: Random) -> list[str]:
        """Return the clean page's lines, the alternatives drawn from `rng`."""
        values, lines = dict(self.values), []
        for line in self.template.pages[self.form]:
            times = 1
            if line.startswith("* "):
                times = SLOTS["number"].index(values["number"]) + 3
            lines += [_choose(fill(line, values), rng) for _ in range(times)]
        return lines

    def changed(self, slot: str, value: str) -> "Latent":
        """Return the same latent with another value in one slot."""
        return replace(self, values=tuple((s, value if s == slot else v) for s, v in self.values))


_FIELD = re.compile(r"\{(\w+)(\.known)?\}")
_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")


def fill(template: str, values: dict[str, str]) -> str:
    """Put slot values, and what is known of them, into a template; start with a capital."""

    def value(field: re.Match[str]) -> str:
        word = values[field[1]]
        return KNOWN[field[1]][word] if field[2] else word

    text = _FIELD.sub(value, template)
    return text[0].upper() + text[1:]


def _choose(text: str, rng: Random) -> str:
    return _ALTERNATIVES.sub(lambda found: rng.choice(found[1].split("|")), text)


def fresh_name(rng: Random, split: Split) -> str:
    """Build a name of syllables that belongs to `split`."""
    while True:
        later = rng.choices(LATER_SYLLABLES, k=rng.choice((1, 2)))
        name = rng.choice(FIRST_SYLLABLES) + "".join(later)
        if is_held_out(name) == (split == "heldout") and name not in SEEN_NAMES:
            return name


def draw_name(rng: Random, split: Split, fresh: bool, taken: str = "") -> str:
    """Draw a name, fresh or of the fixed list, other than `taken`."""
    while True:
        name = fresh_name(rng, split) if fresh else rng.choice(SEEN_NAMES)
        if name != taken:
            return name


def draw(rng: Random, split: Split, fresh: bool) -> Latent:
    """Draw a latent whose combination, and whose fresh names, belong to `split`."""
    while True:
        kind = rng.choice(KINDS)
        values: list[tuple[str, str]] = []
        taken = ""
        for slot in kind.names:
            taken = draw_name(rng, split, fresh, taken)
            values.append((slot, taken))
        values += [(slot, rng.choice(SLOTS[slot])) for slot in kind.slots]
        latent = Latent(kind.name, rng.randrange(len(kind.pages)), tuple(values))
        if latent.split == split:
            return latent


def near_miss(rng: Random, latent: Latent, split: Split, fresh: bool) -> tuple[Latent, str]:
    """Change one slot, as a backward model's errors do; return the slot too.

    A name changes as a whole or, if fresh, often by one syllable only. The changed combination
    stays in the split, so that training data never names a held-out one.
    """
    while True:
        slot = rng.choice([slot for slot, _ in latent.values])
        old = dict(latent.values)[slot]
        if slot in SLOTS:
            new = rng.choice(SLOTS[slot])
        elif fresh and rng.random() < 0.5:
            new = _misspelt(rng, old)
        else:
            new = draw_name(rng, split, fresh, old)
        if slot not in SLOTS and fresh and is_held_out(new) != (split == "heldout"):
            continue
        changed = latent.changed(slot, new)
        values = dict(changed.values)
        if new != old and changed.split == split and values.get("name") != values.get("rival"):
            return changed, slot


def _misspelt(rng: Random, name: str) -> str:
    for last in sorted(LATER_SYLLABLES, key=len, reverse=True):
        if name.endswith(last):
            return name[: -len(last)] + rng.choice(LATER_SYLLABLES)
    return name
