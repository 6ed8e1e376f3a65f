"""The dataset card: what a folder of splits is, in Markdown with Hugging Face's header.

Promises: the header is YAML made from values, so that `datasets` opens the folder by it; what comes
from paths, names or settings stands in the text as plain words, and can make no markup, row or
header of its own. The same figures give the same card.

Does not know: where figures come from, or where the card lies.
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from backtrans.reasons import REASONS

BAR_WIDTH = 30
"""Characters of the longest bar. Source: this project's choice; a card's table has room for it."""

_SIZES = {
    "n<1K": 10**3,
    "1K<n<10K": 10**4,
    "10K<n<100K": 10**5,
    "100K<n<1M": 10**6,
    "1M<n<10M": 10**7,
    "10M<n<100M": 10**8,
    "100M<n<1B": 10**9,
}
"""Which category has fewer rows than what. Source: the card format's size_categories."""

_MARKUP = re.compile(r"([\\`*_\[\]|~$!]|:(?=//))")


class Stage(Protocol):
    """What the card says of a stage."""

    @property
    def stage(self) -> str: ...
    @property
    def rows_in(self) -> int: ...
    @property
    def kept(self) -> int: ...
    @property
    def rejects(self) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class CardModel:
    """What the card says of a model."""

    role: str
    name: str
    revision: str
    content: str  # a fingerprint


@dataclass(frozen=True, slots=True)
class Card:
    """What a card says besides the rows: figures of the stages, and where it all came from."""

    name: str
    license: str
    language: tuple[str, ...]
    stages: Sequence[Stage]
    models: Sequence[CardModel]
    recipe: dict[str, Any]
    run: str
    made_at: str  # UTC, ISO 8601

    def rendered(
        self, rows: dict[str, int], histogram: Sequence[tuple[float, float, int]]
    ) -> bytes:
        """Write the card; `rows` by split, `histogram` of scores as (from, below, rows)."""
        shown = list(histogram)
        while shown and not shown[0][2]:
            del shown[0]
        most_rows = max(rows.values())
        kept = {stage.stage: stage.kept for stage in self.stages}
        most = max((count for *_, count in shown), default=0)
        text = _template().render(
            header=Markup(_header(self, rows)),  # noqa: S704
            withdrawn=kept.get("choose", kept.get("curate", most_rows)) - most_rows,
            name=self.name,
            rows=rows,
            most_rows=most_rows,
            rewritten="choose" in {stage.stage for stage in self.stages},
            stages=self.stages,
            rejects=[(s.stage, why, n) for s in self.stages for why, n in s.rejects.items()],
            reasons=REASONS,
            histogram=shown,
            bars=["█" * -(-BAR_WIDTH * count // most) for *_, count in shown],
            models=self.models,
            run=self.run,
            made_at=self.made_at,
            recipe=yaml.safe_dump(self.recipe, sort_keys=False, allow_unicode=True),
        )
        return text.encode()


def _header(card: Card, rows: dict[str, int]) -> str:
    count = max(rows.values())
    header = {
        "pretty_name": " ".join(card.name.split()),
        "license": card.license,
        "language": list(card.language),
        "size_categories": [
            next((name for name, top in _SIZES.items() if count < top), "1B<n<10B")
        ],
        "task_categories": ["text-generation"],
        "tags": ["instruction-tuning", "instruction-backtranslation", "synthetic"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s, "path": f"{s}/*.parquet"} for s in rows],
            }
        ],
    }
    return yaml.safe_dump(
        {key: value for key, value in header.items() if value}, sort_keys=False, allow_unicode=True
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("backtrans", "report"),
        autoescape=True,  # `text` escapes for Markdown too, and `fenced` needs none
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(text=_text, fenced=_fenced, number=lambda count: f"{count:,}")
    return environment.get_template("card.md.j2")


def _text(value: str) -> Markup:
    """Return words that Markdown and HTML take as words, in one line."""
    one_line = " ".join(str(value).split())
    return Markup(_MARKUP.sub(r"\\\1", html.escape(one_line, quote=False)))  # noqa: S704


def _fenced(block: str) -> Markup:
    """Return a block of code whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", block)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}yaml\n{block}{fence}")  # noqa: S704
