"""The file of an evaluation: what is compared, on which instructions, and who judges.

Promises: as strict as a run's configuration; relative paths are taken from the file's own folder.

Does not know: what the files hold, whether the models are there.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from backtrans.config import anchored, anchored_model, checked
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Sampling
from backtrans.roles.role import SEED_TAG
from backtrans.section import Section


class AnswerSampling(Sampling):
    """How the candidate writes. Source: 2408.04614 A.4, but for the limit, which it does not name:
    2,048 is what most of AlpacaEval's model configurations have.
    """

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_tokens: Annotated[int, Field(gt=0)] = 2048


class Candidate(Section):
    """What is evaluated: a file of outputs, or a model that writes them now."""

    outputs: str | None = None
    """AlpacaEval's format: JSON, JSON Lines or Parquet."""
    model: Model | None = None
    name: str | None = None
    """What the result calls it; else the outputs' generator, or the model's folder."""
    sampling: AnswerSampling = AnswerSampling()
    """Of the model."""
    tag: str = SEED_TAG
    """A sentence after each instruction that the model is given; "" for a model that was not
    trained with it. Source: 2408.04614 A.4."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "Candidate":
        if (self.outputs is None) == (self.model is None):
            raise ValueError("give outputs, a file, or model, which writes them: one of the two")
        return self


class Reference(Section):
    """What it is compared with."""

    outputs: str
    """AlpacaEval's format: JSON, JSON Lines or Parquet."""
    name: str | None = None
    """What the result calls it; else the outputs' generator."""


class Judge(Section):
    """Who judges, in both orders."""

    model: Model
    tie_margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """A mean preference this near to 0.5 is a tie; so is one whose two orders disagree."""


class Evaluation(Section):
    """One evaluation."""

    instructions: str | None = None
    """A file of the instructions to compare on; else those of the reference."""
    candidate: Candidate
    reference: Reference
    judge: Judge
    engine: EngineOptions = EngineOptions()
    """As `placement.engine` of a run."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the resampling."""
    resamples: Annotated[int, Field(gt=0)] = 1000
    """Source: this project's choice; an interval's ends move by some 0.1 points with the seed."""
    min_judged: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The command fails when a smaller share of the pairs could be judged."""

    @model_validator(mode="after")
    def _served_models_have_endpoints(self) -> "Evaluation":
        for model in (self.candidate.model, self.judge.model):
            if model and model.engine == "openai" and model.path not in self.engine.endpoints:
                raise ValueError(f"{model.path!r} is served by others: add engine.endpoints")
        return self


class EvaluationFile(Section):
    """The whole file."""

    evaluation: Evaluation


def load_evaluation(path: Path) -> Evaluation:
    """Read the file of an evaluation. Raises: ConfigError that names every key at fault."""
    found, folder = checked(path, EvaluationFile).evaluation, path.resolve().parent
    candidate, judge = found.candidate, found.judge
    ours = {
        "outputs": candidate.outputs and anchored(candidate.outputs, folder),
        "model": candidate.model and anchored_model(candidate.model, folder),
    }
    theirs = {"outputs": anchored(found.reference.outputs, folder)}
    return found.model_copy(
        update={
            "instructions": found.instructions and anchored(found.instructions, folder),
            "candidate": candidate.model_copy(update=ours),
            "reference": found.reference.model_copy(update=theirs),
            "judge": judge.model_copy(update={"model": anchored_model(judge.model, folder)}),
        }
    )
