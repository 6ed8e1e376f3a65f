"""Charts as inline SVG: a histogram, a line, bars over time.

Drawn here and not by a plotting library, whose SVG has its colours and sizes written into it: here
they are classes, so that a page's style gives a chart the colours of its scheme, light, dark or on
paper; and each chart comes with its description and the table of its figures.

Promises: the same figures give the same bytes; what is drawn stays within its frame; a chart has
words for those who do not see it, and no meaning that only a colour has.

Does not know: what its figures are of.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 360, 210
"""Of a chart, in units that are pixels where it has room: three stand side by side on a desk,
one on a telephone, and text has its own size on both. Source: this project's choice."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 14.0, 40.0
_X0, _X1, _Y0, _Y1 = _LEFT, WIDTH - _RIGHT, HEIGHT - _BOTTOM, _TOP

MAX_TICKS = 5


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its title, what it shows in words, its picture, and its figures as a table."""

    title: str
    words: str
    svg: Markup  # what stands within <svg>
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def histogram(
    title: str,
    bins: Sequence[tuple[float, float, int]],
    *,
    unit: str,
    of: str,
    marks: Sequence[tuple[str, float]] = (),
    least_top: int = 0,
    note: str = "",
) -> Chart:
    """Draw how many `of` lie in each bin of a `unit`; `marks` are named upright lines.

    The axis upwards reaches `least_top` at least, so that several have one scale.
    """
    low, high = (bins[0][0], bins[-1][1]) if bins else (0.0, 1.0)
    most = max((count for *_, count in bins), default=0)
    top, ticks = _scale(max(most, least_top))
    drawn = [_frame(ticks, top, [(x, number(x)) for x in _x_ticks(low, high)], low, high, unit)]
    for start, end, count in bins:
        x0, x1 = _at(start, low, high), _at(end, low, high)
        if count:
            y = _y(count, top)
            drawn.append(
                Markup('<rect class="fill" x="{}" y="{}" width="{}" height="{}"/>').format(
                    _n(x0 + 0.5), _n(y), _n(max(x1 - x0 - 1, 0.5)), _n(_Y0 - y)
                )
            )
    for place, (name, value) in enumerate(marks):
        x = _at(value, low, high)
        drawn.append(
            Markup(
                '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
                '<text class="label" x="{3}" y="{4}" text-anchor="end">{5}</text>'
            ).format(_n(x), _n(_Y1), _n(_Y0), _n(x - 3), _n(_Y1 + 9 + 12 * place), name)
        )
    total = sum(count for *_, count in bins)
    words = f"{title}: {total:,} {of}"
    if most:
        start, end, count = max(bins, key=lambda each: each[2])
        words += (
            f", {unit} from {number(low)} to {number(high)}; most, {count:,}, lie from"
            f" {number(start)} to {number(end)}"
        )
    for name, value in marks:
        words += f"; {name} begins at {number(value)}"
    rows = [(f"{number(a)} to {number(b)}", f"{count:,}") for a, b, count in bins]
    return Chart(title, words, Markup("").join(drawn), (unit, of), rows, note)


def curve(
    title: str,
    points: Sequence[tuple[float, float]],
    *,
    across: str,
    up: str,
    doubling: bool = False,
    note: str = "",
) -> Chart:
    """Draw a line through points, from left to right; with `doubling` x goes by its logarithm."""
    xs = [math.log2(x) if doubling and x > 0 else x for x, _ in points]
    low, high = (min(xs), max(xs)) if xs else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    top, ticks = _scale(max((y for _, y in points), default=0))
    shown = _spaced([(x, number(at[0])) for x, at in zip(xs, points, strict=True)], low, high)
    drawn = [_frame(ticks, top, shown, low, high, across)]
    at = [(_at(x, low, high), _y(y, top)) for x, (_, y) in zip(xs, points, strict=True)]
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in at)
    drawn.append(Markup('<polyline class="line" points="{}"/>').format(path))
    for x, y in at:
        drawn.append(Markup('<circle class="dot" cx="{}" cy="{}" r="2.5"/>').format(_n(x), _n(y)))
    words = f"{title}: {up} over {across}"
    if points:
        (x0, y0), (x1, y1) = points[0], points[-1]
        words += f", from {number(y0)} at {number(x0)} to {number(y1)} at {number(x1)}"
    rows = [(number(x), number(y)) for x, y in points]
    return Chart(title, words, Markup("").join(drawn), (across, up), rows, note)


def stated(title: str, points: Sequence[tuple[float, float, int]], note: str = "") -> Chart:
    """Draw probabilities that were stated against the shares that were found, beside the diagonal.

    A dot on the diagonal is right; its area goes by how many pairs stand behind it.
    """
    drawn = [_frame([0.0, 0.5, 1.0], 1.0, [(x, number(x)) for x in (0, 0.5, 1)], 0, 1, "stated")]
    drawn.append(
        Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            _n(_X0), _n(_Y0), _n(_X1), _n(_Y1)
        )
    )
    most = max((count for *_, count in points), default=1) or 1
    for x, y, count in points:
        radius = 2 + 6 * math.sqrt(count / most)
        drawn.append(
            Markup('<circle class="dot" cx="{}" cy="{}" r="{}"/>').format(
                _n(_at(x, 0, 1)), _n(_y(y, 1)), _n(radius)
            )
        )
    words = f"{title}: " + "; ".join(
        f"stated {x:.0%}, found {y:.0%} of {count:,}" for x, y, count in points
    )
    rows = [(f"{100 * x:.1f}%", f"{100 * y:.1f}%", f"{count:,}") for x, y, count in points]
    return Chart(
        title, words, Markup("").join(drawn), ("mean stated", "found", "labelled pairs"), rows, note
    )


def over_time(title: str, values: Sequence[float], interval_seconds: float, *, up: str) -> Chart:
    """Draw a value of each interval of time, as bars from the left."""
    unit, each = next(
        ((name, each) for name, each in _TIMES if interval_seconds * len(values) >= 2 * each),
        _TIMES[-1],
    )
    step = interval_seconds / each
    high = max(len(values) * step, step)
    top, ticks = _scale(max(values, default=0))
    across = f"{unit} since the run began"
    shown = [(x, number(x)) for x in _x_ticks(0, high)]
    drawn = [_frame(ticks, top, shown, 0, high, across)]
    for place, value in enumerate(values):
        if value > 0:
            x, y = _at(place * step, 0, high), _y(value, top)
            width = max((_X1 - _X0) / len(values) - 1, 0.5)
            drawn.append(
                Markup('<rect class="fill" x="{}" y="{}" width="{}" height="{}"/>').format(
                    _n(x), _n(y), _n(width), _n(_Y0 - y)
                )
            )
    most = max(values, default=0)
    words = f"{title}: {up}, at most {number(most)}, over {number(high)} {unit}"
    rows = [
        (f"{number(k * step)} to {number((k + 1) * step)}", number(v)) for k, v in enumerate(values)
    ]
    return Chart(title, words, Markup("").join(drawn), (across, up), rows)


_TIMES = (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))


def number(value: float) -> str:
    """Return a number in few characters: whole where it is, else with three digits that count."""
    if value == round(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _short(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= unit:
            return f"{value / (1e3 if name == 'k' else unit):.3g}{name}"
    return number(value)


def _scale(most: float) -> tuple[float, list[float]]:
    """Return the upper end of an axis from 0, and its ticks: 1, 2 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, [0.0]
    step = _nice(most / (MAX_TICKS - 1))
    ticks = [step * k for k in range(math.ceil(most / step - 1e-9) + 1)]
    return ticks[-1], ticks


def _x_ticks(low: float, high: float) -> list[float]:
    step = _nice((high - low) / MAX_TICKS)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _nice(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= least * (1 - 1e-9))


def _spaced(ticks: list[tuple[float, str]], low: float, high: float) -> list[tuple[float, str]]:
    """Return those of the ticks whose names have room beside each other, the last one always."""
    found: list[tuple[float, str]] = []
    for x, name in reversed(ticks):
        if not found or _at(found[-1][0], low, high) - _at(x, low, high) >= 44:
            found.append((x, name))
    return found[::-1]


def _frame(
    ticks: Sequence[float],
    top: float,
    x_ticks: Sequence[tuple[float, str]],
    low: float,
    high: float,
    across: str,
) -> Markup:
    """Draw the axes: a thin line at each tick upwards, names below and at the left."""
    drawn = []
    for tick in ticks:
        y = _y(tick, top)
        drawn.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>'
                '<text x="{}" y="{}" text-anchor="end">{}</text>'
            ).format(_n(_X0), _n(_X1), _n(y), _n(y), _n(_X0 - 5), _n(y + 3.5), _short(tick))
        )
    for x, name in x_ticks:
        drawn.append(
            Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                _n(_at(x, low, high)), _n(_Y0 + 14), name
            )
        )
    middle = (_X0 + _X1) / 2
    drawn.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            _n(middle), _n(HEIGHT - 6), across
        )
    )
    return Markup("").join(drawn)


def _at(x: float, low: float, high: float) -> float:
    share = (x - low) / (high - low) if high > low else 0.5
    return _X0 + min(max(share, 0.0), 1.0) * (_X1 - _X0)


def _y(value: float, top: float) -> float:
    return _Y0 - min(max(value / top, 0.0), 1.0) * (_Y0 - _Y1)


def _n(value: float) -> str:
    """Return a coordinate with one decimal: a tenth of a pixel."""
    return f"{value:.1f}"
