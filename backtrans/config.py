"""One YAML file for a run, strict, in two halves.

`recipe` decides the result: what a stage depends on in it enters that stage's fingerprint.
`placement` says where and how: it is recorded with the run and changes nothing that is committed.

Promises: an unknown key is an error that names the key and the nearest one that exists; a value of
the wrong type is an error that names its path; nothing is read from the environment.

Does not know: stores, engines, Ray. Only `pipeline` reads a `Config`; the rest takes plain values.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from backtrans.errors import ConfigError


class Section(BaseModel):
    """A part of the file: no unknown keys, no conversions, no changes after loading."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True
    )


class Corpus(Section):
    """Which documents there are, and how they are read."""

    paths: Annotated[list[str], Field(min_length=1)]
    """Files, folders or globs, local or s3://; relative ones from the folder of this file."""
    format: Literal["auto", "dolma", "parquet"] = "auto"
    columns: dict[Literal["id", "text", "source", "url", "added", "created", "metadata"], str] = {}
    """Our field -> your column (Parquet) or key (JSON), where the names differ."""
    shard_rows: Annotated[int, Field(gt=0)] = 1024
    """Input rows in a shard, the unit of work and of commit. Changing it computes all anew."""
    max_line_bytes: Annotated[int, Field(gt=0)] = 16 * 2**20
    """A longer line of JSON is a reject. Source: far over any web document; parsed, a line may take
    thirty times its bytes of memory, in each reader."""
    max_decoded_bytes: Annotated[int, Field(gt=0)] = 64 * 2**30
    """Where an object's text, decompressed, goes over this, the rest is a reject. Source: over the
    largest objects of Dolma, and an end to a decompression bomb."""
    max_page_bytes: Annotated[int, Field(gt=0)] = 256 * 2**20
    """A Parquet row group whose pages for a batch of rows take more, decoded, is unreadable.
    Source: pyarrow puts 1,024 values at least into a page, so raise it for books."""
    max_provenance_chars: Annotated[int, Field(gt=0)] = 128 * 2**10
    """A document whose id, source, url, dates and metadata together are longer is a reject. Source:
    ten times what web corpora say of one; a shard's rows are held in memory together."""


class Select(Section):
    """Which segments are worth asking about. Source of the band: 2308.06259 appendix, ClueWeb."""

    min_chars: Annotated[int, Field(ge=0)] = 600
    max_chars: Annotated[int, Field(gt=0)] = 3000

    @model_validator(mode="after")
    def _band(self) -> "Select":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is over max_chars {self.max_chars}")
        return self


class Deduplicate(Section):
    """Which segments are refused as copies of earlier ones, in the corpus and before it."""

    enabled: bool = True
    """Without it every selected segment is asked about."""
    near: bool = True
    """Also those that are only alike; else those with the same words."""
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Estimated Jaccard similarity of the shingles. Source: `python -m bench.dedup` (its curve)."""
    shingle_words: Annotated[int, Field(gt=0)] = 5
    """Source: FineWeb (2406.17557), 5-grams."""


class Model(Section):
    """A model that plays a role. Two roles with the same base share one engine."""

    path: str
    """A folder (relative ones from the folder of this file) or a hub id, which needs `revision`."""
    revision: str | None = None
    adapter: str | None = None
    """A PEFT LoRA folder on top of it."""
    engine: Literal["vllm", "scripted"] = "vllm"
    """`scripted` answers by rule, instantly: for tests of the machinery."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    max_model_tokens: Annotated[int, Field(gt=0)] = 4096
    """Context. A prompt that does not fit it with its output is a reject."""
    seed: Annotated[int, Field(ge=0)] = 0
    chat_template: str | None = None
    """Jinja, instead of the tokenizer's own; a base model's tokenizer may have none."""


class Models(Section):
    """The backward model M_yx and the forward model M_t."""

    backward: Model
    forward: Model


class Sampling(Section):
    """How a model writes. Source of the defaults: 2408.04614 A.2."""

    temperature: Annotated[float, Field(ge=0)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_tokens: Annotated[int, Field(gt=0)] = 256


class Backtranslate(Sampling):
    """The backward role."""

    max_instruction_chars: Annotated[int, Field(gt=0)] = 500
    """Source: REInstruct's limit."""


class Score(Section):
    """The judging role."""

    form: Literal["constrained", "reasoned"] = "constrained"
    signals: list[Literal["likelihood", "pmi"]] = []
    """Beside the digit: log p(response | instruction), and against log p(response)."""
    sampling: Sampling = Sampling(max_tokens=512)
    """Of the reasoned form."""


class Curate(Section):
    """Which pairs are kept. Source: 2308.06259 section 3.3 and its appendix (A4, A5)."""

    a4: Annotated[float, Field(ge=1, le=5)] = 4.0
    a5: Annotated[float, Field(ge=1, le=5)] = 4.5
    floors: dict[Literal["min_token_logprob", "mean_logprob", "pmi"], float] = {}
    """A pair whose signal lies below its floor is refused whatever its score."""

    @model_validator(mode="after")
    def _nested(self) -> "Curate":
        if self.a5 < self.a4:
            raise ValueError(f"a5 {self.a5} is under a4 {self.a4}: A5 lies within A4")
        return self


class Recipe(Section):
    """What decides the result."""

    corpus: Corpus
    select: Select = Select()
    deduplicate: Deduplicate = Deduplicate()
    models: Models
    backtranslate: Backtranslate = Backtranslate()
    score: Score = Score()
    curate: Curate = Curate()

    @model_validator(mode="after")
    def _signals_are_asked_for(self) -> "Recipe":
        asked = set(self.score.signals)
        for signal in self.curate.floors:
            needed: Literal["pmi", "likelihood"] = "pmi" if signal == "pmi" else "likelihood"
            if needed not in asked and not (needed == "likelihood" and "pmi" in asked):
                raise ValueError(f"curate.floors has {signal}: add {needed} to score.signals")
        return self


class StoreOptions(Section):
    """How an S3-compatible store is reached; credentials come from the standard chain."""

    endpoint_url: str | None = None
    region: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"


class EngineOptions(Section):
    """How engines run."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: GPUs where this machine has one, or where the run joins a cluster."""
    tensor_parallel: Annotated[int, Field(gt=0)] = 1
    max_batched_tokens: Annotated[int, Field(gt=0)] = 8192
    max_sequences: Annotated[int, Field(gt=0)] = 256
    max_in_flight: Annotated[int, Field(gt=0)] = 320
    memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.9
    cpu_kv_cache_gib: Annotated[int, Field(gt=0)] = 1
    eager: bool = False


class Workers(Section):
    """How many workers there are, and how many shards each holds in flight."""

    min: Annotated[int, Field(gt=0)] = 1
    max: Annotated[int, Field(gt=0)] = 1
    in_flight: Annotated[int, Field(gt=0)] = 3


class Lake(Section):
    """A Delta table that follows the latest snapshot; needs the extra `lake`."""

    uri: str
    """A folder or s3:// prefix of its own, reached as `store` says."""


class Card(Section):
    """What the dataset card cannot know by itself."""

    name: str = "Backtranslated instructions"
    license: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")] = "unknown"
    """Hugging Face's name of it; the documents' own terms decide it."""
    language: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] = []


class Placement(Section):
    """Where and how: recorded with the run, never part of a fingerprint."""

    root: str
    """A folder or s3:// prefix that holds everything the run writes."""
    store: StoreOptions = StoreOptions()
    lake: Lake | None = None
    card: Card = Card()
    runtime: Literal["ray", "local"] = "ray"
    ray_address: str | None = None
    """None starts a cluster of this machine for the run; "auto" joins the one around a Ray job."""
    engines: Workers = Workers()
    readers: Workers = Workers(in_flight=1)
    engine: EngineOptions = EngineOptions()
    max_attempts: Annotated[int, Field(gt=0)] = 3
    min_complete: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The run fails when a smaller share of its shards is committed."""


class Config(Section):
    """A run."""

    recipe: Recipe
    placement: Placement


def load(path: Path) -> Config:
    """Read a configuration; local relative paths in it are taken from its own folder.

    Raises: ConfigError that names the file and every key at fault.
    """
    try:
        raw = yaml.safe_load(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: holds no mapping; it needs the keys recipe and placement")
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_explain(detail)}" for detail in error.errors()]
        raise ConfigError("\n".join([f"{path}: {len(lines)} error(s)", *lines])) from error
    return _anchored(config, path.resolve().parent)


def _explain(detail: Any) -> str:
    location = [part for part in detail["loc"] if part != "[key]"]
    where = ".".join(str(part) for part in location)
    if detail["type"] == "extra_forbidden":
        known = _fields_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.0)
        return f"{where}: unknown key; did you mean {near[0]!r}? Known: {', '.join(known)}"
    if detail["type"] == "missing":
        return f"{where}: required, and missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{where}: {message} (is {detail['input']!r})" if where else message


def _fields_at(location: list[Any]) -> list[str]:
    section: type[BaseModel] = Config
    for part in location:
        annotation = section.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        section = annotation
    return list(section.model_fields)


def _anchored(config: Config, folder: Path) -> Config:
    """Make relative local paths absolute, so that workers elsewhere in the file tree find them."""

    def anchored(path: str) -> str:
        return path if "://" in path else str(folder / Path(path).expanduser())

    def model(m: Model) -> Model:
        # A name without a folder of that name beside the file is a hub id and stays as it is.
        local = m.path.startswith((".", "/", "~")) or (folder / m.path).is_dir()
        return m.model_copy(
            update={
                "path": anchored(m.path) if local and m.engine == "vllm" else m.path,
                "adapter": m.adapter and anchored(m.adapter),
            }
        )

    recipe, placement = config.recipe, config.placement
    models = Models(backward=model(recipe.models.backward), forward=model(recipe.models.forward))
    corpus = recipe.corpus.model_copy(update={"paths": [anchored(p) for p in recipe.corpus.paths]})
    return config.model_copy(
        update={
            "recipe": recipe.model_copy(update={"models": models, "corpus": corpus}),
            "placement": placement.model_copy(
                update={
                    "root": anchored(placement.root),
                    "lake": placement.lake and Lake(uri=anchored(placement.lake.uri)),
                }
            ),
        }
    )


def differences(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """Compare two recipes field by field: "curate.a5: 4.5 -> 4.4" a line, in the fields' order."""
    lines: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        where = f"{at}.{key}" if at else key
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, where)
        elif before != after:
            lines.append(f"{where}: {before!r} -> {after!r}")
    return lines
