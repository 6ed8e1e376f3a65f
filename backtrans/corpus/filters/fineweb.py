"""FineWeb's rules: most lines end like sentences, few are short, none comes twice.

Source: FineWeb (2406.17557), section 3.6 (the three custom filters), and for newlines the code
that it was made with (github.com/huggingface/datatrove). Of repeated characters the paper allows
0.1, that code 0.01; here it is the paper's. Thresholds were chosen on whole pages.

Off by default: a list, a recipe or a table of steps is a good response with short lines and no full
stops.
"""

from collections.abc import Callable
from dataclasses import dataclass

from backtrans.corpus.filters.candidate import Candidate, repeated
from backtrans.corpus.filters.rule import Rule, check_numbers, over, share, under

SOURCE = "FineWeb (2406.17557), section 3.6"

# Source: the characters with the property Sentence_Terminal in Unicode's PropList.txt (17.0), as
# ranges of code points.
_TERMINAL_RANGES = """
21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736
17D4-17D5 1803 1809 1944-1945 1AA8-1AAB 1B4E-1B4F 1B5A-1B5B 1B5E-1B5F 1B7D-1B7F 1C3B-1C3C 1C7E-1C7F
2024 203C-203D 2047-2049 2CF9-2CFB 2E2E 2E3C 2E53-2E54 2E60-2E61 3002 A4FF A60E-A60F A6F3 A6F7
A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE12 FE15-FE16 FE52 FE56-FE57 FF01 FF0E
FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD
111DE-111DF 11238-11239 1123B-1123C 112A9 113D4-113D5 1144B-1144C 115C2-115C3 115C9-115D7
11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44
16A6E-16A6F 16AF5 16B37-16B38 16B44 16D6E-16D6F 16E98 1BC9F 1DA88
"""


def _characters(ranges: str) -> frozenset[str]:
    found: set[str] = set()
    for each in ranges.split():
        first, _, last = each.partition("-")
        found.update(map(chr, range(int(first, 16), int(last or first, 16) + 1)))
    return frozenset(found)


TERMINAL = _characters(_TERMINAL_RANGES)
"""What ends a sentence. Closing quotes do not: in FineWeb a line that ends in one has no end."""


@dataclass(frozen=True, slots=True)
class FineWebSettings:
    """How lines must be; thresholds as published, each of them still allowed."""

    min_lines_with_end: float = 0.12  # share of lines that end with a terminal mark
    max_short_lines: float = 0.67  # share of lines
    short_line_chars: int = 30  # at most
    max_duplicate_chars: float = 0.1  # share of characters in lines that came before
    max_newlines_per_word: float = 0.3  # a list of words has one for each

    def __post_init__(self) -> None:
        check_numbers(self)


def rules(settings: FineWebSettings) -> tuple[Rule, ...]:
    """Return the rules, cheapest first. Lines that are blank do not count."""
    of = settings

    def unended(candidate: Candidate) -> str | None:
        lines = candidate.filled_lines
        ended = share(sum(line[-1] in TERMINAL for line in lines), len(lines))
        return under(ended, of.min_lines_with_end, "of the lines end with a terminal mark")

    def short(candidate: Candidate) -> str | None:
        lines = candidate.filled_lines
        found = share(sum(len(line) <= of.short_line_chars for line in lines), len(lines))
        return over(
            found, of.max_short_lines, f"of the lines have {of.short_line_chars} characters"
        )

    def duplicate(candidate: Candidate) -> str | None:
        chars = len(candidate.text) - candidate.text.count("\n")
        found = share(repeated(candidate.filled_lines)[1], chars)
        return over(
            found, of.max_duplicate_chars, "of the characters are in lines that came before"
        )

    def list_like(candidate: Candidate) -> str | None:
        found = share(candidate.text.count("\n"), len(candidate.words))
        return over(found, of.max_newlines_per_word, "newlines a word")

    checks: dict[str, Callable[[Candidate], str | None]] = {
        "fineweb_unended_lines": unended,
        "fineweb_short_lines": short,
        "fineweb_duplicate_chars": duplicate,
        "fineweb_newlines": list_like,
    }
    return tuple(Rule(name, SOURCE, check) for name, check in checks.items())
