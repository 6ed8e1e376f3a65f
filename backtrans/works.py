"""The stages' work as plain values, made of a resolved configuration.

Promises: what a worker is sent is all that it needs, and holds no secret; two roles on one base
share an engine.

Does not know: what is committed, what is pending, who maps the work.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtrans.config import Config
from backtrans.corpus.reader import ReaderSettings
from backtrans.corpus.screening import ScreenSettings
from backtrans.corpus.span import SegmentSettings
from backtrans.placement import Workers
from backtrans.recipe import Model
from backtrans.resolution import Resolved, model_name
from backtrans.retry import Retry
from backtrans.serving import engine_settings, same_base
from backtrans.stages.ask import AskWork, RoleStage
from backtrans.stages.curate import CurateWork, Thresholds
from backtrans.stages.deduplicate import DeduplicateWork
from backtrans.stages.gather import GatherWork
from backtrans.stages.match import MatchWork
from backtrans.stages.select import SelectWork
from backtrans.stages.spread import SpreadWork
from backtrans.takedown import Withdrawn
from backtrans.upstream import Upstream
from backtrans.work import RuntimeSettings


class Works:
    """Makes the work of each stage.

    `ray_auth_token` says whether the environment asks for Ray's token authentication.
    """

    def __init__(self, config: Config, resolved: Resolved, *, ray_auth_token: bool = False) -> None:
        self._recipe = config.recipe
        self._placement = config.placement
        self._resolved = resolved
        self._ray_auth_token = ray_auth_token

    def retry(self, reasons: tuple[str, ...] = ()) -> Retry:
        """Say which refused rows a run does again, and what may hang on them."""
        return Retry(reasons, tuple(self._resolved.fingerprints.items()))

    def select_work(self, run: str, retry: Retry, withdrawn: Withdrawn) -> SelectWork:
        """Return the selecting stage's work."""
        corpus, select = self._recipe.corpus, self._recipe.select
        columns = {str(field): column for field, column in corpus.columns.items()}
        return SelectWork(
            self._resolved.store,
            self._resolved.store,
            ReaderSettings(
                corpus.format,
                columns,
                corpus.max_line_bytes,
                corpus.max_decoded_bytes,
                corpus.max_page_bytes,
                corpus.max_html_bytes,
                corpus.max_provenance_chars,
            ),
            ScreenSettings(
                SegmentSettings(select.segmentation, select.min_chars, select.max_chars),
                select.filters,
                select.privacy,
            ),
            self._resolved.evaluations,
            corpus.shard_rows,
            self._resolved.fingerprints["select"],
            run,
            retry,
            withdrawn,
        )

    def spread_work(self, generation: int) -> SpreadWork:
        """Return the work that lays a generation out by hash."""
        return SpreadWork(
            self._resolved.store,
            self._resolved.likeness,
            self._resolved.fingerprints["deduplicate"],
            generation,
        )

    def match_work(self, generation: int) -> MatchWork:
        """Return the work that finds a generation's copies."""
        return MatchWork(
            self._resolved.store,
            self._resolved.likeness,
            self._resolved.fingerprints["deduplicate"],
            generation,
        )

    def gather_work(self, generation: int) -> GatherWork:
        """Return the work that brings a generation's verdicts together."""
        return GatherWork(
            self._resolved.store, self._resolved.fingerprints["deduplicate"], generation
        )

    def deduplicate_work(self, run: str, generation: int) -> DeduplicateWork:
        """Return the deduplicating stage's work, up to a generation."""
        found = self._resolved.fingerprints
        return DeduplicateWork(
            self._resolved.store, run, found["select"], found["deduplicate"], generation
        )

    def ask_works(
        self, run: str, retry: Retry, runs: Sequence[Mapping[str, Any]] = ()
    ) -> list[AskWork]:
        """Return one work an engine: roles on the same base go through it together.

        `runs` are the records of earlier ones, whose answers are carried over where they hold.
        """
        found, models = self._resolved.fingerprints, self._recipe.models
        select = Upstream("select", found["select"])
        first: tuple[Upstream, ...] = (select,)
        if "deduplicate" in found:
            first = (Upstream("deduplicate", found["deduplicate"]), select)
        backward = RoleStage(
            "backtranslate",
            self._resolved.backtranslate,
            found["backtranslate"],
            first,
            _label(models.backward, self._resolved.models["backward"]),
            self._resolved.earlier("backtranslate", runs),
        )
        forward = RoleStage(
            "score",
            self._resolved.score,
            found["score"],
            (Upstream("backtranslate", found["backtranslate"]), select),
            _label(models.forward, self._resolved.models["forward"]),
            self._resolved.earlier("score", runs),
        )
        if same_base(models.backward, models.forward):
            both = {"backward": models.backward, "forward": models.forward}
            return [self._ask_work(run, both, (backward, forward), retry)]
        return [
            self._ask_work(run, {"backward": models.backward}, (backward,), retry),
            self._ask_work(run, {"forward": models.forward}, (forward,), retry),
        ]

    def _ask_work(
        self, run: str, models: dict[str, Model], stages: tuple[RoleStage, ...], retry: Retry
    ) -> AskWork:
        options = self._placement.engine
        engine = engine_settings(models, options)
        gpus = float(options.tensor_parallel) if self._on_gpus() else 0.0
        return AskWork(self._resolved.store, engine, stages, run, retry, gpus_each=gpus)

    def _on_gpus(self) -> bool:
        device = self._placement.engine.device
        if device == "auto":
            # A cluster's head sees no GPU of its workers'; the device file is NVIDIA's driver's.
            joins_cluster = self._placement.ray_address is not None
            return joins_cluster or Path("/dev/nvidiactl").exists()
        return device == "gpu"

    def curate_work(self, run: str) -> CurateWork:
        """Return the curating stage's work."""
        curate, found = self._recipe.curate, self._resolved.fingerprints
        return CurateWork(
            self._resolved.store,
            Thresholds(curate.a4, curate.a5, tuple(sorted(curate.floors.items()))),
            run,
            select_key=found["select"],
            backtranslate_key=found["backtranslate"],
            score_key=found["score"],
            curate_key=found["curate"],
            evaluations=self._resolved.evaluations,
        )

    def runtime_settings(self, run: str, workers: Workers) -> RuntimeSettings:
        """Return how a runtime places work."""
        return RuntimeSettings(
            run=run,
            store=self._resolved.store,
            max_attempts=self._placement.max_attempts,
            in_flight=workers.in_flight,
            min_workers=workers.min,
            max_workers=workers.max,
            ray_address=self._placement.ray_address,
            ray_auth_token=self._ray_auth_token,
        )


def _label(model: Model, identity: str) -> str:
    """Name a model in rows as people know it, and by content where names could lie."""
    return f"{model_name(model)}@{model.revision or identity[:12]}"
