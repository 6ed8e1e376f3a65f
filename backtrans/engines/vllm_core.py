"""A running vLLM: the processes that compute, and this one's hold on them.

vLLM computes in an engine core, and on CPUs in workers that are the core's children. All end with
this process, and when the core is stopped; that a core has ended by itself is noticed by pidfd
(vLLM 0.32 lets requests that meet its death at their start wait for ever).

All of it happens on one event loop, the engine's own. Does not know: requests, prompts, roles.
"""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from backtrans.engines.engine import EngineSettings
from backtrans.engines.lifeline import Lifeline

_SHUTDOWN_SECONDS = 30.0
"""How long the engine core may take to end before it is killed; a busy machine needs a few."""


class VllmCore:
    """vLLM's processes, once they are started."""

    def __init__(self) -> None:
        """Tie what will be started: there is no moment at which it is not, and a start takes half a
        minute.
        """
        self._lifeline = Lifeline()
        self._llm: Any = None
        self._watched: list[int] = []  # a pidfd for each core: readable when it has ended

    async def start(
        self, settings: EngineSettings, lora: dict[str, Any], ended: Callable[[], None]
    ) -> None:
        """Start vLLM, and call `ended` when its core ends by itself. Raises: what vLLM raises."""
        with self._lifeline.tying():  # one start at a time, so what is new is this one's
            before = set(multiprocessing.active_children())
            self._llm = _start(settings, lora)
            new = set(multiprocessing.active_children()) - before
        cores = [each.pid for each in new if each.pid]
        self._watched = [os.pidfd_open(core) for core in cores]
        for watched in self._watched:
            asyncio.get_running_loop().add_reader(watched, self._core_ended, ended)

    def ask(self, *given: Any, **named: Any) -> AsyncIterator[Any]:
        """Return the stream of one request's outputs; what is given is `AsyncLLM.generate`'s."""
        stream: AsyncIterator[Any] = self._llm.generate(*given, **named)
        return stream

    async def reset_prefix_cache(self) -> None:
        """Forget what was computed of prompts."""
        await self._llm.reset_prefix_cache()

    async def stop(self) -> None:
        """End all of it, by force where it does not end by itself."""
        self._unwatch()
        if self._llm is not None:
            self._llm.shutdown(timeout=_SHUTDOWN_SECONDS)
            self._llm = None
        self._lifeline.end()

    def _core_ended(self, ended: Callable[[], None]) -> None:
        self._unwatch()
        ended()

    def _unwatch(self) -> None:
        for core in self._watched:
            asyncio.get_running_loop().remove_reader(core)
            os.close(core)
        self._watched = []


def _start(settings: EngineSettings, lora: dict[str, Any]) -> Any:
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    args = AsyncEngineArgs(
        model=settings.model,
        revision=settings.revision,
        tokenizer_revision=settings.revision,
        load_format="safetensors",  # a pickle of weights may run code when it is loaded
        trust_remote_code=settings.trust_remote_code,
        dtype=settings.dtype,
        seed=settings.seed,
        max_model_len=settings.max_model_tokens,
        max_num_batched_tokens=settings.max_batched_tokens,
        max_num_seqs=settings.max_sequences,
        enable_prefix_caching=True,
        enable_chunked_prefill=True,
        tensor_parallel_size=settings.tensor_parallel,
        gpu_memory_utilization=settings.memory_fraction,
        enforce_eager=settings.eager,
        logprobs_mode="raw_logprobs",
        disable_log_stats=True,
        enable_log_requests=False,
        **lora,
    )
    return AsyncLLM.from_engine_args(args, usage_context=UsageContext.LLM_CLASS)
