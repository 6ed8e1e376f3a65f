"""The judge as a step of a distilabel pipeline.

    InstructionBacktranslationStep(judge="judge.yaml")

It takes `instruction` and `generation` and gives what distilabel's own `InstructionBacktranslation`
task gives, `score`, `reason` and `model_name`, and beside them how sure the judge is.

Promises: every row of a batch comes out, in order, with a score or a reject reason; the engine is
opened in the process that distilabel runs the step in, and closed with it.

Does not know: how pairs are judged. Needs the extra `distilabel`.
"""

from collections.abc import Generator
from typing import Any

from distilabel.steps.base import Step, StepInput
from pydantic import Field, PrivateAttr

from backtrans.judge.instruction_backtranslation import InstructionBacktranslation

OUTPUTS = (
    "score",
    "reason",
    "model_name",
    "expectation",
    "distribution",
    "entropy",
    "off_digit_mass",
    "reject_reason",
    "reject_detail",
)
"""What a row gets. Source of the first three: distilabel 1.5's task."""


class InstructionBacktranslationStep(Step):  # type: ignore[misc]
    """Scores pairs by the judge of a file."""

    judge: str = Field(description="The judge's YAML file.")

    _judge: InstructionBacktranslation | None = PrivateAttr(default=None)

    @property
    def inputs(self) -> list[str]:
        return ["instruction", "generation"]

    @property
    def outputs(self) -> list[str]:
        return list(OUTPUTS)

    def load(self) -> None:
        """Read the file; the engine opens at the first batch. Raises: ConfigError."""
        super().load()
        self._judge = InstructionBacktranslation.from_file(self.judge)

    def unload(self) -> None:
        """Close the engine."""
        super().unload()
        if self._judge is not None:
            self._judge.close()
            self._judge = None

    def process(self, inputs: StepInput) -> Generator[list[dict[str, Any]], None, None]:
        """Score a batch. Rows: N -> N, same order. Raises: ModelError, EngineDead."""
        assert self._judge is not None
        found = [each.to_dict("distilabel") for each in self._judge.judge_pairs(inputs)]
        yield [
            {**row, **{name: judged[name] for name in OUTPUTS}}
            for row, judged in zip(inputs, found, strict=True)
        ]
