"""A configuration, resolved: its models and roles, its stages, and the fingerprint of each.

Promises: what decides a stage's result, and nothing else, enters its fingerprint, together with the
fingerprints of what it reads; where and how things run enters none.

Does not know: how stages work (`works`), what is committed, what is pending.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from backtrans.config import Config
from backtrans.corpus import similarity
from backtrans.corpus.duplicates import LikenessSettings
from backtrans.dialogue import Generate
from backtrans.engines.model_files import model_fingerprint
from backtrans.evaluations import EvaluationFile, EvaluationSettings
from backtrans.ledger import fingerprint, stage_key
from backtrans.recipe import Model, Sampling
from backtrans.report.card import CardModel
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.score import Score
from backtrans.stages import deduplicate as deduplicate_stage
from backtrans.stages import select as select_stage
from backtrans.store import StoreSettings

MAX_EARLIER = 4
"""How many earlier recipes' answers are looked for. Source: this project's choice: each costs a
pending shard one look in the ledger."""


class Resolved:
    """What a configuration comes to. Reading `models` reads model folders."""

    def __init__(self, config: Config) -> None:
        self._recipe = config.recipe
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
        return {
            "backward": model_identity(models.backward),
            "forward": model_identity(models.forward),
        }

    @cached_property
    def card_models(self) -> list[CardModel]:
        """Each role's model as the dataset card names it."""
        models = self._recipe.models
        return [
            CardModel(role, model_name(model), model.revision or "", self.models[role])
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

    # ------------------------------------------------------------------ roles

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


def _generate(sampling: Sampling) -> Generate:
    return Generate(sampling.max_tokens, sampling.temperature, sampling.top_p)


def _served_anywhere(role: Backtranslate | Score) -> dict[str, Any]:
    """Return a role's fields without its adapter's name: the slot changes no answer."""
    return asdict(replace(role, adapter=None))


def model_identity(model: Model) -> str:
    """Name a model by its content, with what decides its answers. Raises: ModelError."""
    # The context is part of it: it decides which prompts are refused.
    settings = model.model_dump(exclude={"path", "revision", "adapter"})
    if model.engine == "scripted":
        return fingerprint(model.path, settings)
    adapter = model_fingerprint(model.adapter, None) if model.adapter else None
    return fingerprint(model_fingerprint(model.path, model.revision), adapter, settings)


def model_name(model: Model) -> str:
    """Return what people call a model: the names of its folders."""
    paths = [model.path, *([model.adapter] if model.adapter else [])]
    return "+".join(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
