"""Languages are told by py3langid, loaded when it is first asked."""

import subprocess
import sys

import pytest

from backtrans.corpus.document import Document
from backtrans.corpus.filters.language import FIRST_CHARS, LanguageSettings, language_of
from backtrans.corpus.filters.ordered import Filters, FilterSettings
from backtrans.errors import ConfigError

TEXTS = {
    "en": "The kettle should be filled with cold water before it is put on the stove.",
    "de": "Der Wasserkocher soll mit kaltem Wasser gefüllt werden, bevor man ihn einschaltet.",
    "fr": "La bouilloire doit être remplie d'eau froide avant d'être posée sur le feu.",
    "es": "El hervidor debe llenarse con agua fría antes de ponerlo sobre el fuego.",
    "ru": "Чайник следует наполнить холодной водой, прежде чем ставить его на плиту.",
    "ja": "やかんを火にかける前に、冷たい水を入れてください。",
}


def reason(text: str, **settings: object) -> str | None:
    made = LanguageSettings(**settings)  # type: ignore[arg-type]
    filters = Filters(FilterSettings(families=("language",), language=made))
    found = filters.of_segment(text, Document(text=text))
    return found.reason if found else None


@pytest.mark.parametrize("language", TEXTS)
def test_a_sentence_is_told_by_its_language(language: str) -> None:
    assert language_of(TEXTS[language])[0] == language
    assert reason(TEXTS[language], allowed=(language,)) is None
    others = tuple(code for code in TEXTS if code != language)
    assert reason(TEXTS[language], allowed=others) == "language_other"


def test_a_wanted_language_that_is_too_uncertain_is_refused_for_that() -> None:
    _, probability = language_of(TEXTS["en"])
    assert reason(TEXTS["en"], min_probability=probability - 0.001) is None
    assert reason("Tea.", allowed=(language_of("Tea.")[0],), min_probability=0.9) == (
        "language_unsure"
    )


@pytest.mark.parametrize("text", ["", "   ", "!!!", "1234 5678"])
def test_a_text_that_says_nothing_is_in_no_wanted_language(text: str) -> None:
    assert reason(text) in ("language_other", "language_unsure")


def test_only_the_beginning_of_a_text_is_read() -> None:
    beginning = (TEXTS["en"] + " ") * 20
    assert len(beginning) > FIRST_CHARS
    assert language_of(beginning) == language_of(beginning[:FIRST_CHARS] + TEXTS["ja"] * 200)


def test_the_model_is_loaded_only_when_a_text_is_judged() -> None:
    script = (
        "import sys\n"
        "from backtrans.corpus.filters.ordered import Filters, FilterSettings\n"
        "from backtrans.corpus.document import Document\n"
        "filters = Filters(FilterSettings(families=('language',)))\n"
        "assert 'py3langid' not in sys.modules\n"
        "filters.of_segment('A text.', Document(text=''))\n"
        "assert 'py3langid' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("settings", [{"allowed": ()}, {"allowed": ("english",)}])
def test_settings_that_allow_no_language_are_a_config_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="LanguageSettings"):
        LanguageSettings(**settings)  # type: ignore[arg-type]
