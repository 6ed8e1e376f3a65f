"""An audit: every pair scored as it is, and once for each thing that may be done to it.

Promises: what is done to a pair hangs on the seed, the probe and the pair's place alone, so that
leaving a probe out changes no other; whatever the judge refused is counted.

Does not know: files, how a result is shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from backtrans.audit.attacks import ATTACKS
from backtrans.audit.perturbations import PERTURBATIONS, Pair
from backtrans.audit.rubric_last import RubricLast
from backtrans.audit.shifts import Effect, Scores, effect
from backtrans.engines.engine import Engine
from backtrans.errors import ConfigError, RunIncomplete
from backtrans.records import Reject, Row
from backtrans.roles.prescore import NO_PRESCORE
from backtrans.roles.score import Score
from backtrans.serving import answers

MIN_PAIRS = 20
"""Source: this project's choice; an interval of fewer says nothing."""

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of each probe, and of the probes of each kind together."""

    clean: tuple[float | None, ...]
    scores: dict[str, tuple[float | None, ...]]  # by probe, a score a pair
    perturbations: dict[str, Effect]
    attacks: dict[str, Effect]
    together: dict[str, Effect]  # "perturbations", "attacks"
    in_a5: float  # share of the clean twins


def chosen(names: str | None) -> tuple[str, ...]:
    """Return the attacks that are named, by commas, or all. Raises: ConfigError for one unknown."""
    if names is None:
        return tuple(ATTACKS)
    found = tuple(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if unknown := sorted(set(found) - set(ATTACKS)):
        raise ConfigError(f"no attack {', '.join(unknown)}; there are {', '.join(ATTACKS)}")
    if not found:
        raise ConfigError("--attacks names none")
    return found


def probed(name: str, pair: Pair, seed: int, place: int) -> Pair:
    """Return the pair as a perturbation or an attack leaves it."""
    key = hashlib.sha256(f"{seed}/{name}/{place}".encode()).digest()
    dice = Random(int.from_bytes(key[:8], "big"))
    instruction, text = pair
    if name in PERTURBATIONS:
        return PERTURBATIONS[name](instruction, text, dice)
    return instruction, ATTACKS[name](text, dice)


def audit(
    engine: Engine,
    role: Score,
    pairs: Sequence[Pair],
    attacks: Sequence[str],
    *,
    a5: float,
    seed: int,
    resamples: int = RESAMPLES,
    perturbations: Sequence[str] = tuple(PERTURBATIONS),
) -> Audit:
    """Score all of it, and compare each probe with the clean twins.

    Raises: RunIncomplete where fewer than MIN_PAIRS clean pairs, or no pair of a probe, could be
    scored; EngineDead, ConfigError.
    """
    # What is refused before the judge is asked has no score that could move.
    role = replace(role, prescore=NO_PRESCORE)
    clean = _scores(engine, role, [_row(pair, place) for place, pair in enumerate(pairs)])
    if (scored := sum(score is not None for score in clean)) < MIN_PAIRS:
        raise RunIncomplete(f"{scored} of {len(pairs)} pairs were scored; {MIN_PAIRS} are needed")
    turned = [name for name in perturbations if name == "rubric_last"]
    names = [name for name in (*perturbations, *attacks) if name not in turned]
    rows = [
        _row(probed(name, pair, seed, place), place)
        for name in names
        for place, pair in enumerate(pairs)
    ]
    found = _scores(engine, role, rows)
    n = len(pairs)
    scores = {name: found[at * n : (at + 1) * n] for at, name in enumerate(names)}
    for name in turned:
        same = [_row(pair, place) for place, pair in enumerate(pairs)]
        scores[name] = _scores(engine, RubricLast(role), same)

    def measured(which: Mapping[str, Scores]) -> Effect:
        try:
            return effect(clean, which, a5, seed=seed, resamples=resamples)
        except ValueError as error:
            raise RunIncomplete(f"{', '.join(which)}: {error}") from error

    kinds = {"perturbations": list(perturbations), "attacks": list(attacks)}
    each = {
        kind: {name: measured({name: scores[name]}) for name in members}
        for kind, members in kinds.items()
    }
    known = [score for score in clean if score is not None]
    return Audit(
        clean=clean,
        scores={name: scores[name] for members in kinds.values() for name in members},
        perturbations=each["perturbations"],
        attacks=each["attacks"],
        together={
            kind: measured({name: scores[name] for name in members})
            for kind, members in kinds.items()
            if members
        },
        in_a5=sum(score >= a5 for score in known) / len(known),
    )


def _row(pair: Pair, place: int) -> Row:
    return {"id": str(place), "instruction": pair[0], "text": pair[1]}


def _scores(
    engine: Engine, role: Score | RubricLast, rows: Sequence[Row]
) -> tuple[float | None, ...]:
    said = answers(engine, role, rows)
    return tuple(None if isinstance(each, Reject) else each["score"] for each in said)
