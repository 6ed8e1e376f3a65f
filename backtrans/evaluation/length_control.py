"""The length-controlled win rate: what it would be if both outputs were always of one length.

A logistic regression says how a preference depends on who answered and on which output is longer:

    P(candidate preferred) = sigmoid(model + length * tanh(d / sd(d)))

with d the candidate's characters less the reference's. The figure is that probability at d = 0.

Promises: the fit has one optimum, also where preferences are separable or all alike, or all lengths
are, and it is found; the candidate and the reference exchanged give 1 less the figure.

What is left out of 2404.04475: the instructions' difficulty, which its authors fitted over all
models of their board on their own 805 instructions, and the pull towards outputs that were made to
game it. What is left is what their code calls `length_controlled_minimal`.
Does not know: judges, files.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RIDGE = 0.1
"""The weight of half the squares of both coefficients. Source: this project's choice, where
AlpacaEval has an L1 penalty by cross-validation: an optimum where wins are separable, and with 805
preferences less than 0.1 points of a win rate between 10% and 90%."""

MAX_STEPS = 100
"""Newton steps. Source: this project's choice; fewer than 15 are taken on what judges say."""

MAX_HALVINGS = 40
"""Of one step. Source: this project's choice; near the optimum none is needed."""

TOLERANCE = 1e-12
"""Of a loss, relative: what its own rounding can add."""


@dataclass(frozen=True, slots=True)
class LengthControl:
    """The fitted coefficients, and the win rate at no difference in length, from 0 to 1."""

    win_rate: float
    model: float
    length: float


def length_controlled(preferences: Floats, differences: Floats) -> LengthControl:
    """Fit the regression. Shape: (N,) each. Raises: ValueError without pairs."""
    if len(preferences) == 0:
        raise ValueError("no preferences to fit")
    once = np.ones((1, len(preferences)))
    ((model, length),) = _fitted(_scaled(differences), preferences, once).tolist()
    return LengthControl(float(_sigmoid(np.array(model))), model, length)


def resampled(preferences: Floats, differences: Floats, counts: Floats) -> Floats:
    """Fit it to samples in which pairs come so many times; return each sample's win rate.

    The standard deviation of the differences stays that of all pairs. Shape: (N,), (N,), (B, N) ->
    (B,).
    """
    return _sigmoid(_fitted(_scaled(differences), preferences, counts)[:, 0])


def _scaled(differences: Floats) -> Floats:
    found: Floats = np.tanh(differences / deviation(differences))
    return found


def deviation(differences: Floats) -> float:
    """Return the sample's standard deviation, or 1 where there is none to divide by."""
    # Source: AlpacaEval's metrics/glm_winrate.py, which divides and does not centre.
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    return spread if spread > 0.0 else 1.0


def _fitted(lengths: Floats, preferences: Floats, weights: Floats) -> Floats:
    """Minimise weighted cross-entropies and the ridge, by Newton's steps, halved where they miss.

    Shape: (N,), (N,), (B, N) -> (B, 2): B fits at once.
    """
    found = np.zeros((len(weights), 2))
    loss = _loss(found, lengths, preferences, weights)
    for _ in range(MAX_STEPS):
        predicted = _sigmoid(_logits(found, lengths))
        missed = weights * (predicted - preferences)
        slope = np.stack([missed.sum(axis=1), missed @ lengths], axis=1) + RIDGE * found
        bend = weights * predicted * (1 - predicted)
        both, cross = bend.sum(axis=1) + RIDGE, bend @ lengths
        own = bend @ lengths**2 + RIDGE
        determinant = both * own - cross**2  # of a positive matrix: the ridge makes it so
        step = np.stack(
            [own * slope[:, 0] - cross * slope[:, 1], both * slope[:, 1] - cross * slope[:, 0]],
            axis=1,
        )
        step /= determinant[:, None]
        for _ in range(MAX_HALVINGS):
            new = _loss(found - step, lengths, preferences, weights)
            if not (worse := new > loss + TOLERANCE * (1 + loss)).any():
                break
            step[worse] /= 2
        found, loss = found - step, new
        if np.abs(step).max() < 1e-9:
            break
    return found


def _logits(at: Floats, lengths: Floats) -> Floats:
    return at[:, :1] + at[:, 1:] * lengths


def _loss(at: Floats, lengths: Floats, preferences: Floats, weights: Floats) -> Floats:
    logits = _logits(at, lengths)
    entropy = np.logaddexp(0.0, logits) - preferences * logits
    found: Floats = (weights * entropy).sum(axis=1) + RIDGE / 2 * (at**2).sum(axis=1)
    return found


def _sigmoid(values: Floats) -> Floats:
    found: Floats = np.exp(-np.logaddexp(0.0, -values))
    return found
