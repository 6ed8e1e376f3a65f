"""A configuration, resolved: fingerprints, addresses' keys, and the stages' work as plain values.

Promises: what decides a stage's result, and nothing else, enters its fingerprint, together with the
fingerprints of what it reads; where and how things run enters none. Two roles on one base get one
engine.

Does not know: what is committed, what is pending, who maps the work.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from backtrans.config import Config
from backtrans.corpus import similarity
from backtrans.corpus.duplicates import LikenessSettings
from backtrans.corpus.reader import ReaderSettings
from backtrans.corpus.screening import ScreenSettings
from backtrans.corpus.span import SegmentSettings
from backtrans.dialogue import Generate
from backtrans.engines.engine import EngineSettings
from backtrans.engines.model_files import model_fingerprint
from backtrans.evaluations import EvaluationFile, EvaluationSettings
from backtrans.ledger import fingerprint, stage_key
from backtrans.placement import Workers
from backtrans.recipe import Model, Sampling
from backtrans.report.card import CardModel
from backtrans.retry import Retry
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.score import Score
from backtrans.stages import deduplicate as deduplicate_stage
from backtrans.stages import select as select_stage
from backtrans.stages.ask import AskWork, RoleStage
from backtrans.stages.curate import CurateWork, Thresholds
from backtrans.stages.deduplicate import DeduplicateWork
from backtrans.stages.gather import GatherWork
from backtrans.stages.match import MatchWork
from backtrans.stages.select import SelectWork
from backtrans.stages.spread import SpreadWork
from backtrans.store import StoreSettings
from backtrans.takedown import Withdrawn
from backtrans.upstream import Upstream
from backtrans.work import RuntimeSettings

MAX_EARLIER = 4
"""How many earlier recipes' answers are looked for. Source: this project's choice: each costs a
pending shard one look in the ledger."""


class Resolved:
    """What a configuration comes to. Reading `models` reads model folders."""

    def __init__(self, config: Config, ray_auth_token: bool = False) -> None:
        self._recipe = config.recipe
        self._ray_auth_token = ray_auth_token
        self._placement = config.placement

    @cached_property
    def store(self) -> StoreSettings:
        """Where everything that the run writes lies."""
        return StoreSettings(self._placement.root, **self._placement.store.model_dump())

    @cached_property
    def lake(self) -> StoreSettings | None:
        """Where the lake table lies, if there is to be one."""
        lake = self._placement.lake
        return replace(self.store, root=lake.uri) if lake else None

    @cached_property
    def models(self) -> dict[str, str]:
        """Name each role's model, base and adapter together, by content. Raises: ModelError."""
        models = self._recipe.models
        return {"backward": _identity(models.backward), "forward": _identity(models.forward)}

    @cached_property
    def card_models(self) -> list[CardModel]:
        """Each role's model as the dataset card names it."""
        models = self._recipe.models
        return [
            CardModel(role, _name(model), model.revision or "", self.models[role])
            for role, model in (("backward", models.backward), ("forward", models.forward))
        ]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the recipe has, in the job's order."""
        every = ("select", "deduplicate", "backtranslate", "score", "curate")
        return tuple(s for s in every if s != "deduplicate" or self._recipe.deduplicate.enabled)

    @property
    def _screened(self) -> tuple[Any, ...]:
        """What decides which segments are kept, but for evaluation sets; not what is off."""
        select = self._recipe.select
        on = [
            [family, asdict(getattr(select.filters, family))] for family in select.filters.families
        ]
        band = [select.segmentation, select.min_chars, select.max_chars]
        return band, sorted(on), asdict(select.privacy)

    @cached_property
    def evaluations(self) -> EvaluationSettings:
        """The evaluation sets that no kept pair may hold."""
        named = self._recipe.select.evaluations
        files = tuple(EvaluationFile(s.name, s.path, tuple(s.fields)) for s in named.sets)
        return EvaluationSettings(self.store, files, named.n_words, named.min_words)

    @cached_property
    def asked(self) -> dict[str, str]:
        """Name what answers in each role stage: the role and its model, whatever is asked about."""
        return {
            "backtranslate": fingerprint(
                _served_anywhere(self.backtranslate), self.models["backward"]
            ),
            "score": fingerprint(_served_anywhere(self.score), self.models["forward"]),
        }

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What each stage depends on, hashed, with what its upstream depends on."""
        recipe = self._recipe
        reading = recipe.corpus.model_dump(exclude={"paths"})
        screened = [*self._screened, self.evaluations.fingerprint()]
        select = fingerprint(select_stage.VERSION, reading, *screened)
        versions = (deduplicate_stage.VERSION, similarity.VERSION)
        likeness = asdict(self.likeness) if self.likeness.near else None
        deduplicate = fingerprint(*versions, likeness, select)
        segments = deduplicate if recipe.deduplicate.enabled else select
        backtranslate = fingerprint("backtranslate", self.asked["backtranslate"], segments)
        score = fingerprint("score", self.asked["score"], backtranslate)
        found = {
            "select": select,
            "deduplicate": deduplicate,
            "backtranslate": backtranslate,
            "score": score,
            "curate": fingerprint(
                "curate", recipe.curate.model_dump(), self.evaluations.fingerprint(), score
            ),
        }
        return {stage: found[stage] for stage in self.stages}

    def key(self, stage: str, shard: str) -> str:
        """Return the key under which a stage commits a shard."""
        return stage_key(stage, self.fingerprints[stage], shard)

    # ------------------------------------------------------------------ copies

    @property
    def likeness(self) -> LikenessSettings:
        """When a segment is a copy of an earlier one."""
        found = self._recipe.deduplicate
        return LikenessSettings(found.near, found.threshold, found.shingle_words)

    def spread_work(self, generation: int) -> SpreadWork:
        """Return the work that lays a generation out by hash."""
        return SpreadWork(self.store, self.likeness, self.fingerprints["deduplicate"], generation)

    def match_work(self, generation: int) -> MatchWork:
        """Return the work that finds a generation's copies."""
        return MatchWork(self.store, self.likeness, self.fingerprints["deduplicate"], generation)

    def gather_work(self, generation: int) -> GatherWork:
        """Return the work that brings a generation's verdicts together."""
        return GatherWork(self.store, self.fingerprints["deduplicate"], generation)

    def deduplicate_work(self, run: str, generation: int) -> DeduplicateWork:
        """Return the deduplicating stage's work, up to a generation."""
        found = self.fingerprints
        return DeduplicateWork(self.store, run, found["select"], found["deduplicate"], generation)

    # ------------------------------------------------------------------ roles and their work

    @cached_property
    def backtranslate(self) -> Backtranslate:
        """The backward role of the recipe."""
        recipe = self._recipe.backtranslate
        adapter = "backward" if self._recipe.models.backward.adapter else None
        return Backtranslate(_generate(recipe), recipe.max_instruction_chars, adapter)

    @cached_property
    def score(self) -> Score:
        """The judging role of the recipe."""
        recipe = self._recipe.score
        adapter = "forward" if self._recipe.models.forward.adapter else None
        sampling = _generate(recipe.sampling)
        return Score(recipe.form, tuple(recipe.signals), sampling, adapter=adapter)

    def retry(self, reasons: tuple[str, ...] = ()) -> Retry:
        """Say which refused rows a run does again, and what may hang on them."""
        return Retry(reasons, tuple(self.fingerprints.items()))

    def select_work(self, run: str, retry: Retry, withdrawn: Withdrawn) -> SelectWork:
        """Return the selecting stage's work."""
        corpus, select = self._recipe.corpus, self._recipe.select
        columns = {str(field): column for field, column in corpus.columns.items()}
        return SelectWork(
            self.store,
            self.store,
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
            self.evaluations,
            corpus.shard_rows,
            self.fingerprints["select"],
            run,
            retry,
            withdrawn,
        )

    def earlier(self, stage: str, runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """Return a role stage's fingerprints in these runs, the latest first, where they are other
        than now though the same role and model answered.
        """
        found = [
            run["fingerprints"][stage]
            for run in reversed(runs)
            if run.get("asked", {}).get(stage) == self.asked[stage]
        ]
        others = [each for each in dict.fromkeys(found) if each != self.fingerprints[stage]]
        return tuple(others[:MAX_EARLIER])

    def ask_works(
        self, run: str, retry: Retry, runs: Sequence[Mapping[str, Any]] = ()
    ) -> list[AskWork]:
        """Return one work an engine: roles on the same base go through it together.

        `runs` are the records of earlier ones, whose answers are carried over where they hold.
        """
        found, models = self.fingerprints, self._recipe.models
        select = Upstream("select", found["select"])
        first: tuple[Upstream, ...] = (select,)
        if "deduplicate" in found:
            first = (Upstream("deduplicate", found["deduplicate"]), select)
        backward = RoleStage(
            "backtranslate",
            self.backtranslate,
            found["backtranslate"],
            first,
            _label(models.backward, self.models["backward"]),
            self.earlier("backtranslate", runs),
        )
        forward = RoleStage(
            "score",
            self.score,
            found["score"],
            (Upstream("backtranslate", found["backtranslate"]), select),
            _label(models.forward, self.models["forward"]),
            self.earlier("score", runs),
        )
        if _without_adapter(models.backward) == _without_adapter(models.forward):
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
        base = next(iter(models.values()))
        engine = EngineSettings(
            kind=base.engine,
            model=base.path,
            revision=base.revision,
            adapters={name: m.adapter for name, m in models.items() if m.adapter},
            seed=base.seed,
            dtype=base.dtype,
            max_model_tokens=base.max_model_tokens,
            chat_template=base.chat_template,
            **options.model_dump(exclude={"device"}),
        )
        gpus = float(options.tensor_parallel) if self._on_gpus() else 0.0
        return AskWork(self.store, engine, stages, run, retry, gpus_each=gpus)

    def _on_gpus(self) -> bool:
        device = self._placement.engine.device
        if device == "auto":
            # A cluster's head sees no GPU of its workers'; the device file is NVIDIA's driver's.
            joins_cluster = self._placement.ray_address is not None
            return joins_cluster or Path("/dev/nvidiactl").exists()
        return device == "gpu"

    def curate_work(self, run: str) -> CurateWork:
        """Return the curating stage's work."""
        curate, found = self._recipe.curate, self.fingerprints
        return CurateWork(
            self.store,
            Thresholds(curate.a4, curate.a5, tuple(sorted(curate.floors.items()))),
            run,
            select_key=found["select"],
            backtranslate_key=found["backtranslate"],
            score_key=found["score"],
            curate_key=found["curate"],
            evaluations=self.evaluations,
        )

    def runtime_settings(self, run: str, workers: Workers) -> RuntimeSettings:
        """Return how a runtime places work."""
        return RuntimeSettings(
            run=run,
            store=self.store,
            max_attempts=self._placement.max_attempts,
            in_flight=workers.in_flight,
            min_workers=workers.min,
            max_workers=workers.max,
            ray_address=self._placement.ray_address,
            ray_auth_token=self._ray_auth_token,
        )


def _generate(sampling: Sampling) -> Generate:
    return Generate(sampling.max_tokens, sampling.temperature, sampling.top_p)


def _served_anywhere(role: Backtranslate | Score) -> dict[str, Any]:
    """Return a role's fields without its adapter's name: the slot changes no answer."""
    return asdict(replace(role, adapter=None))


def _without_adapter(model: Model) -> Model:
    return model.model_copy(update={"adapter": None})


def _identity(model: Model) -> str:
    # The context is part of it: it decides which prompts are refused.
    settings = model.model_dump(exclude={"path", "revision", "adapter"})
    if model.engine == "scripted":
        return fingerprint(model.path, settings)
    adapter = model_fingerprint(model.adapter, None) if model.adapter else None
    return fingerprint(model_fingerprint(model.path, model.revision), adapter, settings)


def _label(model: Model, identity: str) -> str:
    """Name a model in rows as people know it, and by content where names could lie."""
    return f"{_name(model)}@{model.revision or identity[:12]}"


def _name(model: Model) -> str:
    paths = [model.path, *([model.adapter] if model.adapter else [])]
    return "+".join(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
