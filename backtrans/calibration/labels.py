"""The two files of a calibration: a sheet of pairs that a person labels, and the scores beside it.

    labels.csv           id, instruction, response, label: for a spreadsheet, or `calibrate label`
    labels.scores.json   the judge's figures of each pair, the strata: not for the labeller's eyes

Promises: no cell of a sheet is a formula, with whatever separator a spreadsheet reads it; a sheet
is there whole or not at all; one that a spreadsheet has written again (semicolons or tabs, CRLF, a
byte order mark, other columns) is read all the same, and whatever is wrong in it is an error that
names file and row, counted as a spreadsheet counts them.

Does not know: how pairs are drawn, which labels are good.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from backtrans import __version__
from backtrans.calibration.sample import Sample, Stratum
from backtrans.errors import ConfigError, InputError, plain
from backtrans.export import whole_file, write_json
from backtrans.records import Row

FORMAT = "backtrans.calibration/1"
COLUMNS = ("id", "instruction", "response", "label")
SKIPPED = "s"
SEPARATORS = ",;\t"

MAX_SHOWN_CHARS = 30_000
"""Of a text in a cell. Source: Excel has 32,767 characters a cell."""

_YES_NO = {"y": "y", "yes": "y", "n": "n", "no": "n"}
_NUMBER = re.compile(r"([1-5])(?:[.,]0+)?")
_LOOKS_LIKE_NUMBER = re.compile(r"[-+]?\d+(?:[.,]\d+)?")

# A character that makes a formula where a cell begins. "- a" is a list's item within a text.
_BEGINS = re.compile(r"[ '\"]*[=+\-@\t\r＝＋－＠]")
_WITHIN = r"(?=[=@＝＠]|[-+＋－](?!\s))"
_FORMULA = re.compile(rf"(?<=[;\t\r\n])([ '\"]*){_WITHIN}")
_GUARDED = re.compile(rf"(?<=[;\t\r\n])([ '\"]*)'{_WITHIN}")
"""Source: OWASP's page on CSV injection, for the characters."""


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: an apostrophe stands before it.

    Within a text too, where a cell begins for a program that expects semicolons or tabs.
    """
    found = _FORMULA.sub(r"\1'", text)
    return f"'{found}" if _BEGINS.match(found) else found


def unguarded(text: str) -> str:
    """Return the text that was guarded."""
    found = text[1:] if text.startswith("'") and _BEGINS.match(text, 1) else text
    return _GUARDED.sub(r"\1", found)


@dataclass(slots=True)
class Sheet:
    """A sheet as it is: its header, its rows of cells, and how it separates them."""

    path: Path
    header: list[str]
    rows: list[list[str]]
    separator: str = ","
    numbers: list[int] = field(default_factory=list)
    """Of the rows, in the file that was read. None once it is saved: blank rows are left out."""
    _places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self._places = {name: self.header.index(name) for name in self.header}

    def cell(self, row: int, column: str) -> str:
        """Return a cell's text; "" where the row or the header lacks it."""
        place = self._places.get(column)
        cells = self.rows[row]
        return cells[place] if place is not None and place < len(cells) else ""

    def label(self, row: int, label: str) -> None:
        """Put a label into a row."""
        place, cells = self._places["label"], self.rows[row]
        cells += [""] * (place + 1 - len(cells))
        cells[place] = label

    def labels(self) -> list[str]:
        """Return every row's label: 1 to 5, y, n, "s" for skipped, "" for none yet.

        Raises: InputError naming file and row for another one, or for two scales in one sheet.
        """
        found = [self._label(row) for row in range(len(self.rows))]
        scales = {scale for label in found if (scale := scale_of(label))}
        if len(scales) > 1:
            first = next(scale for label in found if (scale := scale_of(label)))
            odd = next(n for n, label in enumerate(found) if scale_of(label) not in (None, first))
            raise InputError(
                f"{self.where(odd)}: the label is {found[odd]!r} where those before are {first}:"
                " one scale a sheet"
            )
        return found

    def _label(self, row: int) -> str:
        said = self.cell(row, "label").strip().lower()
        if said in ("", SKIPPED):
            return said
        if (number := _NUMBER.fullmatch(said)) is not None:
            return number[1]
        if said in _YES_NO:
            return _YES_NO[said]
        is_number = _LOOKS_LIKE_NUMBER.fullmatch(said)
        why = "is out of range" if is_number else "is no label"
        raise InputError(f"{self.where(row)}: {said[:40]!r} {why}: 1 to 5, or y and n; s to skip")

    def number(self, row: int) -> int:
        """Count a row as a spreadsheet does: the header is row 1, and a blank row is one."""
        return self.numbers[row] if self.numbers else row + 2

    def where(self, row: int) -> str:
        """Name a row as a spreadsheet does."""
        return f"{self.path}: row {self.number(row)}"

    def save(self) -> None:
        """Write the sheet, whole, over the one that is there. Raises: ConfigError."""
        text = io.StringIO(newline="")
        lines = csv.writer(text, delimiter=self.separator, quoting=csv.QUOTE_ALL)
        lines.writerows([self.header, *self.rows])
        try:
            with whole_file(self.path) as file:
                # With the mark spreadsheets know that it is UTF-8.
                file.write(text.getvalue().encode("utf-8-sig"))
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error}") from error
        self.numbers = []


def scale_of(label: str) -> str | None:
    """Name the scale that a label is of; None for none."""
    if label in ("", SKIPPED):
        return None
    return "y and n" if label in ("y", "n") else "1 to 5"


def read_sheet(path: Path) -> Sheet:
    """Read a sheet. Raises: InputError naming file and, where there is one, row."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {plain(error)}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8: save it as `CSV UTF-8`") from error
    first = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: is no CSV: {error}") from error
    header = [name.strip().lower() for name in lines[0]] if lines else []
    missing = [name for name in ("id", "label") if header.count(name) != 1]
    if missing:
        raise InputError(f"{path}: row 1: needs the columns {' and '.join(missing)}, once each")
    filled = {number: cells for number, cells in enumerate(lines[1:], start=2) if any(cells)}
    return Sheet(path, header, list(filled.values()), separator, list(filled))


# ---------------------------------------------------------------------- the scores beside it


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """A pair with its label, as the sheet has it, its judgement, and the number of its stratum."""

    id: str
    label: str
    judgement: Row
    stratum: int


@dataclass(frozen=True, slots=True)
class Labels:
    """A sheet and the scores beside it, joined. Pairs that are skipped or not labelled are out."""

    path: Path
    strata: tuple[Stratum, ...]
    pairs: list[LabelledPair]
    unlabelled: int

    @property
    def scale(self) -> str | None:
        """The scale of the labels; None where there are none."""
        return scale_of(self.pairs[0].label) if self.pairs else None


def scores_path(labels: Path) -> Path:
    """Return where the scores of a sheet lie unless something else is said."""
    return labels.with_suffix(".scores.json")


def write_sample(
    sample: Sample, labels: Path, *, source: str, seed: int, show_scores: bool = False
) -> Path:
    """Write the sheet and the scores beside it; return where the latter lie.

    Raises: ConfigError where the sheet is there already: it may hold labels.
    """
    if labels.exists():
        raise ConfigError(f"{labels}: is there already, and may hold labels: name another one")
    header = [*COLUMNS[:3], *(["score"] if show_scores else []), "label"]
    rows = []
    for pair, _ in sample.pairs:
        texts = [guarded(_shown(text)) for text in (pair.instruction, pair.response)]
        score = [f"{pair.judgement['score']:.3f}"] if show_scores else []
        rows.append([pair.id, *texts, *score, ""])
    beside = scores_path(labels)
    write_json(
        beside,
        {
            "format": FORMAT,
            "backtrans": __version__,
            "source": source,
            "seed": seed,
            "copies": sample.copies,
            "unscored": sample.unscored,
            "strata": [asdict(stratum) for stratum in sample.strata],
            "pairs": [
                {"id": pair.id, "stratum": stratum, "judgement": pair.judgement}
                for pair, stratum in sample.pairs
            ],
        },
    )
    Sheet(labels, header, rows).save()  # last: a sheet has its scores beside it
    return beside


def _shown(text: str) -> str:
    if len(text) <= MAX_SHOWN_CHARS:
        return text
    return f"{text[:MAX_SHOWN_CHARS]}\n[... {len(text) - MAX_SHOWN_CHARS:,} more characters]"


def read_labels(path: Path, scores: Path | None = None) -> Labels:
    """Join a sheet with the scores beside it, by id. Raises: InputError naming file and row."""
    sheet, beside = read_sheet(path), scores or scores_path(path)
    whole = _scores(beside)
    known = {each["id"]: each for each in whole["pairs"]}
    labels, pairs, met = sheet.labels(), [], dict[str, int]()
    for row, label in enumerate(labels):
        name = sheet.cell(row, "id").strip()
        if name not in known:
            raise InputError(f"{sheet.where(row)}: the id {name[:40]!r} is not in {beside}")
        if name in met:
            raise InputError(f"{sheet.where(row)}: the id of row {met[name]} again")
        met[name] = sheet.number(row)
        if scale_of(label):
            pairs.append(
                LabelledPair(name, label, known[name]["judgement"], known[name]["stratum"])
            )
    strata = tuple(Stratum(**each) for each in whole["strata"])
    return Labels(path, strata, pairs, len(known) - len(pairs))


def _scores(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {plain(error)}; `calibrate export` wrote it beside the sheet"
        ) from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(f"{path}: is no {FORMAT}")
    return found


def rows_to_label(sheet: Sheet) -> Iterator[int]:
    """Yield the rows that have no label yet, and were not skipped."""
    for row, label in enumerate(sheet.labels()):
        if not label:
            yield row
