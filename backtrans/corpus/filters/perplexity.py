"""The corpus's own perplexity: the head split, where the metadata tells of one.

Source: CCNet (1911.00359), section 3.3: a document's perplexity under a model of Wikipedia, and by
it the third of its language, head, middle or tail. Back-and-forth translation (2408.04614, section
3.1) takes the head. Dolma v1's Common Crawl documents carry both in their metadata, as `bucket`
("head") and `perplexity` (168.2).

A document whose metadata has no such field is no worse for it, and stays.

Off by default: a corpus that carries buckets is most often one from which they have been chosen.
"""

from collections.abc import Callable
from dataclasses import dataclass

from backtrans.corpus.filters.candidate import Candidate, field_key
from backtrans.corpus.filters.rule import Rule, check_numbers, over
from backtrans.errors import ConfigError

SOURCE = "CCNet (1911.00359), section 3.3; back-and-forth (2408.04614), section 3.1"


@dataclass(frozen=True, slots=True)
class PerplexitySettings:
    """Which buckets may stay, and up to which perplexity; 0 is no bound: none is published."""

    bucket_field: str = "bucket"  # the metadata field with the third of its language
    buckets: tuple[str, ...] = ("head",)  # those that may stay
    perplexity_field: str = "perplexity"  # the metadata field with the figure
    max_perplexity: float = 0.0  # 0: no bound

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.buckets and not self.max_perplexity:
            raise ConfigError("PerplexitySettings: neither buckets nor max_perplexity")


def rules(settings: PerplexitySettings) -> tuple[Rule, ...]:
    """Return the rules, which judge documents."""
    bucket_field = field_key(settings.bucket_field)
    perplexity_field = field_key(settings.perplexity_field)
    buckets = frozenset(bucket.strip().casefold() for bucket in settings.buckets)

    def bucket(candidate: Candidate) -> str | None:
        found = candidate.metadata.get(bucket_field)
        if not buckets or not isinstance(found, str) or found.strip().casefold() in buckets:
            return None
        return f"bucket {found[:100]!r}, not {', '.join(settings.buckets)}"

    def perplexity(candidate: Candidate) -> str | None:
        found = candidate.metadata.get(perplexity_field)
        if not settings.max_perplexity or not isinstance(found, int | float):
            return None
        return over(float(found), settings.max_perplexity, "perplexity")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "perplexity_bucket": bucket,
        "perplexity_high": perplexity,
    }
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())
