"""Mask personal data in a text, or refuse the text.

Promises: what is masked is gone as a whole, and nothing else of the text changes; of finds that
overlap the longest names them all, and they get one mask; to treat a treated text changes nothing
and finds nothing; a Reject's detail names kinds and counts, never a value.

Does not know: how each kind is found (`personal_data`, `credentials`), whose data it is, rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from backtrans.corpus.credentials import secrets
from backtrans.corpus.personal_data import Place, cards, emails, ip_addresses, phones
from backtrans.errors import ConfigError
from backtrans.records import Reject

Kind = Literal["email", "phone", "ip", "card", "secret"]
Treatment = Literal["keep", "mask", "drop"]

_FINDERS: dict[Kind, Callable[[str], Iterator[Place]]] = {
    # Of equally long finds at one place, the first here names them.
    "secret": secrets,
    "card": cards,
    "email": emails,
    "ip": ip_addresses,
    "phone": phones,
}

MASKS: dict[Kind, str] = {
    "email": "[email]",
    "phone": "[phone]",
    "ip": "[ip]",
    "card": "[card]",
    "secret": "[secret]",
}
"""What stands in a value's place. Dolma (2402.00159) writes special tokens (|||EMAIL_ADDRESS|||),
FineWeb (2406.17557) other addresses that look real. Segments become responses: a model that learns
them should write neither a token that its reader cannot place, nor an address; a word in brackets
is what people write in a form."""

MAX_PASSES = 8
"""A mask ends the word before it, so that what follows it may be found only then. A text that still
gives finds after so many passes was made to."""


@dataclass(frozen=True, slots=True)
class PrivacySettings:
    """What becomes of each kind. All of it decides the result.

    An address or a number is beside the point in nearly every text that has one, and a mask leaves
    the text whole: e-mail and IP addresses and telephone numbers are masked, as in Dolma. A card
    number or a credential is in no text that should be learnt from: what stands around it is a leak
    or a dump, so the text is dropped.
    """

    email: Treatment = "mask"
    """E-mail addresses."""
    phone: Treatment = "mask"
    """Telephone numbers."""
    ip: Treatment = "mask"
    """IP addresses."""
    card: Treatment = "drop"
    """Numbers of payment cards."""
    secret: Treatment = "drop"  # noqa: S105 (a treatment, no secret)
    """Passwords, keys and tokens."""

    def __post_init__(self) -> None:
        for kind in get_args(Kind):
            if self.of(kind) not in get_args(Treatment):
                raise ConfigError(
                    f"{kind}: no treatment {self.of(kind)!r}; there are keep, mask and drop"
                )

    def of(self, kind: Kind) -> Treatment:
        """Return what becomes of a kind."""
        treatment: Treatment = getattr(self, kind)
        return treatment


@dataclass(frozen=True, slots=True)
class Treated:
    """A text without the personal data that was asked for, and the kinds masked, in order."""

    text: str
    found: list[Kind]


@dataclass(frozen=True, slots=True)
class Find:
    """Personal data of one kind, and where it lies."""

    start: int
    end: int
    kind: Kind


class Privacy:
    """Treats texts as its settings say."""

    def __init__(self, settings: PrivacySettings | None = None) -> None:
        self._settings = settings or PrivacySettings()

    def treat(self, text: str) -> Treated | Reject:
        """Return a text with its personal data masked, or why it is refused."""
        masked: list[tuple[int, Kind]] = []  # where masks start in the text as it is now
        for _ in range(MAX_PASSES):
            found = [find for find in finds(text) if self._settings.of(find.kind) != "keep"]
            if not found:
                return Treated(text, [kind for _, kind in masked])
            dropped = [find.kind for find in found if self._settings.of(find.kind) == "drop"]
            if dropped:
                return refused(dropped)
            text, masked = _mask(text, found, masked)
        return refused([kind for _, kind in masked])


def finds(text: str) -> list[Find]:
    """Return the personal data in a text, in order and disjoint."""
    every = [
        Find(start, end, kind) for kind, finder in _FINDERS.items() for start, end in finder(text)
    ]
    found: list[Find] = []
    longest = 0  # characters of the find that names the last one
    for find in sorted(every, key=lambda find: find.start):
        chars = find.end - find.start
        if not found or find.start >= found[-1].end:
            found.append(find)
            longest = chars
            continue
        last = found[-1]
        kind = find.kind if chars > longest else last.kind
        longest = max(longest, chars)
        found[-1] = Find(last.start, max(last.end, find.end), kind)
    return found


def refused(kinds: Iterable[Kind]) -> Reject:
    """Refuse a text for what it holds: kinds and counts."""
    counts = Counter(kinds)
    detail = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    return Reject("secret" if counts["secret"] else "personal_data", detail)


def _mask(
    text: str, found: list[Find], masked: list[tuple[int, Kind]]
) -> tuple[str, list[tuple[int, Kind]]]:
    """Put masks in the finds' places; return the text, and all masks where they now start."""
    pieces: list[str] = []
    places: list[tuple[int, Kind]] = []
    earlier = iter([*masked, (len(text) + 1, "email")])
    start, kind = next(earlier)
    at = shift = 0  # what is copied of the text; how far what follows has moved
    for find in found:
        while start < find.start:
            places.append((start + shift, kind))
            start, kind = next(earlier)
        while start < find.end:  # a mask within a find goes, and its kind was found all the same
            places.append((find.start + shift, kind))
            start, kind = next(earlier)
        places.append((find.start + shift, find.kind))
        pieces += [text[at : find.start], MASKS[find.kind]]
        at = find.end
        shift += len(MASKS[find.kind]) - (find.end - find.start)
    places += [(each + shift, kind) for each, kind in [(start, kind), *earlier][:-1]]
    pieces.append(text[at:])
    return "".join(pieces), places
