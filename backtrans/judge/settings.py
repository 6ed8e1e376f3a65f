"""The file of a judge: which models score pairs, how, and which of them is asked first.

Promises: as strict as a run's configuration; relative paths are taken from the file's own folder;
a run's configuration gives the judge that the run has.

Does not know: pairs, whether the models are there.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from backtrans.config import anchored_model, checked, load
from backtrans.models import Registry
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Score
from backtrans.resolution import Resolved, model_name
from backtrans.section import Section
from backtrans.store import Store

A5_SCORE = 4.5
"""Source: 2308.06259, what its best split scores at least."""


class SendOn(Section):
    """When a judge is not sure enough of a pair, so that the next one is asked too."""

    entropy: Annotated[float, Field(ge=0)] | None = None
    """Nats: over it the pair goes on. Five digits have at most ln 5 = 1.61."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """The pair goes on where its expectation is nearer than this to `threshold`."""
    threshold: Annotated[float, Field(ge=1, le=5)] = A5_SCORE
    """What decides whether the pair is taken in the end."""

    @model_validator(mode="after")
    def _says_when(self) -> "SendOn":
        if self.entropy is None and self.margin is None:
            raise ValueError("give entropy, margin or both: without them no pair goes on")
        return self


class Judge(Section):
    """A model, and how it is asked: as `recipe.models.forward` and `recipe.score` of a run."""

    model: Model
    score: Score = Score()
    name: str | None = None
    """What rows call it; else its model's name and its form."""
    send_on: SendOn | None = None
    """Of every judge but the last."""
    engine: EngineOptions | None = None
    """Its own, where two models are to share a GPU's memory; else the file's."""

    @property
    def called(self) -> str:
        """What rows call it."""
        return self.name or f"{model_name(self.model)}:{self.score.form}"


class Judging(Section):
    """Who scores pairs."""

    judges: Annotated[list[Judge], Field(min_length=1)]
    """From cheap to dear; one is enough."""
    engine: EngineOptions = EngineOptions()
    """As `placement.engine` of a run."""

    def engine_of(self, judge: Judge) -> EngineOptions:
        """Return how a judge's engine runs: as it says itself, else as the file does."""
        return judge.engine or self.engine

    @model_validator(mode="after")
    def _given_models(self) -> "Judging":
        if any(judge.model.trained for judge in self.judges):
            raise ValueError("a judge's model is a folder, not one to be trained: no trained: true")
        return self

    @model_validator(mode="after")
    def _each_sends_to_the_next(self) -> "Judging":
        *cheap, last = self.judges
        if last.send_on is not None:
            raise ValueError("the last judge has send_on, and there is none to send to")
        if any(judge.send_on is None for judge in cheap):
            raise ValueError("every judge but the last needs send_on: when the next one is asked")
        names = [judge.called for judge in self.judges]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"two judges are called {twice[0]!r}: give each a name")
        return self


class JudgeFile(Section):
    """The whole file."""

    judge: Judging


def load_judging(path: Path) -> Judging:
    """Read the file of a judge. Raises: ConfigError that names every key at fault."""
    found, folder = checked(path, JudgeFile).judge, path.resolve().parent
    judges = [
        judge.model_copy(update={"model": anchored_model(judge.model, folder)})
        for judge in found.judges
    ]
    return found.model_copy(update={"judges": judges})


def run_judging(path: Path) -> Judging:
    """Return the judge of a run: its forward model, fetched where the run trains it.

    Raises: ConfigError, ModelError, StoreError.
    """
    config = load(path)
    resolved = Resolved(config)
    model = resolved.trained.served("forward")
    # A trained model is a name in the run's store; engines here open folders.
    registry, cache = Registry(Store(resolved.store)), Path(config.placement.model_cache)
    adapter = model.adapter and registry.located(model.adapter, cache)
    found = {"path": registry.located(model.path, cache), "adapter": adapter}
    judge = Judge(model=model.model_copy(update=found), score=config.recipe.score)
    return Judging(judges=[judge], engine=config.placement.engine)
