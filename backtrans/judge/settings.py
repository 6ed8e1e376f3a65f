"""The file of a judge: which models score pairs, how, and which of them is asked first.

Promises: as strict as a run's configuration; relative paths are taken from the file's own folder.

Does not know: pairs, whether the models are there.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from backtrans.config import anchored_model, checked
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Score
from backtrans.section import Section


class Judge(Section):
    """A model, and how it is asked: as `recipe.models.forward` and `recipe.score` of a run."""

    model: Model
    score: Score = Score()


class Judging(Section):
    """Who scores pairs."""

    judges: Annotated[list[Judge], Field(min_length=1)]
    """From cheap to dear; one is enough."""
    engine: EngineOptions = EngineOptions()
    """As `placement.engine` of a run."""

    @model_validator(mode="after")
    def _given_models(self) -> "Judging":
        if any(judge.model.trained for judge in self.judges):
            raise ValueError("a judge's model is a folder, not one to be trained: no trained: true")
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
