"""How long texts are: in the tokens of a tokenizer that one names, else in words.

Promises: a length says what it counts; words are what stands between white space, so they need no
model and compare with no one's tokens. Special tokens are not counted.

Does not know: which texts they are.
Source: 2408.04614 table 6 has mean lengths in tokens, of Llama-2's tokenizer as it seems.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from backtrans.errors import ModelError

BATCH_TEXTS = 1024
"""Texts that a tokenizer is given at once. Source: this project's choice; some MB of text."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """What lengths are counted in, and how."""

    unit: str
    measure: Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Spread:
    """How some lengths are spread."""

    mean: float
    p5: float
    median: float
    p95: float
    longest: int


def words() -> Ruler:
    """Return a ruler of words."""
    return Ruler("words", lambda texts: [len(text.split()) for text in texts])


def tokens(folder: Path) -> Ruler:
    """Return a ruler of a tokenizer's tokens. Raises: ModelError."""
    file = folder / "tokenizer.json" if folder.is_dir() else folder
    try:
        # Read here first: what tokenizers says of a broken file is an Exception of no kind.
        plan = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise ModelError(f"{file}: no tokenizer can be read: {error}") from error
    if not isinstance(plan, dict) or not isinstance(plan.get("model"), dict):
        raise ModelError(f"{file}: is no fast tokenizer")
    from tokenizers import Tokenizer

    # A length is that of the whole text, whatever the tokenizer was saved to cut off or fill up.
    tokenizer = Tokenizer.from_str(
        orjson.dumps(plan | {"truncation": None, "padding": None}).decode()
    )

    def measure(texts: Sequence[str]) -> list[int]:
        found = []
        for start in range(0, len(texts), BATCH_TEXTS):
            batch = list(texts[start : start + BATCH_TEXTS])
            found += [len(e.ids) for e in tokenizer.encode_batch(batch, add_special_tokens=False)]
        return found

    return Ruler(f"tokens of {file.parent.name}", measure)


def spread(lengths: Sequence[int]) -> Spread:
    """Say how lengths are spread; there is one at least."""
    p5, median, p95 = np.percentile(lengths, [5, 50, 95]).tolist()
    return Spread(float(np.mean(lengths)), p5, median, p95, max(lengths))
