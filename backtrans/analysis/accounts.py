"""Everything that is measured of some sets of pairs, in one account.

Promises: what costs a model is asked for by name, and of a sample of a fixed seed; sets and models
are looked at before the first model is loaded.

Does not know: where sets come from, how the account is shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backtrans.analysis.complexity import Complexity, Tagging, complexity, tagging_engine
from backtrans.analysis.divergence import FEWEST, Mauve, mauve
from backtrans.analysis.diversity import common_sizes, curve
from backtrans.analysis.embedding import Pooling, embed
from backtrans.analysis.lengths import Ruler, Spread, spread
from backtrans.analysis.pairs import PairSet
from backtrans.analysis.scores import ScoreShares, score_shares
from backtrans.errors import ConfigError
from backtrans.serving import serving


@dataclass(slots=True)
class Account:
    """What was measured of one set."""

    name: str
    pairs: int
    unit: str  # of both lengths
    instruction_length: Spread
    response_length: Spread
    instruction_trigrams: list[tuple[int, int]]  # of so many pairs, so many different ones
    response_trigrams: list[tuple[int, int]]
    scores: ScoreShares | None  # None: the set has no scores
    instruction_tags: Complexity | None = None
    response_tags: Complexity | None = None


@dataclass(frozen=True, slots=True)
class Distance:
    """How alike the responses of two sets are; a set beside itself is two halves of it."""

    one: str
    other: str
    mauve: Mauve


@dataclass(slots=True)
class Analysis:
    """The accounts of all sets, and what was compared."""

    seed: int
    sample: int
    accounts: list[Account]
    distances: list[Distance] = field(default_factory=list)


def accounts(sets: Sequence[PairSet], ruler: Ruler, seed: int) -> list[Account]:
    """Measure what needs no model, of each set. Raises: ConfigError for two sets of one name."""
    names = [each.name for each in sets]
    if len(set(names)) < len(names):
        raise ConfigError(f"two sets have the same name, of {', '.join(names)}: say NAME=...")
    sizes = common_sizes([len(each) for each in sets])
    return [_account(each, ruler, seed, sizes) for each in sets]


def _account(pairs: PairSet, ruler: Ruler, seed: int, sizes: Sequence[int]) -> Account:
    return Account(
        name=pairs.name,
        pairs=len(pairs),
        unit=ruler.unit,
        instruction_length=spread(ruler.measure(pairs.instructions)),
        response_length=spread(ruler.measure(pairs.responses)),
        instruction_trigrams=curve(pairs.instructions, seed, sizes),
        response_trigrams=curve(pairs.responses, seed, sizes),
        scores=score_shares(pairs.scores) if pairs.scores else None,
    )


def distances(
    sets: Sequence[PairSet], model: Path, pooling: Pooling, sample: int, seed: int
) -> list[Distance]:
    """Compare the first set's responses with each other set's, and with more of its own.

    Every comparison has as many texts on each side, since MAUVE depends on how many there are.
    Empty responses are left out, as mauve-text does.
    Source: 2408.04614 table 3. Raises: ConfigError, ModelError.
    """
    own_texts, *others = [[text for text in each.responses if text.strip()] for each in sets]
    size = min([sample, len(own_texts) // 2, *(len(each) for each in others)])
    if size < FEWEST:
        raise ConfigError(
            f"MAUVE needs {FEWEST} responses in each set, and twice as many in the first; {size}"
            " can be had"
        )
    drawn = _drawn(own_texts, 2 * size, seed)
    for texts in others:
        drawn += _drawn(texts, size, seed)
    vectors = embed(model, drawn, pooling)
    reference = vectors[:size]
    return [
        Distance(sets[0].name, each.name, mauve(reference, vectors[start : start + size]))
        for each, start in zip(sets, range(size, len(drawn), size), strict=True)
    ]


def _drawn(texts: Sequence[str], size: int, seed: int) -> list[str]:
    order = np.random.default_rng(seed).permutation(len(texts))[:size]
    return [texts[index] for index in order.tolist()]


def tag(
    sets: Sequence[PairSet],
    accounts: Sequence[Account],
    tagging: Tagging,
    sample: int,
    seed: int,
    say: Callable[[str], None],
) -> None:
    """Tag a sample of each set's instructions and responses, and put it into the accounts.

    Raises: ConfigError, ModelError, EngineDead.
    """
    with serving(tagging_engine(tagging)) as engine:
        for pairs, found in zip(sets, accounts, strict=True):
            order = np.random.default_rng(seed).permutation(len(pairs))[:sample].tolist()
            say(f"{pairs.name}: tagging {len(order):,} pair(s)")
            instructions = [pairs.instructions[index] for index in order]
            responses = [pairs.responses[index] for index in order]
            found.instruction_tags = complexity(engine, tagging, instructions)
            found.response_tags = complexity(engine, tagging, responses)
