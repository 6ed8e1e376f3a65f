"""The recipe: the half of the configuration that decides the result.

Promises: what a stage depends on stands here, in `selection` and in `finetuning`, and nowhere else,
each value with its source; changing one makes pending what depends on it, and nothing more.

Does not know: files, stores, how or where things run.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from backtrans.finetuning import Training
from backtrans.rewriting import RefuseSettings
from backtrans.roles.defences import Defences
from backtrans.roles.prescore import PrescoreSettings
from backtrans.section import Section
from backtrans.selection import Corpus, Deduplicate, Select
from backtrans.thresholds import Selector


class Model(Section):
    """A model that plays a role. Two roles with the same base share one engine."""

    path: str
    """A folder (relative ones from the folder of this file) or a hub id, which needs `revision`;
    for `engine: openai`, the name under which an endpoint serves it."""
    revision: str | None = None
    """Of a served model a label of yours, a new one when the weights or their server change: it is
    all that identifies them."""
    adapter: str | None = None
    """A PEFT LoRA folder on top of it; of a served model, the name that it is served under."""
    trained: bool = False
    """What `recipe.training` makes of `path` plays the role, not `path` itself."""
    engine: Literal["vllm", "openai", "scripted"] = "vllm"
    """`openai` asks a server of that protocol, which `engine.endpoints` of the placement names.
    `scripted` answers by rule, instantly: for tests of the machinery."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Of the weights in the engine; auto: as the model's files have them."""
    max_model_tokens: Annotated[int, Field(gt=0)] = 4096
    """Context. A prompt that does not fit it with its output is a reject."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the engine's sampling."""
    chat_template: str | None = None
    """Jinja, instead of the tokenizer's own; a base model's tokenizer may have none."""

    @model_validator(mode="after")
    def _can_be_trained(self) -> "Model":
        if self.trained and self.adapter:
            raise ValueError("a trained model has no adapter to begin with")
        return self

    @model_validator(mode="after")
    def _says_what_is_served(self) -> "Model":
        if self.engine != "openai":
            return self
        if self.trained:
            raise ValueError("a model that others serve cannot be trained here")
        if not self.revision:
            raise ValueError(
                "a model that others serve needs a revision, a label of yours: without one the"
                " weights could change under a finished run"
            )
        if self.dtype != "auto" or self.seed or self.chat_template:
            raise ValueError(
                "dtype, seed and chat_template of a model that others serve are the server's"
            )
        return self


class Models(Section):
    """The backward model M_yx and the forward model M_t; aligned ones, where they are to write."""

    backward: Model
    forward: Model
    rewrite: Model | None = None
    distill: Model | None = None
    """Where it is not named, the rewriting one, as in 2408.04614 section 5.1."""


class Sampling(Section):
    """How a model writes. Source of the defaults: 2408.04614 A.2."""

    temperature: Annotated[float, Field(ge=0)] = 1.0
    """0 writes the likeliest token each time."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Tokens are drawn from the likeliest ones that make up this share (nucleus sampling)."""
    max_tokens: Annotated[int, Field(gt=0)] = 256
    """The most that it writes."""


class Backtranslate(Sampling):
    """The backward role."""

    max_instruction_chars: Annotated[int, Field(gt=0)] = 500
    """A longer instruction is a reject. Source: REInstruct's limit."""


class Reasons(Sampling):
    """How the judge writes its reasons."""

    max_tokens: Annotated[int, Field(gt=0)] = 512


class Score(Section):
    """The judging role."""

    form: Literal["constrained", "reasoned"] = "constrained"
    """constrained: the digit alone is decoded. reasoned: the model writes its reasons first, as in
    2308.06259 (table 19)."""
    signals: list[Literal["likelihood", "pmi"]] = []
    """Beside the digit: log p(response | instruction), and against log p(response)."""
    sampling: Reasons = Reasons()
    """Of the reasoned form."""
    defences: Defences = Defences()
    """Against pages that talk to their judge. Source: docs/audit.md measures each; a judge that was
    trained on the plain prompt, as this project's are, is to be trained on theirs too."""
    prescore: PrescoreSettings = PrescoreSettings()
    """Which instructions are refused before the judge is asked."""

    @model_validator(mode="after")
    def _nothing_to_steer(self) -> "Score":
        if self.defences.digit_only and self.form == "reasoned":
            raise ValueError("form: reasoned writes reasons, which defences.digit_only forbids")
        return self


LIKELIHOODS = ("min_token_logprob", "mean_logprob", "pmi")
"""Signals of a judgement that are there only where `score.signals` asks for them."""


def _said(value: object) -> str:
    return "[file]" if isinstance(value, str) else "[none]" if value is None else "[content]"


# Tagged, so that what is wrong in one is said of what it is, and of nothing else.
NamedSelector = Annotated[
    Annotated[Selector, Tag("[content]")]
    | Annotated[str, Tag("[file]")]
    | Annotated[None, Tag("[none]")],
    Discriminator(_said),
]


class Curate(Section):
    """Which pairs are kept. Source: 2308.06259 section 3.3 and its appendix (A4, A5)."""

    a4: Annotated[float, Field(ge=1, le=5)] = 4.0
    """Expected score from which a pair is in A4; under it the pair is a reject."""
    a5: Annotated[float, Field(ge=1, le=5)] = 4.5
    """Expected score from which a pair is in A5, which lies within A4."""
    floors: dict[Literal["min_token_logprob", "mean_logprob", "pmi"], float] = {}
    """A pair whose signal lies below its floor is refused whatever its score."""
    selector: NamedSelector = None
    """What `backtrans calibrate fit` wrote, or its file: pairs are judged by its probability, with
    an a4 and an a5 of its own. The file's content counts, not its name."""
    filter: bool = True
    """Without it every scored pair goes on: what is in neither A4 nor A5 is in the split `all`.
    Source: 2408.04614 table 1 filters and rewrites independently."""

    @model_validator(mode="after")
    def _nested(self) -> "Curate":
        if self.a5 < self.a4:
            raise ValueError(f"a5 {self.a5} is under a4 {self.a4}: A5 lies within A4")
        if self.selector is not None and self.model_fields_set & {"a4", "a5"}:
            raise ValueError("the selector has an a4 and an a5 of its own: take these out")
        return self


class Rewrite(Sampling):
    """The rewriting role, and what is taken of what it writes. Source: 2408.04614 section 2.2."""

    enabled: bool = False
    """Have `models.rewrite` rewrite each curated response."""
    form: Literal["written", "lines"] = "written"
    """written: the paper's prompt. lines: nothing is written; of the response's own lines those
    stay that the model finds likely, so that a weak model invents nothing."""
    min_line_logprob: float = -0.6
    """Of that form: mean log-probability of a line's tokens, in nats. Source: the micro-world,
    where 95% of the content stayed and 79% of the noise went; set it for your model."""
    max_tokens: Annotated[int, Field(gt=0)] = 1024
    """Source: select.max_chars, 3,000, are some 750 tokens; rewrites are a little shorter than what
    they are made from (2408.04614 table 6)."""
    refuse: RefuseSettings = RefuseSettings()
    """Which rewrites are not taken; what is not named here is recorded only."""
    fallback: Literal["original", "drop"] = "original"
    """What stands for a rewrite that is not taken: the original response, or nothing."""
    rescore: bool = False
    """Have the judge score rewrites too; one that scores lower than its original is not taken."""


class Distill(Sampling):
    """The baseline: a model's own answers to the same instructions. Source: 2408.04614 section 5.1,
    whose nucleus sampling is the same in all steps (A.2).
    """

    enabled: bool = False
    """Have `models.distill` answer each curated instruction too."""
    max_tokens: Annotated[int, Field(gt=0)] = 1024
    """Source: distilled answers have 567 tokens on average (2408.04614 table 6)."""


class Recipe(Section):
    """What decides the result."""

    corpus: Corpus
    select: Select = Select()
    deduplicate: Deduplicate = Deduplicate()
    training: Training | None = None
    models: Models
    backtranslate: Backtranslate = Backtranslate()
    score: Score = Score()
    curate: Curate = Curate()
    rewrite: Rewrite = Rewrite()
    distill: Distill = Distill()

    @model_validator(mode="after")
    def _writers_have_models(self) -> "Recipe":
        if self.rewrite.enabled and self.models.rewrite is None:
            raise ValueError("rewrite.enabled needs a model: add models.rewrite")
        if self.distill.enabled and (self.models.distill or self.models.rewrite) is None:
            raise ValueError("distill.enabled needs a model: add models.distill or models.rewrite")
        return self

    @model_validator(mode="after")
    def _pages_never_speak_as_turns(self) -> "Recipe":
        if not self.score.defences.token_ids:
            raise ValueError("score.defences.token_ids: false is for `backtrans audit` alone")
        return self

    @model_validator(mode="after")
    def _trained_models_have_a_seed(self) -> "Recipe":
        trained = self.models.backward.trained or self.models.forward.trained
        if trained and self.training is None:
            raise ValueError("a model is trained: say on what, under training.seed")
        return self

    @model_validator(mode="after")
    def _writers_are_not_trained(self) -> "Recipe":
        for part, model in (("rewrite", self.models.rewrite), ("distill", self.models.distill)):
            if model is not None and model.trained:
                raise ValueError(f"models.{part}.trained: only backward and forward are trained")
        return self

    @model_validator(mode="after")
    def _signals_are_asked_for(self) -> "Recipe":
        self.check_signals()
        return self

    def check_signals(self) -> None:
        """Look whether what curating reads is asked for. Raises: ValueError that says what is not.

        A selector that is still a file's name is not looked at.
        """
        selector = self.curate.selector
        features = selector.features if isinstance(selector, Selector) else {}
        self._are_asked_for("curate.floors", self.curate.floors)
        self._are_asked_for("curate.selector", set(features) & set(LIKELIHOODS))

    def _are_asked_for(self, where: str, signals: Iterable[str]) -> None:
        asked = set(self.score.signals)
        for signal in sorted(signals):
            needed: Literal["pmi", "likelihood"] = "pmi" if signal == "pmi" else "likelihood"
            if needed not in asked and not (needed == "likelihood" and "pmi" in asked):
                raise ValueError(f"{where} has {signal}: add {needed} to score.signals")
