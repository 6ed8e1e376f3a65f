"""The stages' work as plain values, made of a resolved configuration.

Promises: what a worker is sent is all that it needs, and holds no secret; two roles on one base
that follow each other share an engine.

Does not know: what is committed, what is pending, who maps the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from backtrans import logs
from backtrans.config import Config
from backtrans.corpus.reader import ReaderSettings
from backtrans.corpus.screening import ScreenSettings
from backtrans.corpus.span import SegmentSettings
from backtrans.placement import Workers, gpus_each
from backtrans.recipe import Model
from backtrans.resolution import PARTS, Resolved, model_name
from backtrans.retry import Retry
from backtrans.role_stages import RoleStage
from backtrans.selection import Corpus
from backtrans.serving import engine_settings, without_adapter
from backtrans.stages.ask import AskWork
from backtrans.stages.choose import Choice, ChooseWork
from backtrans.stages.curate import CurateWork
from backtrans.stages.deduplicate import DeduplicateWork
from backtrans.stages.gather import GatherWork
from backtrans.stages.match import MatchWork
from backtrans.stages.select import SelectWork
from backtrans.stages.spread import SpreadWork
from backtrans.takedown import Withdrawn
from backtrans.upstream import Upstream
from backtrans.work import RuntimeSettings


def reader_settings(corpus: Corpus) -> ReaderSettings:
    """Return how a corpus is read, as plain values."""
    return ReaderSettings(
        corpus.format,
        {str(field): column for field, column in corpus.columns.items()},
        corpus.max_line_bytes,
        corpus.max_decoded_bytes,
        corpus.max_page_bytes,
        corpus.max_html_bytes,
        corpus.max_provenance_chars,
    )


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
        return Retry(reasons, tuple(self._resolved.fingerprints.items()), ("distill",))

    def select_work(self, run: str, retry: Retry, withdrawn: Withdrawn) -> SelectWork:
        """Return the selecting stage's work."""
        corpus, select = self._recipe.corpus, self._recipe.select
        return SelectWork(
            self._resolved.store,
            self._resolved.store,
            reader_settings(corpus),
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
        found = self._resolved.fingerprints
        select = Upstream("select", found["select"])
        first: tuple[Upstream, ...] = (select,)
        if "deduplicate" in found:
            first = (Upstream("deduplicate", found["deduplicate"]), select)
        pairs = Upstream("backtranslate", found["backtranslate"])
        upstream = {"backtranslate": first, "score": (pairs, select)}
        return self._sharing(upstream, run, retry, runs)

    def write_works(
        self, run: str, retry: Retry, runs: Sequence[Mapping[str, Any]] = ()
    ) -> list[AskWork]:
        """Return the works of the roles that write for curated pairs, and of who judges that."""
        found = self._resolved.fingerprints
        curate = Upstream("curate", found["curate"])
        upstream: dict[str, tuple[Upstream, ...]] = {
            stage: (curate,) for stage in ("distill", "rewrite") if stage in found
        }
        if "rescore" in found:
            upstream["rescore"] = (Upstream("rewrite", found["rewrite"]), curate)
        return self._sharing(upstream, run, retry, runs)

    def _sharing(
        self,
        upstream: Mapping[str, tuple[Upstream, ...]],
        run: str,
        retry: Retry,
        runs: Sequence[Mapping[str, Any]],
    ) -> list[AskWork]:
        """Return one work for each run of stages, in their order, whose models have one base."""
        works = []
        served = self._resolved.served
        for _, group in groupby(upstream, lambda stage: without_adapter(served[PARTS[stage]])):
            stages = tuple(group)
            roles = tuple(self._role_stage(stage, upstream[stage], runs) for stage in stages)
            models = {PARTS[stage]: served[PARTS[stage]] for stage in stages}
            works.append(self._ask_work(run, models, roles, retry))
        return works

    def _role_stage(
        self, stage: str, upstream: tuple[Upstream, ...], runs: Sequence[Mapping[str, Any]]
    ) -> RoleStage:
        resolved, part = self._resolved, PARTS[stage]
        return RoleStage(
            stage,
            resolved.role(stage),
            resolved.fingerprints[stage],
            upstream,
            _label(resolved.playing[part], resolved.models[part]),
            resolved.earlier(stage, runs),
        )

    def _ask_work(
        self, run: str, models: dict[str, Model], stages: tuple[RoleStage, ...], retry: Retry
    ) -> AskWork:
        engine = engine_settings(models, self._placement.engine)
        if engine.endpoint is not None:  # each worker asks
            shared = engine.endpoint.shared(self._placement.engines.max)
            engine = replace(engine, endpoint=shared)
        return AskWork(
            self._resolved.store,
            engine,
            stages,
            run,
            retry,
            gpus_each=gpus_each(self._placement, engine.kind),
            model_cache=self._placement.model_cache,
        )

    def curate_work(self, run: str) -> CurateWork:
        """Return the curating stage's work."""
        found = self._resolved.fingerprints
        return CurateWork(
            self._resolved.store,
            self._resolved.thresholds,
            run,
            select_key=found["select"],
            backtranslate_key=found["backtranslate"],
            score_key=found["score"],
            curate_key=found["curate"],
            evaluations=self._resolved.evaluations,
        )

    def choose_work(self, run: str) -> ChooseWork:
        """Return the work of the stage that chooses among responses."""
        rewrite, found = self._recipe.rewrite, self._resolved.fingerprints
        return ChooseWork(
            self._resolved.store,
            Choice(rewrite.refuse, rewrite.fallback, self._resolved.thresholds),
            run,
            curate_key=found["curate"],
            rewrite_key=found["rewrite"],
            rescore_key=found.get("rescore"),
            choose_key=found["choose"],
            evaluations=self._resolved.evaluations,
        )

    def runtime_settings(
        self, run: str, workers: Workers, *, stoppable: bool = False
    ) -> RuntimeSettings:
        """Return how a runtime places work; the local one has one worker."""
        is_local = self._placement.runtime == "local"
        return RuntimeSettings(
            run=run,
            store=self._resolved.store,
            max_attempts=self._placement.max_attempts,
            in_flight=workers.in_flight,
            min_workers=1 if is_local else workers.min,
            max_workers=1 if is_local else workers.max,
            stoppable=stoppable,
            log_json=logs.is_on(),
            ray_address=self._placement.ray_address,
            ray_auth_token=self._ray_auth_token,
        )


def _label(model: Model, identity: str) -> str:
    """Name a model in rows as people know it, and by content where names could lie."""
    return f"{model_name(model)}@{model.revision or identity[:12]}"
