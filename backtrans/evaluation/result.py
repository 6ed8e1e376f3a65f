"""What an evaluation leaves: a table for people, and a file with everything.

Promises: the file holds a row for each pair, judged or not, from
which every figure can be computed again; shares are from 0 to 1 in the file, percentages in the
table.

Does not know: how figures come about.
"""

from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from backtrans import __version__
from backtrans.evaluation.contest import Contest
from backtrans.evaluation.pairing import Pair
from backtrans.evaluation.settings import Evaluation
from backtrans.evaluation.verdicts import Verdict
from backtrans.evaluation.win_rate import Figures, Rate
from backtrans.records import Reject, Row

FORMAT = "backtrans.evaluation/1"
"""Of the file; another number where its keys mean something else."""


def row(pair: Pair, found: Verdict | Reject) -> Row:
    """Return a pair as the file has it."""
    judged = found if isinstance(found, Verdict) else None
    return {
        "id": pair.id,
        "dataset": pair.dataset,
        "instruction": pair.instruction,
        "candidate": pair.candidate.output,
        "reference": pair.reference.output,
        "candidate_chars": len(pair.candidate.output),
        "reference_chars": len(pair.reference.output),
        "candidate_tokens": pair.candidate.output_tokens,
        "unfinished": pair.candidate.unfinished,
        "outcome": judged and judged.outcome,
        "preference": judged and judged.preference,
        "preference_first": judged and judged.first,
        "preference_second": judged and judged.second,
        "off_letter_mass": judged and judged.off_letter_mass,
        "note": judged and judged.note,
        "reject_reason": found.reason if isinstance(found, Reject) else None,
        "reject_detail": found.detail if isinstance(found, Reject) else None,
    }


def document(evaluation: Evaluation, contest: Contest, figures: Figures) -> dict[str, Any]:
    """Return everything: what was asked for, who took part, the figures, a row a pair."""
    return {
        "format": FORMAT,
        "backtrans": __version__,
        "settings": evaluation.model_dump(mode="json"),
        "candidate": contest.candidate,
        "reference": contest.reference,
        "judge": contest.judge,
        "models": contest.models,
        "roles": contest.roles,
        "usage": {name: asdict(usage) for name, usage in contest.usage.items()},
        "figures": asdict(figures),
        "rows": [row(pair, found) for pair, found in contest.judged],
    }


def tables(contest: Contest, figures: Figures) -> list[Table]:
    """Return what people look at first: a line as in the papers' tables, and what to make of it.

    Source of the columns: 2408.04614 tables 1 and 10.
    """
    who = f"{contest.candidate} against {contest.reference}, judged by {contest.judge}"
    found = Table(title=Text(who))
    found.add_column("Model", overflow="fold")
    for name in ("Data size", "LC win rate (%)", "Win rate (%)", "Preference (%)"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_row(
        Text(contest.candidate),
        f"{figures.judged:,}",
        _rate(figures.length_controlled),
        _rate(figures.win_rate),
        _rate(figures.mean_preference),
    )
    rest = Table(show_header=False)
    for name, value in _rest(figures):
        rest.add_row(Text(name), value)
    return [found, rest]


def _rest(figures: Figures) -> list[tuple[str, str]]:
    lengths, position = figures.lengths, figures.position
    lines = [
        ("wins / ties / losses", f"{figures.wins:,} / {figures.ties:,} / {figures.losses:,}"),
        ("mean characters, candidate", f"{lengths.candidate_mean_chars:,.1f}"),
        ("mean characters, reference", f"{lengths.reference_mean_chars:,.1f}"),
    ]
    if lengths.candidate_mean_tokens is not None:
        lines.append(("mean tokens, candidate", f"{lengths.candidate_mean_tokens:,.1f}"))
    if lengths.longer_wins is not None:
        lines.append(("the longer output wins", f"{lengths.longer_wins:.1%}"))
    if position is not None:
        lines += [
            ("the judge chose what stood first", f"{position.chose_first:.1%}"),
            ("its probability of what stood first", f"{position.probability_of_first:.1%}"),
            ("its two orders disagree", f"{position.orders_disagree:.1%}"),
        ]
    if figures.off_letter_mass is not None:
        lines.append(("its probability of neither letter", f"{figures.off_letter_mass:.1%}"))
    if figures.unfinished:
        lines.append(("outputs that ran out of tokens", f"{figures.unfinished:,}"))
    lines += [(f"not asked: {note}", f"{count:,}") for note, count in figures.notes.items()]
    lines += [(f"not judged: {why}", f"{count:,}") for why, count in figures.not_judged.items()]
    return lines


def _rate(rate: Rate) -> str:
    return f"{100 * rate.value:.2f}\n[{100 * rate.low:.2f}, {100 * rate.high:.2f}]"
