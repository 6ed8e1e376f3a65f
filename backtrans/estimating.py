"""What a job will take before it is done: documents, segments, tokens, GPU-hours, money.

    tokens a stage = rows that reach it x tokens a row

What is committed of the same recipe tells what a row costs and how many come through; where nothing
is, a sample of the corpus is asked about in words, with answers of assumed lengths.

Promises: commits nothing, and asks no model; says of each figure where it is from.

Does not know: how estimates are shown. Copies are not told from a sample, so without commits every
segment counts as the first of its kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backtrans.accounts import Estimate, StageEstimate, StageStatus
from backtrans.analysis.lengths import Ruler, tokens, words
from backtrans.checkpoint import commits_in
from backtrans.config import Config
from backtrans.conversing import Tally
from backtrans.costs import HOUR_SECONDS
from backtrans.engines.assumed import AssumedEngine, filler
from backtrans.engines.model_shape import shape_of
from backtrans.gpus import Gpu
from backtrans.ledger import Ledger, index_key
from backtrans.placement import gpus_each
from backtrans.places import read_at_once
from backtrans.recipe import Model
from backtrans.records import Row, is_kept
from backtrans.resolution import PARTS, Resolved
from backtrans.roofline import EFFICIENCY, floor_seconds
from backtrans.sampled import Sample, sample, spread_over
from backtrans.serving import answers
from backtrans.stages.select import SelectWork
from backtrans.standing import Standing
from backtrans.store import ObjectInfo

MIN_ROWS = 50
"""So many rows of a stage tell what one costs. Source: this project's choice: a mean over them is
known to a tenth, where single rows spread by two thirds."""

MAX_PARTS = 8
"""Of select, read for their texts where the corpus has been read. Source: this project's choice."""

INSTRUCTION_TOKENS = 30
"""Source: 115 characters on average in A5 (2308.06259 table 1), at four a token."""

REASONS_TOKENS = 150
"""Of a judge that gives reasons. Source: this project's choice; a pilot run says better."""

DISTILLED_TOKENS = 567
"""Source: 2408.04614 table 6."""

REWRITE_SHARE = 0.95
"""A rewrite's length, of its response's. Source: a little shorter (2408.04614 table 6)."""

CURATED_SHARE = 0.4
"""Source: A4 had 195,043 of 502,133 pairs (2308.06259 section 3.1 and table 1)."""

TEMPLATE_TOKENS = 10
"""A chat template's, around one turn. Source: ChatML has nine, Llama-3's about as many."""

WORDS_A_TOKEN = 0.75
"""Source: the usual figure for English."""

_BEFORE = {
    "deduplicate": "select",
    "backtranslate": "deduplicate",
    "score": "backtranslate",
    "curate": "score",
    "distill": "curate",
    "rewrite": "curate",
    "rescore": "rewrite",
}
"""Whose kept rows each stage is asked about, also where the recipe does without some of them."""


@dataclass(frozen=True, slots=True)
class PerRow:
    """What one row of a stage costs."""

    requests: float
    prompt: float
    cached: float
    output: float
    source: str


class Estimator:
    """Estimates one job, as it stands."""

    def __init__(
        self, config: Config, resolved: Resolved, ledger: Ledger, standing: Standing
    ) -> None:
        self._config = config
        self._resolved = resolved
        self._ledger = ledger
        self._standing = standing
        self._shards, _ = standing.shards()
        self._done = {
            stage: StageStatus.of(stage, standing.table(stage, self._shards))
            for stage in resolved.stages
        }

    def estimate(self, select_work: SelectWork, rows: int, gpu: Gpu | None) -> Estimate:
        """Return the estimate, over a sample of so many documents.

        Raises: InputError, ModelError.
        """
        read_rows, unread = self._objects()
        drawn = sample(select_work, unread, rows) if unread else Sample()
        unread_rows = drawn.documents_in(sum(info.size_bytes for info in unread))
        segments = self._done["select"].kept + unread_rows * drawn.kept_a_document
        reaching = self._reaching(segments)
        texts = drawn.kept or self._texts()
        return Estimate(
            len(self._standing.objects),
            round(read_rows + unread_rows),
            drawn.screened,
            round(segments),
            [
                self._stage(stage, reaching[stage], texts, gpu)
                for stage in self._resolved.stages
                if stage in PARTS
            ],
            gpu.name if gpu else None,
            self._config.placement.engine.tensor_parallel * self._config.placement.engines.max,
            self._config.placement.prices.gpu_hour,
        )

    def _objects(self) -> tuple[int, list[ObjectInfo]]:
        """Return the rows of the objects that have been read whole, and the others."""
        select, rows, unread = self._resolved.fingerprints["select"], 0, []
        every = self._standing.objects
        keys = [index_key(select, found.fingerprint) for found in every]
        indexes = read_at_once(self._ledger.index_of, keys)
        for found, index in zip(every, indexes, strict=True):
            if index is None:
                unread.append(found.info)
            else:
                rows += index.rows
        return rows, unread

    def _texts(self) -> list[Row]:
        """Return kept segments of some shards that have been selected from."""
        drawn = spread_over(self._shards, MAX_PARTS)
        commits = commits_in(self._standing.table("select", drawn))
        columns = ["id", "text", "reject_reason"]
        parts = (self._ledger.read_part(commit, columns) for commit in commits)
        return [row for part in parts for row in part.to_pylist() if is_kept(row)]

    def _reaching(self, segments: float) -> dict[str, float]:
        """Return how many rows reach each stage."""
        out = {"select": segments}
        reaching: dict[str, float] = {}
        for stage, before in _BEFORE.items():
            reaching[stage] = out[before]
            out[stage] = reaching[stage] * self._passing(stage)
        return reaching

    def _passing(self, stage: str) -> float:
        """Return the share of a stage's rows that come through it."""
        done = self._done.get(stage)
        if done is not None and done.rows_in >= MIN_ROWS:
            return done.kept / done.rows_in
        return CURATED_SHARE if stage == "curate" and self._config.recipe.curate.filter else 1.0

    def _stage(self, stage: str, rows: float, texts: list[Row], gpu: Gpu | None) -> StageEstimate:
        done, model = self._done[stage], self._resolved.playing[PARTS[stage]]
        row = self._per_row(stage, model, texts)
        prompt, output = rows * row.prompt, rows * row.output
        endpoint = self._config.placement.engine.endpoints.get(model.path)
        money = 0.0
        if model.engine == "openai" and endpoint is not None:
            money = endpoint.money(round(prompt), round(rows * row.cached), round(output))
        floor = None if model.engine == "vllm" else 0.0
        if gpu is not None and model.engine == "vllm" and Path(model.path).is_dir():
            shape = shape_of(model.path)
            sequences = self._config.placement.engine.max_sequences
            length = (row.prompt + row.output) / max(row.requests, 1e-9)
            fresh = prompt - rows * row.cached
            floor = floor_seconds(shape, gpu, fresh, output, length, sequences) / HOUR_SECONDS
        done_tokens = done.prompt_tokens + done.output_tokens
        expected, speed = None if floor is None else floor / EFFICIENCY, "assumed"
        if model.engine == "vllm" and done.rows_in >= MIN_ROWS and done_tokens and done.seconds:
            gpus = gpus_each(self._config.placement, model.engine)
            seconds = done.seconds / done_tokens * (prompt + output)
            expected, speed = seconds * gpus / HOUR_SECONDS, "measured"
        return StageEstimate(
            stage,
            round(rows),
            round(rows * row.requests),
            round(prompt),
            round(output),
            done_tokens,
            row.source,
            floor,
            expected,
            speed,
            money,
        )

    def _per_row(self, stage: str, model: Model, texts: list[Row]) -> PerRow:
        done = self._done[stage]
        if (rows := done.rows_in) >= MIN_ROWS:
            return PerRow(
                done.requests / rows,
                done.prompt_tokens / rows,
                done.cached_tokens / rows,
                done.output_tokens / rows,
                f"{rows:,} rows done",
            )
        if not texts:
            return PerRow(0, 0, 0, 0, "nothing to sample")
        ruler = self._ruler(model)
        in_words = ruler.unit == "words"
        a_token = 1.0 if in_words else WORDS_A_TOKEN
        scale = WORDS_A_TOKEN if in_words else 1.0  # assumed lengths are in tokens
        asked = filler(round(INSTRUCTION_TOKENS * WORDS_A_TOKEN))
        rows_of = [
            {"id": row["id"], "text": row["text"], "response": row["text"], "instruction": asked}
            for row in texts
        ]
        lengths = ruler.measure([row["text"] for row in texts])
        written = {
            "backtranslate": INSTRUCTION_TOKENS * scale,
            "distill": DISTILLED_TOKENS * scale,
            "rewrite": REWRITE_SHARE * sum(lengths) / len(lengths),
        }.get(stage, REASONS_TOKENS * scale)
        engine = AssumedEngine(
            ruler.measure,
            0 if model.engine == "scripted" else TEMPLATE_TOKENS,
            round(written),
            a_token,
            model.max_model_tokens,
        )
        tally = Tally()
        answers(engine, self._resolved.role(stage), rows_of, tally)
        usage, count = tally.usage(0.0), len(texts)
        return PerRow(
            usage.requests / count,
            usage.prompt_tokens / count,
            0.0,
            usage.output_tokens / count,
            f"a sample of {count:,} segments, in {ruler.unit}",
        )

    def _ruler(self, model: Model) -> Ruler:
        """Return what a model's tokens are counted with; by words, scaled, where it is not here."""
        if model.engine == "scripted":
            return words()
        folder = Path(model.path)
        if model.engine == "vllm" and (folder / "tokenizer.json").is_file():
            return tokens(folder)
        return Ruler(
            "words at 0.75 a token",
            lambda texts: [round(len(text.split()) / WORDS_A_TOKEN) for text in texts],
        )


def estimate_of(
    runs: Sequence[Mapping[str, Any]], fingerprints: Mapping[str, str]
) -> Estimate | None:
    """Return the last estimate that a run of a recipe began with, from runs' records."""
    for run in reversed(runs):
        if (said := run.get("estimate")) and run["fingerprints"] == fingerprints:
            return Estimate(**said | {"stages": [StageEstimate(**each) for each in said["stages"]]})
    return None
