"""All rules that are on, in order: cheapest first, so that the first that objects is soon found.

    Filters(settings).of_document(document)         the rules that need no text, before it is cut
    Filters(settings).of_segment(text, document)    the rules of text, for each piece

Promises: a pure function of settings, text and document; the reason is that of the first rule in
order that objects, so a count of reasons says what was refused, not all that was wrong with it.

Does not know: rows and parts; how documents are cut. Settings travel to workers; `Filters` are made
where they are used, since rules do not pickle.
"""

from dataclasses import dataclass, field

from backtrans.corpus.document import Document
from backtrans.corpus.filters import c4, fineweb, gopher, language, lists, perplexity, reinstruct
from backtrans.corpus.filters.c4 import C4Settings
from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.fineweb import FineWebSettings
from backtrans.corpus.filters.gopher import GopherQualitySettings, GopherRepetitionSettings
from backtrans.corpus.filters.language import LanguageSettings
from backtrans.corpus.filters.lists import ListSettings
from backtrans.corpus.filters.perplexity import PerplexitySettings
from backtrans.corpus.filters.reinstruct import REInstructSettings
from backtrans.corpus.filters.rule import Rule
from backtrans.errors import ConfigError
from backtrans.records import Reject

FAMILIES = (
    "lists", "perplexity",
    "fineweb", "c4", "gopher_quality", "reinstruct", "gopher_repetition", "language",
)  # fmt: skip
"""The families of rules in order: those that judge documents, then those that judge text. Source of
the order: `python -m bench.filters`."""

OF_DOCUMENTS = FAMILIES[:2]

ON_BY_DEFAULT = ("lists",)
"""What holds of any text in any language; each family's module says why it is on or off."""


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """Which families are on, and their thresholds. All of it decides the result. Each rule, and
    where it is from: docs/filters.md.
    """

    families: tuple[str, ...] = ON_BY_DEFAULT
    """Those that are on: the other keys of this section, by name. What is set for a family that is
    off decides nothing."""
    lists: ListSettings = field(default_factory=ListSettings)
    perplexity: PerplexitySettings = field(default_factory=PerplexitySettings)
    c4: C4Settings = field(default_factory=C4Settings)
    fineweb: FineWebSettings = field(default_factory=FineWebSettings)
    reinstruct: REInstructSettings = field(default_factory=REInstructSettings)
    gopher_quality: GopherQualitySettings = field(default_factory=GopherQualitySettings)
    gopher_repetition: GopherRepetitionSettings = field(default_factory=GopherRepetitionSettings)
    language: LanguageSettings = field(default_factory=LanguageSettings)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.families) - set(FAMILIES)):
            known = ", ".join(FAMILIES)
            raise ConfigError(f"no such filters: {', '.join(unknown)}; there are {known}")


def rules_of(family: str, settings: FilterSettings) -> tuple[Rule, ...]:
    """Return a family's rules in order, whether it is on or not."""
    make = {
        "lists": lambda: lists.rules(settings.lists),
        "perplexity": lambda: perplexity.rules(settings.perplexity),
        "c4": lambda: c4.rules(settings.c4),
        "fineweb": lambda: fineweb.rules(settings.fineweb),
        "reinstruct": lambda: reinstruct.rules(settings.reinstruct),
        "gopher_quality": lambda: gopher.quality_rules(settings.gopher_quality),
        "gopher_repetition": lambda: gopher.repetition_rules(settings.gopher_repetition),
        "language": lambda: language.rules(settings.language),
    }
    return make[family]()


class Filters:
    """The rules that are on."""

    def __init__(self, settings: FilterSettings) -> None:
        on = [family for family in FAMILIES if family in settings.families]
        made = {family: rules_of(family, settings) for family in on}
        self.document_rules = tuple(r for f in on if f in OF_DOCUMENTS for r in made[f])
        self.text_rules = tuple(r for f in on if f not in OF_DOCUMENTS for r in made[f])

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them, in order."""
        return self.document_rules + self.text_rules

    def of_document(self, document: Document) -> Reject | None:
        """Say why none of a document's segments may stay, by what is known of it but its text."""
        if not self.document_rules:
            return None
        return _first(self.document_rules, Candidate("", document))

    def of_segment(self, text: str, document: Document) -> Reject | None:
        """Say why a segment may not stay, by its text."""
        return _first(self.text_rules, Candidate(text, document))

    def why(self, candidate: Candidate) -> Reject | None:
        """Say why a candidate may not stay, by all rules."""
        return _first(self.rules, candidate)


def _first(rules: tuple[Rule, ...], candidate: Candidate) -> Reject | None:
    for rule in rules:
        if (seen := rule.check(candidate)) is not None:
            return Reject(rule.name, seen)
    return None
