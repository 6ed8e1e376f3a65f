"""Judges from cheap to dear: a pair goes on to the next one where the one before is not sure.

Promises: each pair ends with the judgement of the last judge that gave one, or with the reason of
the last that was asked; who was asked, what each said and why the pair went on is recorded; judges
on one base with the same engine options share an engine; what was opened is closed.

Does not know: files, batches, where pairs come from.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Any

from backtrans.conversing import Tally, converse
from backtrans.engines.engine import Engine
from backtrans.judge.judged import Decision, Judged, judged
from backtrans.judge.settings import Judging, SendOn
from backtrans.ledger import Usage, fingerprint
from backtrans.recipe import Model
from backtrans.records import Reject, Row
from backtrans.resolution import model_identity, model_name
from backtrans.roles.prescore import PRESCORE_REASONS
from backtrans.roles.score import Score
from backtrans.serving import engine_settings, same_base, score_role, serving

VERSION = "cascade/1"
"""Part of a judge's fingerprint: a new one when other pairs go on."""


def why_on(outcome: Row | Reject, send_on: SendOn) -> str | None:
    """Say why a pair goes on to the next judge; None where this one's word stands.

    An instruction that is refused before a judge is asked is refused by every judge.
    """
    if isinstance(outcome, Reject):
        return None if outcome.reason in PRESCORE_REASONS else f"no score: {outcome.reason}"
    entropy, expectation = outcome["entropy"], outcome["score"]
    if send_on.entropy is not None and entropy > send_on.entropy:
        return f"entropy {entropy:.3f} > {send_on.entropy:g}"
    distance = abs(expectation - send_on.threshold)
    if send_on.margin is not None and distance < send_on.margin:
        return f"{distance:.3f} from {send_on.threshold:g}, under {send_on.margin:g}"
    return None


@dataclass(slots=True)
class Cost:
    """What one judge was asked, summed: pairs, the tokens that it read and wrote, its money."""

    pairs: int = 0
    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0  # at its endpoint's prices

    def add(self, usage: Usage) -> None:
        """Count one pair."""
        self.pairs += 1
        self.requests += usage.requests
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.output_tokens += usage.output_tokens
        self.money += usage.money

    def merge(self, other: "Cost") -> None:
        """Add another's sums."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    @property
    def tokens(self) -> int:
        """What was read and written, cached or not."""
        return self.prompt_tokens + self.output_tokens


Costs = dict[tuple[str, bool], Cost]
"""By the judge's name, and whether it was asked for comparison alone."""


def cost_of(costs: Costs, name: str, compared: bool) -> Cost:
    """Return the sums of one judge, begun where there are none."""
    return costs.setdefault((name, compared), Cost())


@dataclass(frozen=True, slots=True)
class Seat:
    """A judge with what it takes to ask it."""

    name: str
    model: str
    role: Score
    engine: Engine
    send_on: SendOn | None


class Cascade:
    """Judges that are ready to be asked."""

    def __init__(self, judging: Judging, *, compare_all: bool = False) -> None:
        """Open the engines. Raises: ConfigError, ModelError, EngineDead."""
        self._open = ExitStack()
        self._compare_all = compare_all
        with self._open as opened:
            self._seats = tuple(_seated(judging, opened))
            self._open = opened.pop_all()

    async def judge(self, instruction: Any, generation: Any, costs: Costs) -> Judged:
        """Ask the judges about one pair, as far as it goes; what is no text is a reject.

        Raises: EngineDead, DialogueBroken.
        """
        if (no_pair := _no_pair(instruction, generation)) is not None:
            return judged(_text(instruction), _text(generation), no_pair, None, ())
        row: Row = {"id": "", "instruction": instruction, "text": generation}
        decisions: list[Decision] = []
        outcome: Row | Reject = Reject("refused")
        model = None
        on: str | None = ""
        for seat in self._seats:
            if on is None:
                break
            said = await _asked(seat, row, cost_of(costs, seat.name, False))
            on = why_on(said, seat.send_on) if seat.send_on else None
            decisions.append(_decision(seat, said, on))
            # A judge that gives no score takes none away that one before it has given.
            if isinstance(said, dict) or not isinstance(outcome, dict):
                outcome, model = said, seat.model
        last = self._seats[-1]
        refused = isinstance(outcome, Reject) and outcome.reason in PRESCORE_REASONS
        if self._compare_all and len(decisions) < len(self._seats) and not refused:
            said = await _asked(last, row, cost_of(costs, last.name, True))
            decisions.append(replace(_decision(last, said, None), compared=True))
        return judged(instruction, generation, outcome, model, tuple(decisions))

    def close(self) -> None:
        """Close the engines; may be called twice."""
        self._open.close()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _no_pair(instruction: Any, generation: Any) -> Reject | None:
    for name, value in (("instruction", instruction), ("generation", generation)):
        if value is None:
            return Reject("text_missing", name)
        if not isinstance(value, str):
            return Reject("text_not_string", f"{name}: {type(value).__name__}")
    return None


async def _asked(seat: Seat, row: Row, cost: Cost) -> Row | Reject:
    tally = Tally()
    said = await converse(seat.role, row, seat.engine, tally)
    usage = tally.usage(0.0)
    if usage.requests:  # else the instruction was refused unasked
        cost.add(usage)
    return said


def _decision(seat: Seat, said: Row | Reject, on: str | None) -> Decision:
    if isinstance(said, Reject):
        return Decision(seat.name, None, None, said.reason, on)
    return Decision(seat.name, said["score"], said["entropy"], None, on)


def groups(judging: Judging) -> list[list[int]]:
    """Return which judges share an engine, as their places. Rows: N -> N in some groups."""
    found: list[list[int]] = []
    for place, judge in enumerate(judging.judges):
        options = judging.engine_of(judge)
        for group in found:
            first = judging.judges[group[0]]
            if same_base(first.model, judge.model) and judging.engine_of(first) == options:
                group.append(place)
                break
        else:
            found.append([place])
    return found


def _seated(judging: Judging, opened: ExitStack) -> Sequence[Seat]:
    seats: dict[int, Seat] = {}
    for group in groups(judging):
        first = judging.judges[group[0]]
        slots = _slots(judging, group)
        settings = engine_settings(slots, judging.engine_of(first))
        engine = opened.enter_context(serving(settings))
        for place in group:
            judge = judging.judges[place]
            adapter = next((s for s, m in slots.items() if m == judge.model and m.adapter), None)
            role = score_role(judge.score, adapter)
            name = model_name(judge.model)
            seats[place] = Seat(judge.called, name, role, engine, judge.send_on)
    return [seats[place] for place in range(len(judging.judges))]


def _slots(judging: Judging, group: Sequence[int]) -> Mapping[str, Model]:
    """Name the models of an engine, each once: two judges may ask one model in two forms."""
    slots: dict[str, Model] = {}
    for place in group:
        model = judging.judges[place].model
        if model not in slots.values():
            slots[f"judge{place}"] = model
    return slots


def judge_fingerprint(judging: Judging) -> str:
    """Name what decides every judgement: models by content, roles, and who sends on when.

    Raises: ModelError for a model that cannot be read.
    """
    return fingerprint(
        VERSION,
        [
            [
                judge.called,
                model_identity(judge.model),
                asdict(score_role(judge.score, None)),
                judge.send_on and judge.send_on.model_dump(),
            ]
            for judge in judging.judges
        ],
    )
