"""Lists: what may not be used, whatever its text is like.

Domains and URLs that are blocked; domains that opted out, and documents whose metadata says so;
licences. Source: each list is its user's. What an opting-out looks like in metadata: the robots
directives "noai" and "noml" in use on the web, and the W3C's TDM Reservation Protocol
(`tdm-reservation: 1`).

On by default: the lists are empty until someone fills them, and who opted out in so many words is
heard unasked.

Does not know: takedowns, which go over what is published already; the files of robots.txt: a list
of domains is made from them before a run, since a recipe must not depend on the web of the day.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from backtrans.corpus.filters.candidate import Candidate, field_key
from backtrans.corpus.filters.rule import Rule
from backtrans.corpus.urls import domains_over, plain_domain, plain_url
from backtrans.errors import ConfigError

SOURCE = "the recipe's own lists"
ANY_REST = "*"
YES = frozenset({"1", "true", "yes"})
MAX_SHOWN_CHARS = 100
BETWEEN_DIRECTIVES = re.compile(r"[\s,;:]+")


@dataclass(frozen=True, slots=True)
class ListSettings:
    """The lists. A domain means its subdomains too; a URL that ends in * all that begin so."""

    blocked_domains: tuple[str, ...] = ()  # none of their documents is taken
    blocked_urls: tuple[str, ...] = ()  # nor of these addresses
    opted_out_domains: tuple[str, ...] = ()  # the same, under a reason of its own
    # Metadata fields that say by a true value that their document opted out ...
    opt_out_fields: tuple[str, ...] = ("noai", "noml", "tdm_reservation")
    # ... and fields with directives, such as "noindex, noai", and which of these say so.
    directive_fields: tuple[str, ...] = ("robots", "x_robots_tag")
    opt_out_directives: tuple[str, ...] = ("noai", "noml")  # in one of those fields
    licence_field: str = "license"  # the metadata field that names a document's licence
    allowed_licences: tuple[str, ...] = ()  # any, where there are none; else no others, nor none

    def __post_init__(self) -> None:
        for name in ("blocked_domains", "blocked_urls", "opted_out_domains"):
            for entry in getattr(self, name):
                if not plain_domain(entry.removesuffix(ANY_REST)):
                    raise ConfigError(f"ListSettings.{name}: {entry!r} names no domain")
        for entry in (*self.blocked_domains, *self.opted_out_domains):
            if plain_domain(entry) != plain_url(entry) or ANY_REST in entry:
                raise ConfigError(f"ListSettings: {entry!r} is no domain; may it be a URL?")


def rules(settings: ListSettings) -> tuple[Rule, ...]:
    """Return the rules of lists that hold anything; they judge documents."""
    of = settings
    checks: dict[str, Callable[[Candidate], str | None]] = {}
    if of.opted_out_domains:
        checks["opted_out_domain"] = _domains(of.opted_out_domains)
    if of.blocked_domains:
        checks["blocked_domain"] = _domains(of.blocked_domains)
    if of.blocked_urls:
        checks["blocked_url"] = _urls(of.blocked_urls)
    if of.opt_out_fields or (of.directive_fields and of.opt_out_directives):
        checks["opted_out"] = _opted_out(of)
    if of.allowed_licences:
        checks["licence_not_allowed"] = _licences(of)
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())


def _domains(listed: Iterable[str]) -> Callable[[Candidate], str | None]:
    domains = frozenset(map(plain_domain, listed))

    def check(candidate: Candidate) -> str | None:
        over = domains_over(candidate.document.url or "")
        return next((f"domain {domain}" for domain in over if domain in domains), None)

    return check


def _urls(listed: Iterable[str]) -> Callable[[Candidate], str | None]:
    exact = frozenset(plain_url(url) for url in listed if not url.endswith(ANY_REST))
    gathered: defaultdict[str, list[str]] = defaultdict(list)
    for url in listed:
        if url.endswith(ANY_REST):
            begin = url.removesuffix(ANY_REST)
            # A last slash says where a prefix ends: /a/ is not the beginning of /ab.
            gathered[plain_domain(begin)].append(plain_url(begin) + "/" * begin.endswith("/"))
    prefixes = {domain: tuple(found) for domain, found in gathered.items()}

    def check(candidate: Candidate) -> str | None:
        url = plain_url(candidate.document.url or "")
        if not url:
            return None
        if url in exact:
            return f"url {url[:MAX_SHOWN_CHARS]}"
        begins = prefixes.get(plain_domain(url), ())
        # The page /a is the page /a/, which begins with /a/.
        path, mark, query = url.partition("?")
        slashed = f"{path}/{mark}{query}"
        found = (each for each in begins if url.startswith(each) or slashed.startswith(each))
        return next((f"url under {each[:MAX_SHOWN_CHARS]}" for each in found), None)

    return check


def _opted_out(of: ListSettings) -> Callable[[Candidate], str | None]:
    flags = tuple(map(field_key, of.opt_out_fields))
    fields = tuple(map(field_key, of.directive_fields))
    directives = frozenset(each.strip().casefold() for each in of.opt_out_directives)

    def check(candidate: Candidate) -> str | None:
        metadata = candidate.metadata
        for name in flags:
            if name in metadata and str(metadata[name]).strip().casefold() in YES:
                return f"{name} is {metadata[name]}"
        for name in fields:
            for text in _texts(metadata.get(name)):
                # A directive may stand after a robot's name: "otherbot: noai".
                found = directives.intersection(BETWEEN_DIRECTIVES.split(text.casefold()))
                if found:
                    return f"{name} says {min(found)}"
        return None

    return check


def _licences(of: ListSettings) -> Callable[[Candidate], str | None]:
    field = field_key(of.licence_field)
    allowed = frozenset(each.strip().casefold() for each in of.allowed_licences)

    def check(candidate: Candidate) -> str | None:
        found = _texts(candidate.metadata.get(field))
        if not found:
            return f"no {of.licence_field}"
        refused = [text for text in found if text.strip().casefold() not in allowed]
        return f"{of.licence_field} {refused[0][:MAX_SHOWN_CHARS]!r}" if refused else None

    return check


def _texts(value: Any) -> list[str]:
    """Return a text, or a list of texts, as a list; what is neither says nothing."""
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]
