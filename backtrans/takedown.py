"""What must go: documents withdrawn by id, URL, domain or input object, and who they are.

    takedowns/000001.json      put new; a list only grows, and no entry is ever taken back

Promises: once a takedown is recorded, no run that begins holds a row of it in a snapshot, nor keeps
its text when it reads the corpus. A run that is putting files at that moment ends with a snapshot
without it, at once after one that may still have it. The recipe does not enter: what was withdrawn
stays so whatever the recipe is.

Does not know: parts and splits, nor how their bytes are removed (`purge`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from pydantic import TypeAdapter

from backtrans.corpus.urls import domains_over, plain_domain, plain_url
from backtrans.entries import decoded, encoded
from backtrans.errors import ConfigError
from backtrans.ledger import Ledger

KINDS = ("id", "url", "domain", "object")
"""What an entry may name: a document id, its URL, the domain of its URL, an input object's URL."""

COLUMNS = ("document_id", "url", "object")
"""The columns of a row by which it is told whether it must go."""


@dataclass(frozen=True, slots=True)
class Takedown:
    """One list of what must go, as it was asked for."""

    number: int
    id: tuple[str, ...] = ()
    url: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    object: tuple[str, ...] = ()
    reason: str = ""
    requested_at: str = ""  # UTC, ISO 8601

    def __len__(self) -> int:
        return sum(len(getattr(self, kind)) for kind in KINDS)


TAKEDOWN = TypeAdapter(Takedown)


@dataclass(frozen=True)
class Withdrawn:
    """All that must go, ready to be asked about rows. Pickles; travels to workers."""

    number: int = 0  # of the last takedown in it
    ids: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.ids or self.urls or self.domains or self.objects)

    def why(self, document_id: str | None, url: str | None, object_url: str | None) -> str | None:
        """Say by what a row must go, such as "domain example.org"; None where it may stay."""
        if document_id in self.ids:
            return f"id {document_id}"
        if object_url in self.objects:
            return f"object {object_url}"
        if url is None or not (self.urls or self.domains):
            return None
        if plain_url(url) in self.urls:
            return f"url {url}"
        for domain in domains_over(url):
            if domain in self.domains:
                return f"domain {domain}"
        return None

    def mask(self, rows: pa.Table) -> list[bool]:
        """Say of each row of a table that has COLUMNS whether it must go."""
        if not self:
            return [False] * rows.num_rows
        columns = (rows[name].to_pylist() for name in COLUMNS)
        return [self.why(*row) is not None for row in zip(*columns, strict=True)]


def asked(entries: Sequence[tuple[str, str]], reason: str = "", requested_at: str = "") -> Takedown:
    """Return a takedown of these (kind, value), not yet recorded. Raises: ConfigError."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for kind, value in entries:
        if kind not in by_kind:
            raise ConfigError(f"{kind} {value}: no such kind; there are {', '.join(KINDS)}")
        value = value.strip()
        if not value or (kind == "domain" and not plain_domain(value)):
            raise ConfigError(f"{kind} {value!r}: names nothing that could be taken down")
        if kind == "object" and not value.startswith(("/", "s3://")):
            raise ConfigError(
                f"object {value!r}: say the whole path, or s3://..., as `rejects` shows it"
            )
        by_kind[kind].append(value)
    return Takedown(
        0,
        **{kind: tuple(dict.fromkeys(values)) for kind, values in by_kind.items()},
        reason=reason,
        requested_at=requested_at,
    )


def listed(text: str, name: str) -> list[tuple[str, str]]:
    """Read a list: a line an entry, kind and value, such as "domain example.org"; # is a comment.

    Raises: ConfigError naming the line.
    """
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not (line := line.strip()) or line.startswith("#"):
            continue
        kind, _, value = line.partition(" ")
        if kind not in KINDS or not value.strip():
            raise ConfigError(f"{name}, line {number}: {line!r} is not a kind and a value")
        entries.append((kind, value))
    return entries


def takedowns(ledger: Ledger) -> list[Takedown]:
    """Return every takedown, the first one first. Raises: StoreError naming a bad record."""
    keys = [info.key for info in ledger.store.list("takedowns/")]
    return [decoded(TAKEDOWN, key, ledger.store.get(key)) for key in keys]


def record(ledger: Ledger, takedown: Takedown) -> Takedown:
    """Record a takedown under the next free number."""
    number = len(list(ledger.store.list("takedowns/")))
    while True:
        number += 1
        numbered = replace(takedown, number=number)
        if ledger.store.put_new(f"takedowns/{number:06d}.json", encoded(numbered)):
            return numbered


def together(lists: Sequence[Takedown]) -> Withdrawn:
    """Return all that these takedowns name, ready to be asked about rows."""
    return Withdrawn(
        max((each.number for each in lists), default=0),
        frozenset(value for each in lists for value in each.id),
        frozenset(plain_url(value) for each in lists for value in each.url),
        frozenset(plain_domain(value) for each in lists for value in each.domain),
        frozenset(value for each in lists for value in each.object),
    )


def withdrawn(ledger: Ledger) -> Withdrawn:
    """Return all that has been taken down."""
    return together(takedowns(ledger))
