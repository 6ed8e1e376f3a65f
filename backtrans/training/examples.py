"""From pairs to token ids: the very prompts that the roles ask, and the answers to be learnt.

Promises: the ids before `target_start` are those that the engine's prompter makes of the same
messages, and no text can act as a control token; an example longer than `max_tokens` is left out
and counted, never cut; replayed exchanges are drawn by the seed, to the share that was asked for.

Does not know: torch, how examples are batched.
"""

import io
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backtrans.dialogue import Message
from backtrans.engines.folders import read_json
from backtrans.engines.model_files import is_local
from backtrans.engines.prompt import Prompter
from backtrans.errors import InputError, ModelError
from backtrans.roles import backtranslate
from backtrans.roles.role import AUGMENTED_TAG, SEED_TAG
from backtrans.training.pairs import Exchange, RoleName, TrainingData, TrainingPair
from backtrans.training.settings import TrainingSettings

SCHEMA = pa.schema([("input_ids", pa.list_(pa.int32())), ("target_start", pa.int32())])

IGNORED = -100
"""The label of a token that bears no loss. Source: torch's cross_entropy, ignore_index."""


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, and where those begin that the model is to learn."""

    input_ids: list[int]
    target_start: int

    @property
    def labels(self) -> list[int]:
        """What each position is compared with, where it bears loss."""
        return [IGNORED] * self.target_start + self.input_ids[self.target_start :]


def exchange_of(role: RoleName, pair: TrainingPair) -> Exchange:
    """Say a pair as the role that is trained is asked."""
    if role == "backward":
        return Exchange(backtranslate.render(pair.output), pair.instruction)
    tag = AUGMENTED_TAG if pair.augmented else SEED_TAG
    return Exchange((Message("user", f"{pair.instruction} {tag}"),), pair.output)


class Rendering:
    """Turns exchanges into examples with a base's own tokenizer and template."""

    def __init__(
        self, path: str, revision: str | None, chat_template: str | None, max_tokens: int
    ) -> None:
        """Load the tokenizer. Raises: ModelError."""
        tokenizer = tokenizer_of(path, revision)
        self._prompter = Prompter(tokenizer, chat_template)
        self._ends = ends_of(tokenizer, path, revision)
        self._max_tokens = max_tokens

    def example(self, exchange: Exchange) -> Example | None:
        """Return an exchange's example, or None where it is too long."""
        ids, start = self._prompter.exchange(exchange.messages, exchange.answer, self._ends)
        return Example(ids, start) if len(ids) <= self._max_tokens else None


def render(
    role: RoleName, data: TrainingData, settings: TrainingSettings, rendering: Rendering
) -> tuple[list[Example], dict[str, int]]:
    """Return the examples, in the data's own order, and the data's counts, complete.

    Raises: InputError where nothing is left to train on, or there is nothing to replay.
    """
    counts = Counter(data.counts)
    found = []
    for pair in data.pairs:
        example = rendering.example(exchange_of(role, pair))
        if example is None:
            counts["augmented" if pair.augmented else "seed"] -= 1
            counts["too_long"] += 1
        else:
            found.append(example)
    if not found:
        raise InputError(f"{role}: no pair to train on: {dict(counts) or 'there was none'}")
    replayed = _replayed(data.replay, len(found), settings, rendering, counts)
    counts["replay"] = len(replayed)
    return [*found, *replayed], dict(counts)


def _replayed(
    exchanges: tuple[Exchange, ...],
    pairs: int,
    settings: TrainingSettings,
    rendering: Rendering,
    counts: Counter[str],
) -> list[Example]:
    share = settings.replay_share
    if share == 0:
        return []
    ready = []
    for exchange in exchanges:
        example = rendering.example(exchange)
        if example is None:
            counts["too_long"] += 1
        else:
            ready.append(example)
    if not ready:
        raise InputError(f"replay_share is {share}, and there is nothing to replay")
    wanted = round(pairs * share / (1 - share))
    dice = random.Random(settings.seed)
    drawn: list[Example] = []
    while len(drawn) < wanted:  # all of them, again and again, before any is drawn once more
        drawn += dice.sample(ready, min(len(ready), wanted - len(drawn)))
    return drawn


def tokenizer_of(path: str, revision: str | None) -> Any:
    """Load a tokenizer. Raises: ModelError."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the tokenizer does not load: {error}") from error


def ends_of(tokenizer: Any, path: str, revision: str | None) -> list[int]:
    """Return the tokens at which an engine stops, the tokenizer's own first. Raises: ModelError."""
    found = [tokenizer.eos_token_id]
    for held in _said_to_end(path, revision):
        found += held if isinstance(held, list) else [held]
    ends = [token for token in dict.fromkeys(found) if token is not None]
    if not ends:
        raise ModelError(f"{path}: neither tokenizer nor configuration names a token that ends")
    return ends


def _said_to_end(path: str, revision: str | None) -> list[Any]:
    if is_local(path):
        names = ("generation_config.json", "config.json")
        there = [name for name in names if (Path(path) / name).is_file()]
        return [read_json(Path(path), name).get("eos_token_id") for name in there]
    from transformers import AutoConfig, GenerationConfig

    try:
        return [GenerationConfig.from_pretrained(path, revision=revision).eos_token_id]
    except OSError:  # a model need not have one
        return [AutoConfig.from_pretrained(path, revision=revision).eos_token_id]


# ---------------------------------------------------------------------- from driver to workers


def packed(examples: list[Example]) -> bytes:
    """Encode examples as Parquet: the same ones give the same bytes."""
    rows = [{"input_ids": e.input_ids, "target_start": e.target_start} for e in examples]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), sink, compression="zstd")
    return sink.getvalue()


def unpacked(data: bytes) -> Iterator[Example]:
    """Read what `packed` wrote."""
    table = pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)
    for row in table.to_pylist():
        yield Example(row["input_ids"], row["target_start"])
