"""A configuration, resolved: its stages, its models by their content, and the roles they play.

Promises: a model is named by what decides its answers, wherever it lies and whatever it is called;
what costs a look at a model's folder is looked at once, and when it is asked for.

Does not know: what of it decides a stage's result (`fingerprints`), how stages work (`works`), what
is committed, what is pending.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from backtrans import fingerprints
from backtrans.config import Config
from backtrans.corpus.duplicates import LikenessSettings
from backtrans.dialogue import Generate
from backtrans.engines.model_files import check_base, model_fingerprint
from backtrans.errors import ModelError
from backtrans.evaluations import EvaluationFile, EvaluationSettings
from backtrans.ledger import fingerprint, stage_key
from backtrans.recipe import Model, Sampling
from backtrans.report.card import CardModel
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.distill import Distill
from backtrans.roles.lines import KeepLines
from backtrans.roles.rewrite import Rewrite
from backtrans.roles.score import Score
from backtrans.serving import score_role
from backtrans.store import StoreSettings
from backtrans.thresholds import Selector, Thresholds
from backtrans.trained import ROLES, Trained
from backtrans.training.pairs import RoleName

PARTS = {
    "backtranslate": "backward",
    "score": "forward",
    "distill": "distill",
    "rewrite": "rewrite",
    "rescore": "forward",
}
"""Which of the recipe's models plays in each role stage."""

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
    def playing(self) -> dict[str, Model]:
        """The model of each part that the recipe gives: a recipe that does not write needs two."""
        recipe, named = self._recipe, self._recipe.models
        parts = {"backward": named.backward, "forward": named.forward}
        if recipe.distill.enabled and (model := named.distill or named.rewrite) is not None:
            parts["distill"] = model
        if recipe.rewrite.enabled and named.rewrite is not None:
            parts["rewrite"] = named.rewrite
        return parts

    @cached_property
    def models(self) -> dict[str, str]:
        """Name each part's model, base and adapter together, by content. Raises: ModelError."""
        named = {}
        for part, model in self.playing.items():
            try:
                named[part] = self._identity(part, model)
            except ModelError as error:
                raise ModelError(f"recipe.models, {part}: {error}") from error
        return named

    def _identity(self, part: str, model: Model) -> str:
        if model.engine == "scripted":
            return model_identity(self.served[part])
        if model.engine == "openai":
            return model_identity(model)
        if model.trained:
            role: RoleName = "backward" if part == "backward" else "forward"
            name: str | None = self.trained.fingerprint(role)
        else:
            name = self.trained.check(model)
        return model_identity(model) if name is None else fingerprint(name, _answering(model))

    @cached_property
    def trained(self) -> Trained:
        """The models that the recipe trains."""
        return Trained(self._recipe, self._placement, self.store)

    @cached_property
    def served(self) -> dict[str, Model]:
        """Each part's model as an engine opens it."""
        return {**self.playing, **{role: self.trained.served(role) for role in ROLES}}

    @cached_property
    def card_models(self) -> list[CardModel]:
        """Each part's model as the dataset card names it."""
        return [
            CardModel(part, model_name(model), model.revision or "", self.models[part])
            for part, model in self.playing.items()
        ]

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages that the recipe has, in the job's order."""
        recipe = self._recipe
        every = {
            "select": True,
            "deduplicate": recipe.deduplicate.enabled,
            "backtranslate": True,
            "score": True,
            "curate": True,
            "distill": recipe.distill.enabled,
            "rewrite": recipe.rewrite.enabled,
            "rescore": recipe.rewrite.enabled and recipe.rewrite.rescore,
            "choose": recipe.rewrite.enabled,
        }
        return tuple(stage for stage, has in every.items() if has)

    @property
    def published_stage(self) -> str:
        """The stage whose kept rows are what is published."""
        return "choose" if self._recipe.rewrite.enabled else "curate"

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
            stage: fingerprint(_served_anywhere(self.role(stage)), self.models[part])
            for stage, part in PARTS.items()
            if stage in self.stages
        }

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """What each stage depends on, hashed, with what its upstream depends on."""
        found = fingerprints.of(
            self._recipe, self.asked, self.likeness, self.evaluations.fingerprint()
        )
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

    @property
    def thresholds(self) -> Thresholds:
        """Which split a judged pair is in."""
        curate = self._recipe.curate
        floors = tuple(sorted(curate.floors.items()))
        selector = curate.selector if isinstance(curate.selector, Selector) else None
        return Thresholds(curate.a4, curate.a5, floors, curate.filter, selector)

    # ------------------------------------------------------------------ roles

    def role(self, stage: str) -> "AnyRole":
        """Return the role that a role stage carries through its dialogues."""
        part = PARTS[stage]
        if part == "backward":
            return self.backtranslate
        if part == "forward":
            return self.score
        return self.rewrite if part == "rewrite" else self.distill

    @cached_property
    def backtranslate(self) -> Backtranslate:
        """The backward role of the recipe."""
        recipe = self._recipe.backtranslate
        return Backtranslate(
            _generate(recipe), recipe.max_instruction_chars, self._adapter("backward")
        )

    @cached_property
    def score(self) -> Score:
        """The judging role of the recipe."""
        return score_role(self._recipe.score, self._adapter("forward"))

    @cached_property
    def rewrite(self) -> Rewrite | KeepLines:
        """The rewriting role of the recipe."""
        said, adapter = self._recipe.rewrite, self._adapter("rewrite")
        if said.form == "lines":
            return KeepLines(said.min_line_logprob, adapter=adapter)
        return Rewrite(_generate(said), adapter)

    @cached_property
    def distill(self) -> Distill:
        """The distilled role of the recipe."""
        return Distill(_generate(self._recipe.distill), self._adapter("distill"))

    def _adapter(self, part: str) -> str | None:
        model = self.served.get(part)
        return part if model is not None and model.adapter else None

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


AnyRole = Backtranslate | Score | Rewrite | KeepLines | Distill


def _served_anywhere(role: AnyRole) -> dict[str, Any]:
    """Return a role's fields without its adapter's name: the slot changes no answer."""
    return asdict(replace(role, adapter=None))


def model_identity(model: Model) -> str:
    """Name a model by its content, with what decides its answers.

    Raises: ModelError for what cannot be read, and for an adapter of another base.
    """
    if model.engine == "scripted":
        return fingerprint(model.path, _answering(model))
    if model.engine == "openai":  # nothing of it is here but its names
        return fingerprint(model.path, model.revision, model.adapter, _answering(model))
    if model.adapter:
        check_base(model.adapter, model.path, model.revision)
    adapter = model_fingerprint(model.adapter, None) if model.adapter else None
    return fingerprint(model_fingerprint(model.path, model.revision), adapter, _answering(model))


def _answering(model: Model) -> dict[str, Any]:
    """Return what decides a model's answers beside its weights."""
    # The context is part of it: it decides which prompts are refused.
    return model.model_dump(exclude={"path", "revision", "adapter", "trained"})


def model_name(model: Model) -> str:
    """Return what people call a model: the names of its folders."""
    paths = [model.path, *([model.adapter] if model.adapter else [])]
    paths += ["trained"] if model.trained else []
    return "+".join(path.rstrip("/").rsplit("/", 1)[-1] for path in paths)
