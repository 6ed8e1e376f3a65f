"""distilabel's text generation on the vLLM that is here; it writes down when its rows came out.

distilabel 1.5.3 hands vLLM an argument that vLLM no longer takes (an empty list), and at its end
frees a part that vLLM no longer has. Nothing else of it is changed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distilabel.models import vLLM
from distilabel.steps import StepInput
from distilabel.steps.tasks import TextGeneration

from bench.opened import note


class PresentVllm(vLLM):
    """Its engine."""

    def load(self) -> None:
        """Load the model. Raises: TypeError at a request with processors of logits."""
        super().load()
        import vllm

        taken = vllm.SamplingParams

        def without(*, logits_processors: Any = (), **given: Any) -> Any:
            if logits_processors:
                raise TypeError("vLLM takes no processors of logits a request")
            return taken(**given)

        vllm.SamplingParams = without

    def _cleanup_vllm_model(self) -> None:
        self._model = None


class NotedGeneration(TextGeneration):
    """The task as it is, with a file of notes."""

    place: str

    def process(self, inputs: StepInput) -> Iterator[list[dict[str, Any]]]:
        """Generate, and note each batch. Rows: N -> N."""
        for rows in super().process(inputs):
            tokens = 0
            for row in rows:
                said = row["distilabel_metadata"][f"statistics_{self.name}"]
                tokens += said["input_tokens"] + said["output_tokens"]
            note(Path(self.place), tokens)
            yield rows
