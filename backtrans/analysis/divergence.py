"""How far two sets of texts are apart, as MAUVE has it: 1 is alike, 0 is apart.

Vectors of both are put into as many clusters as a tenth of the smaller set, and the two histograms
over the clusters are compared along their divergence frontier. It is the authors' own code that
does so (mauve-text, an extra), with its defaults; only the vectors come from elsewhere.

Promises: seeds of the clustering are fixed, so the same vectors have the same figure; how it varies
over them comes with it.

Does not know: texts, models.
Source: 2102.01454 and 2212.14578.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtrans.errors import ConfigError

SEEDS = (25, 26, 27, 28, 29)
"""Of the clustering. Source: the first is mauve-text's default; its README asks for several, since
the figure varies with them."""

FEWEST = 20
"""Texts on each side. Source: a tenth of them are clusters, and mauve-text has two at least."""


@dataclass(frozen=True, slots=True)
class Mauve:
    """The figure over the seeds of the clustering: mean and standard deviation."""

    mean: float
    deviation: float
    texts: int  # on each side
    clusters: int


def mauve(ours: Any, theirs: Any, seeds: Sequence[int] = SEEDS) -> Mauve:
    """Compare two sets of vectors. Shape: (N, width), (M, width).

    Raises: ConfigError where the extra is not there, or there are too few texts.
    """
    fewest = min(len(ours), len(theirs))
    if fewest < FEWEST:
        raise ConfigError(f"MAUVE needs {FEWEST} texts on each side at least, and has {fewest}")
    both = np.concatenate([ours, theirs])
    if not np.isfinite(both).all():
        raise ConfigError("MAUVE: the model gives vectors that are not finite")
    if (both == both[0]).all():
        raise ConfigError("MAUVE: every text has the same vector; are they all the same?")
    try:
        from mauve import compute_mauve
    except ImportError as error:
        raise ConfigError(f"MAUVE needs the extra `analyze`: {error}") from error
    found = [compute_mauve(p_features=ours, q_features=theirs, seed=seed) for seed in seeds]
    figures = [float(each.mauve) for each in found]
    return Mauve(
        mean=float(np.mean(figures)),
        deviation=float(np.std(figures, ddof=1)) if len(figures) > 1 else 0.0,
        texts=fewest,
        clusters=int(found[0].num_buckets),
    )
