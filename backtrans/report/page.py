"""The report as one HTML page that needs nothing else: no request, no font, no picture of others.

Promises: all that comes from documents, models and settings is text in it, whatever it holds; a
policy in the page lets a browser run its own script and style, told by their hashes, and load,
send and frame nothing; without JavaScript everything is there to be read; the same report gives the
same bytes.

Does not know: where figures come from, or where the page lies.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from backtrans.reasons import REASONS
from backtrans.report import charts, marks
from backtrans.report.charts import Chart
from backtrans.report.figures import Lengths, Report, Sample


@dataclass(frozen=True, slots=True)
class _Shown:
    """A sample with its texts as markup."""

    one: Sample
    instruction: marks.Shown | None
    source: marks.Shown | None
    rewrite: marks.Shown | None


def page(report: Report) -> bytes:
    """Return the page of a report."""
    style, script = _asset("page.css"), _asset("page.js")
    groups = [(group, [_shown(each) for each in group.samples]) for group in report.groups]
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            policy=_policy(style, script),
            style=Markup(style),  # noqa: S704
            script=Markup(script),  # noqa: S704
            width=charts.WIDTH,
            height=charts.HEIGHT,
            charts=_charts(report),
            tiles=_tiles(report),
            contents=_contents(report),
            groups=groups,
            places={group.name: place for place, group in enumerate(report.groups)},
            splits=[g.name for g in report.groups if g.samples[0].split],
            refused=[g.name for g in report.groups if not g.samples[0].split],
            reasons=REASONS,
            most_rows=max((step.rows for step in report.funnel), default=0) or 1,
            domain_pairs=sum(d.pairs for d in report.domains) + report.other_domain_pairs or 1,
        )
    )
    return text.encode()


def _policy(style: str, script: str) -> str:
    """Return what a browser may do with the page: nothing but its own style and script."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "img-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _shown(one: Sample) -> _Shown:
    def text(value: str | None) -> marks.Shown | None:
        return None if value is None else marks.shown(value)

    rewrite = None
    if one.rewrite is not None:
        rewrite = marks.compared(one.source or "", one.rewrite)
    return _Shown(one, text(one.instruction), text(one.source), rewrite)


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    """Return the figures that one looks for first: name, figure, and what it is of."""
    found = []
    first = report.funnel[0].rows if report.funnel else 0
    unit = report.funnel[0].name if report.funnel else ""
    for split, count in report.rows.items():
        share = f"{count / first:.1%} of {first:,} {unit}" if first else ""
        found.append((f"pairs in {split}", f"{count:,}", share))
    if (each := report.costs.per_pair.get("A5")) and each.tokens:
        found.append(("tokens a pair of A5", charts.number(each.tokens), ""))
        if each.gpu_seconds:
            found.append(("GPU-seconds a pair of A5", charts.number(each.gpu_seconds), ""))
        else:
            found.append(("engine seconds a pair of A5", charts.number(each.engine_seconds), ""))
    if (judged := next((each for each in report.rounds if each.published), None)) is not None:
        found.append(("mean score", f"{judged.mean:.2f}", f"of {judged.pairs:,} pairs scored"))
    refused = sum(each.rows for each in report.refusals)
    found.append(("rows refused", f"{refused:,}", f"for {len(report.refusals)} reason(s)"))
    return found


def _contents(report: Report) -> list[tuple[str, str]]:
    asked = {
        "funnel": "Funnel",
        "rejects": "Rejects",
        "scores": "Scores",
        "calibration": "Calibration" if report.calibration or report.selector else "",
        "audit": "Audit" if report.audit else "",
        "pairs": "Pairs",
        "cost": "Cost",
        "pace": "Throughput",
        "since": "Changes",
        "made": "Models and recipe",
        "samples": "Samples",
    }
    return [(name, title) for name, title in asked.items() if title]


def _charts(report: Report) -> dict[str, list[Chart]]:
    return {
        "scores": [
            charts.histogram(
                f"Round {each.number}{', published' if each.published else ''}",
                each.histogram,
                unit="score",
                of="pairs",
                marks=[
                    (name, at) for name, at in (("A4", each.a4), ("A5", each.a5)) if at is not None
                ],
                least_top=max(n for one in report.rounds for *_, n in one.histogram),
                note=f"{each.pairs:,} pairs",
            )
            for each in report.rounds
        ],
        "reliability": [
            charts.stated(
                f"What {each.name} says", each.points, f"up: what is so; error {each.error}%"
            )
            for each in (report.calibration.reliability if report.calibration else [])
        ],
        "lengths": [
            charts.histogram(
                f"Length of {each.what}",
                each.histogram,
                unit=each.unit,
                of="pairs",
                note=f"median {charts.number(each.median)} {each.unit}{_not_drawn(each)}",
            )
            for each in report.lengths
        ],
        "trigrams": [
            charts.curve(
                f"Trigrams of {what}",
                points,
                across="pairs",
                up="different trigrams",
                doubling=True,
                note="different ones in so many pairs",
            )
            for what, points in report.trigrams.items()
            if len(points) > 1
        ],
        "pace": [
            charts.over_time(
                each.stage, each.rows_per_second, report.pace.interval_seconds, up="rows a second"
            )
            for each in (report.pace.stages if report.pace else [])
            if report.pace
        ],
    }


def _not_drawn(lengths: Lengths) -> str:
    longer = lengths.pairs - sum(count for *_, count in lengths.histogram)
    return f"; {longer:,} longer, up to {lengths.longest:,}" if longer else ""


@cache
def _asset(name: str) -> str:
    return files("backtrans.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("backtrans", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=lambda count: f"{count:,}",
        short=charts.number,
        percent=lambda share: f"{share:.1%}",
        coordinate=lambda value: f"{value:.2f}",
        plain=lambda text: marks.plain(str(text)),
        shown_whole=lambda text: marks.Shown(escape(text), 0),
    )
    return environment
