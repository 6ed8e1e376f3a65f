"""The table of all kills of a session: what was killed, where, and what was wrong afterwards."""

from dataclasses import dataclass, field

from tests.chaos.verdict import Verdict


@dataclass
class Row:
    """The kills of one target at one step."""

    kills: int = 0
    missed: int = 0  # the run had ended before the kill: no kill, and counted as none
    lost: int = 0
    doubled: int = 0
    twice: int = 0
    digests_equal: int = 0
    verdicts: int = 0
    wrong: list[Verdict] = field(default_factory=list)


class Tally:
    """All rows, in the order in which they came."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}

    def enter(
        self, killed: str, store: str, step: str, verdict: Verdict | None, kills: int = 1
    ) -> None:
        """Enter what came of one run; None and 0 kills are a run that ended unharmed."""
        row = self.rows.setdefault((killed, store, step), Row())
        if verdict is None or kills == 0:
            row.missed += 1
            return
        row.kills += kills
        row.verdicts += 1
        row.lost += verdict.lost
        row.doubled += verdict.doubled
        row.twice += len(verdict.twice)
        row.digests_equal += verdict.digest_equal
        if not verdict.clean:
            row.wrong.append(verdict)

    def wrong(self) -> list[str]:
        """Return what is wrong, for a failure's words."""
        return [
            f"{' / '.join(where)}: {verdict}"
            for where, row in self.rows.items()
            for verdict in row.wrong
        ]

    def kills(self) -> int:
        """Return how many processes were killed."""
        return sum(row.kills for row in self.rows.values())

    def lines(self) -> list[str]:
        """Return the table."""
        width = max(len(step) for _, _, step in self.rows)
        head = ("killed", "store", "step", "kills", "missed", "lost", "doubled", "twice", "digest")
        form = f"{{:<12}}  {{:<6}}  {{:<{width}}}" + "  {:>7}" * 6
        lines = [form.format(*head)]
        total = Row()
        for (killed, store, step), row in self.rows.items():
            lines.append(form.format(killed, store, step, *_figures(row)))
            for name in (
                "kills",
                "missed",
                "lost",
                "doubled",
                "twice",
                "digests_equal",
                "verdicts",
            ):
                setattr(total, name, getattr(total, name) + getattr(row, name))
        return [*lines, form.format("all", "", "", *_figures(total))]


def _figures(row: Row) -> tuple[int | str, ...]:
    equal = row.digests_equal == row.verdicts
    told = (
        ("equal" if equal else f"{row.verdicts - row.digests_equal} differ") if row.kills else "-"
    )
    return row.kills, row.missed, row.lost, row.doubled, row.twice, told
