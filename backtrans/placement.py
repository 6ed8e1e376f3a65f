"""The placement: where and how a run happens. Recorded with it, and part of no fingerprint.

Does not know: what is computed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from backtrans.engines.endpoint import Endpoint
from backtrans.section import Section


class StoreOptions(Section):
    """How an S3-compatible store is reached; credentials come from the standard chain."""

    endpoint_url: str | None = None
    """Of a store that is not AWS's."""
    region: str | None = None
    """null: as the environment of the run says."""
    addressing: Literal["auto", "path", "virtual"] = "auto"
    """Where a URL has the bucket: in its path, as other stores than AWS's may need, or its host."""


class EngineOptions(Section):
    """How engines run."""

    device: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: GPUs where this machine has one, or where the run joins a cluster."""
    tensor_parallel: Annotated[int, Field(gt=0)] = 1
    """GPUs over which each engine's model is split; `backtrans fit` says how many it needs."""
    max_batched_tokens: Annotated[int, Field(gt=0)] = 8192
    """Tokens that vLLM computes in one step; longer prompts are read in several."""
    max_sequences: Annotated[int, Field(gt=0)] = 256
    """Requests that vLLM computes at once."""
    max_in_flight: Annotated[int, Field(gt=0)] | None = None
    """Requests that a worker has sent at once: more than `max_sequences`, so that none is waited
    for. None: twice as many. Source: docs/log.md (requests in flight)."""
    memory_fraction: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Of a GPU's memory, for one engine."""
    cpu_kv_cache_gib: Annotated[int, Field(gt=0)] = 1
    """Main memory for keys and values, where the engine runs on CPU."""
    eager: bool = False
    """Compile nothing: engines start sooner and are slower. For CPUs and tiny models."""
    endpoints: dict[str, Endpoint] = {}
    """Where models of `engine: openai` are served, by their `path`."""
    trust_remote_code: bool = False
    """Whether code that lies beside a model's weights may run on the workers. Weights themselves
    are read from safetensors files alone."""


class Workers(Section):
    """How many workers there are, and how many shards each holds in flight."""

    min: Annotated[int, Field(gt=0)] = 1
    """Workers that a run begins with."""
    max: Annotated[int, Field(gt=0)] = 1
    """Workers that it may have, where there is work and room for them."""
    in_flight: Annotated[int, Field(gt=0)] = 3
    """Shards that one worker holds, so that its engine never drains where a shard ends."""

    @model_validator(mode="after")
    def _max_is_not_below_min(self) -> "Workers":
        if self.max < self.min:
            raise ValueError(f"max: {self.max} is below min: {self.min}")
        return self


class Readers(Workers):
    """The same, of workers that have no engine."""

    in_flight: Annotated[int, Field(gt=0)] = 1
    """Shards that one worker holds."""


class TrainingOptions(Section):
    """How models are trained: on how many workers, and what each takes at once."""

    workers: Annotated[int, Field(gt=0)] = 1
    """Each has a GPU, where engines have. More than one needs `runtime: ray`."""
    examples_each: Annotated[int, Field(gt=0)] = 8
    """What one takes at once; the rest of a batch is accumulated."""
    checkpoint_steps: Annotated[int, Field(ge=0)] = 100
    """0: none. A sharded model's is gathered in one worker's main memory: 12 bytes a parameter."""
    sharded: bool | None = None
    """FSDP. None: as the preset says, where there are several workers."""
    recompute: bool | None = None
    """Activations, in the backward pass. None: as the preset says."""
    max_failures: Annotated[int, Field(ge=0)] = 3
    """How often lost workers are started again."""


class Lake(Section):
    """A Delta table that follows the latest snapshot; needs the extra `lake`."""

    uri: str
    """A folder or s3:// prefix of its own, reached as `store` says."""


class Prices(Section):
    """What hardware costs, in a currency of yours; that of the endpoints' prices, if there are."""

    gpu_hour: Annotated[float, Field(ge=0)] = 0.0
    """Of one GPU for an hour; 0: GPU-hours cost no money."""


class Budget(Section):
    """What one run may cost: its own commits, not what runs before it made. None: no bound.

    A run that has reached one begins nothing more, and ends when what it had begun is committed.
    """

    tokens: Annotated[int, Field(gt=0)] | None = None
    """Read and written together, cached ones too."""
    gpu_hours: Annotated[float, Field(gt=0)] | None = None
    """Of engines at work; not of their start, nor of trainings."""
    money: Annotated[float, Field(gt=0)] | None = None
    """What endpoints took, and GPU-hours at `prices.gpu_hour`."""


class Card(Section):
    """What the dataset card cannot know by itself."""

    name: str = "Backtranslated instructions"
    """The card's title."""
    license: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")] = "unknown"
    """Hugging Face's name of it; the documents' own terms decide it."""
    language: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] = []
    """ISO 639 codes."""


class Placement(Section):
    """Where and how: recorded with the run, never part of a fingerprint."""

    root: str
    """A folder or s3:// prefix that holds everything the run writes."""
    store: StoreOptions = StoreOptions()
    lake: Lake | None = None
    card: Card = Card()
    runtime: Literal["ray", "local"] = "ray"
    """local: in this process, by one worker."""
    ray_address: str | None = None
    """None starts a cluster of this machine for the run; "auto" joins the one around a Ray job."""
    engines: Workers = Workers()
    """Workers that ask models; each has an engine."""
    readers: Readers = Readers()
    """Workers that read, select, seek copies and curate, on CPUs."""
    engine: EngineOptions = EngineOptions()
    training: TrainingOptions = TrainingOptions()
    prices: Prices = Prices()
    budget: Budget = Budget()
    model_cache: str = "~/.cache/backtrans/models"
    """Where a worker keeps trained models that it fetched from a bucket."""
    max_attempts: Annotated[int, Field(gt=0)] = 3
    """How often a run tries a shard before it is given up until the next run."""
    min_complete: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The run fails when a smaller share of its shards is committed."""

    @model_validator(mode="after")
    def _money_is_counted(self) -> "Placement":
        prices = [each.money(1, 1, 1) for each in self.engine.endpoints.values()]
        if self.budget.money and not (self.prices.gpu_hour or any(prices)):
            raise ValueError("budget.money: nothing has a price: say prices.gpu_hour")
        return self


def gpus_each(placement: Placement, engine: str) -> float:
    """Return the GPUs that a worker takes that holds an engine of this kind."""
    if engine == "openai" or not on_gpus(placement):  # a worker only asks; none holds a model
        return 0.0
    return float(placement.engine.tensor_parallel)


def on_gpus(placement: Placement) -> bool:
    """Say whether engines and trainings take GPUs."""
    if placement.engine.device == "auto":
        # A cluster's head sees no GPU of its workers'; the device file is NVIDIA's driver's.
        return placement.ray_address is not None or Path("/dev/nvidiactl").exists()
    return placement.engine.device == "gpu"
