"""The protocol of an engine: a running model that answers requests.

Promises, held by one contract suite over every engine: `answer` gives one reply a request, in the
same order; a request that cannot be answered (a prompt too long for the context, say) comes back as
a reply with a `refusal` while the others are answered; a dead engine raises `EngineDead`; calls may
overlap, and the engine itself bounds how many requests are in flight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from backtrans.dialogue import Reply, Request
from backtrans.engines.endpoint import Endpoint

IN_FLIGHT_SHARE = 2
"""Requests that an engine is given for each that it computes at once, since many end in one step.
Source: docs/log.md (requests in flight)."""

MAX_IN_FLIGHT = 256 * IN_FLIGHT_SHARE
"""For the `max_sequences` that are vLLM's own default."""


class Engine(Protocol):
    """A running model."""

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request. Rows: N -> N, same order. Raises: EngineDead."""
        ...

    def close(self) -> None:
        """Release the model; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What it takes to open an engine: plain values that travel to a worker; no secret.

    `adapters` maps a name that requests use to a PEFT LoRA folder; a request without a name gets
    the base model. `chat_template` (Jinja) replaces the tokenizer's own, or one that is missing.
    Where an `endpoint` serves the model, `model` and the adapters are the names that it knows.
    """

    kind: str  # vllm | openai | scripted
    model: str
    revision: str | None = None
    adapters: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    dtype: str = "auto"
    max_model_tokens: int = 4096
    max_batched_tokens: int = 8192
    max_sequences: int = 256
    max_in_flight: int = MAX_IN_FLIGHT
    tensor_parallel: int = 1
    memory_fraction: float = 0.9  # of a GPU's memory
    cpu_kv_cache_gib: int = 1  # of main memory, where the engine runs on CPU
    eager: bool = False
    trust_remote_code: bool = False
    max_lora_rank: int = 64
    chat_template: str | None = None
    endpoint: Endpoint | None = None  # of kind "openai"
