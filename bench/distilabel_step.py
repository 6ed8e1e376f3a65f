"""distilabel's text generation, which writes down when its rows came out, and their tokens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilabel.steps import StepInput
from distilabel.steps.tasks import TextGeneration

from bench.throughput import note


class NotedGeneration(TextGeneration):
    """The task as it is, with a file of notes."""

    place: str

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        """Generate, and note each batch. Rows: N -> N."""
        for rows in super().process(inputs):
            tokens = 0
            for row in rows:
                said = row["distilabel_metadata"][f"statistics_{self.name}"]
                tokens += sum(said["input_tokens"]) + sum(said["output_tokens"])
            note(Path(self.place), tokens)
            yield rows
