"""Which language a text is in, by py3langid, and how sure that is.

Source: py3langid (github.com/adbar/py3langid), a naive Bayes model over byte n-grams of 97
languages; it lies in the package, so nothing is fetched. Its normalised probabilities are used. The
bound of 0.65 is FineWeb's (2406.17557, section 3.3), which takes it of another model.

Off by default: which languages are wanted is the corpus' question. Dolma's documents, for one, have
been through such a test already.

Promises: the same text gives the same answer in every process; the model is loaded when the first
text is judged, once a process. Its probabilities are single precision: on another processor the
last digits may differ, and a text that lies on the bound to within these may come out otherwise.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backtrans.corpus.filters.candidate import Candidate
from backtrans.corpus.filters.rule import Rule, check_numbers, under
from backtrans.errors import ConfigError

SOURCE = "FineWeb (2406.17557), section 3.3, by py3langid"

# Source: a language is plain long before; and the time that this takes grows with the text.
FIRST_CHARS = 1_000

_loading = threading.Lock()
_model: list[Any] = []  # one, once it is loaded


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """Which languages may stay, and how sure it must be that a text is in one of them."""

    allowed: tuple[str, ...] = ("en",)  # ISO 639-1
    min_probability: float = 0.65  # that the text is in it

    def __post_init__(self) -> None:
        check_numbers(self)
        if not self.allowed:
            raise ConfigError("LanguageSettings.allowed is empty: no text could stay")
        if unknown := sorted(code for code in self.allowed if len(code) not in (2, 3)):
            raise ConfigError(f"LanguageSettings.allowed: {', '.join(unknown)}: no language codes")


def language_of(text: str) -> tuple[str, float]:
    """Return the most probable language of a text's beginning, and its probability."""
    language, probability = _loaded().classify(text[:FIRST_CHARS])
    return str(language), float(probability)


def rules(settings: LanguageSettings) -> tuple[Rule, ...]:
    """Return the rules: another language, or a wanted one without being sure."""
    allowed = frozenset(settings.allowed)

    def told(candidate: Candidate) -> tuple[str, float]:
        return language_of(candidate.text)

    def other(candidate: Candidate) -> str | None:
        language, probability = candidate.once(told)
        if language in allowed:
            return None
        return f"{language} ({probability:.4g}), not {', '.join(settings.allowed)}"

    def unsure(candidate: Candidate) -> str | None:
        language, probability = candidate.once(told)
        return under(probability, settings.min_probability, f"probability of {language}")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "language_other": other,
        "language_unsure": unsure,
    }
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())


def _loaded() -> Any:
    if not _model:
        with _loading:
            if not _model:
                from py3langid.langid import MODEL_FILE, LanguageIdentifier

                _model.append(LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True))
    return _model[0]
