"""How complex texts are: how many intentions and subjects a tagging model finds in one.

Promises: what the model wrote that is no list of tags is counted as that, and in no mean.

Does not know: prompts (`roles.tag`), how an engine runs.
Source: 2308.07074 section 3 for the measure, 2408.04614 section 5.2 and table 4 for its use.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from backtrans.config import anchored_model, checked
from backtrans.dialogue import Generate
from backtrans.engines.engine import Engine, EngineSettings
from backtrans.placement import EngineOptions
from backtrans.recipe import Model
from backtrans.records import Reject
from backtrans.roles.tag import Tag
from backtrans.section import Section
from backtrans.serving import answers, engine_settings


class Tagging(Section):
    """Who tags."""

    model: Model
    max_tokens: Annotated[int, Field(gt=0)] = 512
    """Source: holds some twenty tags with their explanations."""
    engine: EngineOptions = EngineOptions()
    """As `placement.engine` of a run."""


class TaggingFile(Section):
    """The whole file."""

    tagging: Tagging


@dataclass(frozen=True, slots=True)
class Complexity:
    """Mean tags a text, of those that were tagged; None where none was. Rejects by reason."""

    mean_tags: float | None
    tagged: int
    rejects: dict[str, int]


def load_tagging(path: Path) -> Tagging:
    """Read who tags. Raises: ConfigError that names every key at fault."""
    found = checked(path, TaggingFile).tagging
    model = anchored_model(found.model, path.resolve().parent)
    return found.model_copy(update={"model": model})


def tagging_engine(tagging: Tagging) -> EngineSettings:
    """Return the settings of the engine that tags."""
    return engine_settings({"tagger": tagging.model}, tagging.engine)


def complexity(engine: Engine, tagging: Tagging, texts: Sequence[str]) -> Complexity:
    """Tag texts. Raises: EngineDead."""
    adapter = "tagger" if tagging.model.adapter else None
    role = Tag(Generate(tagging.max_tokens), adapter)
    found = answers(engine, role, [{"id": str(n), "text": t} for n, t in enumerate(texts)])
    counts = [len(each["tags"]) for each in found if not isinstance(each, Reject)]
    return Complexity(
        mean_tags=sum(counts) / len(counts) if counts else None,
        tagged=len(counts),
        rejects=dict(Counter(each.reason for each in found if isinstance(each, Reject))),
    )
