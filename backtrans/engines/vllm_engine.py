"""A vLLM engine: continuous batching, prefix caching, and several LoRA roles on one model.

Promises: folders are checked before vLLM starts; a prompt that cannot fit is refused before it is
asked; choices and likelihoods are the model's raw log-probabilities, taken before any masking or
temperature; a dead engine core raises `EngineDead` for every request in flight and after; what
computes ends with this process, even if that is killed.

vLLM lives on an event loop of its own, in a thread: `answer` may be awaited on any loop, and on a
new one after that. Tokenising happens on that thread too.

Where adapters are given, a request without one is answered through an identity adapter (B = 0): on
CPU, vLLM 0.32 answers a request without adapter, in a batch with others that have one, with an
adapter's weights. Sampling is seeded by the engine, not the request: vLLM 0.32 on CPU crashes on a
request's seed. So greedy replies repeat; sampled ones depend on what else is in the batch.

Does not know: roles, shards, Ray. `Likelihood` on a GPU computes the logits of a whole prompt at
once: leave memory for prompt tokens x vocabulary x 12 bytes, by a lower `memory_fraction`.
"""

import asyncio
import gc
import itertools
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backtrans.dialogue import Choose, Generate, Likelihood, Refusal, Reply, Request
from backtrans.engines.adapter_files import write_identity_adapter
from backtrans.engines.adapter_room import adapter_arguments
from backtrans.engines.engine import EngineSettings
from backtrans.engines.model_files import check_model, is_local, model_fingerprint
from backtrans.engines.prompt import Prompter
from backtrans.engines.vllm_core import VllmCore
from backtrans.errors import ConfigError, EngineDead, ModelError
from backtrans.own_loop import OwnLoop, together

_IDENTITY = "identity"
_MAX_CHOICES = 128
"""Source: vllm 0.32, sampling_params.py, MAX_LOGPROB_TOKEN_IDS."""


class VllmEngine:
    """A running vLLM."""

    def __init__(self, settings: EngineSettings) -> None:
        """Start vLLM and wait until it answers. Raises: ModelError, ConfigError."""
        local = is_local(settings.model)
        base = check_model(settings.model, settings.max_model_tokens) if local else None
        if not local:
            model_fingerprint(settings.model, settings.revision)  # a hub id must name a revision
        lora = adapter_arguments(settings, base)
        self._settings = settings
        self._core: VllmCore | None = None
        self._numbers = itertools.count()
        self._lora: dict[str | None, Any] = {None: None}
        # vLLM's children read these. No usage report leaves the machine.
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(settings.cpu_kv_cache_gib)
        os.environ["VLLM_NO_USAGE_STATS"] = "1"
        # A fork of a process with threads may hang, and this one has its own loop's.
        os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        if settings.eager:
            # Eager is not all: vLLM compiles how it ranks log-probabilities at their first use,
            # which on two cores takes 20 s and a pool of compilers.
            os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

        from transformers import AutoTokenizer
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        self._params = SamplingParams
        self._final_only = RequestOutputKind.FINAL_ONLY
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                settings.model,
                revision=settings.revision,
                trust_remote_code=settings.trust_remote_code,
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"{settings.model}: the tokenizer does not load: {error}") from error
        self._prompter = Prompter(tokenizer, settings.chat_template)
        self._identity = tempfile.TemporaryDirectory(prefix="backtrans-identity-")
        self._own = OwnLoop("vllm", "the engine is closed")
        try:
            self._prepare_adapters()
            self._core = VllmCore()
            self._own.wait(self._core.start(settings, lora, self._core_ended))
        except (ValueError, RuntimeError, OSError) as error:
            self.close()
            raise ModelError(f"vLLM does not start with {settings.model}: {error}") from error
        except BaseException:
            self.close()
            raise
        self._in_flight = asyncio.Semaphore(settings.max_in_flight)

    def _prepare_adapters(self) -> None:
        from vllm.lora.request import LoRARequest

        folders = dict(self._settings.adapters)
        if not folders:
            return
        identity = Path(self._identity.name)
        write_identity_adapter(next(iter(folders.values())), identity)
        for number, (name, folder) in enumerate(folders.items(), start=2):
            self._lora[name] = LoRARequest(name, number, str(Path(folder).absolute()))
        self._lora[None] = LoRARequest(_IDENTITY, 1, str(identity))

    def _core_ended(self) -> None:
        self._own.end("the engine core has ended")

    async def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer every request. Rows: N -> N, same order.

        Raises: EngineDead; ConfigError (an adapter that was not given), ModelError (a chat template
        or tokenizer that cannot serve the request's turns or choices).
        """
        return await self._own.awaited(self._every(requests))

    async def _every(self, requests: Sequence[Request]) -> list[Reply]:
        return await together([self._one(request) for request in requests])

    async def _one(self, request: Request) -> Reply:
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

        if request.adapter not in self._lora:
            raise ConfigError(f"the engine was opened without an adapter {request.adapter!r}")
        async with self._in_flight:
            if self._own.over:
                raise EngineDead(self._own.over)
            try:
                match request.want:
                    case Generate() as want:
                        return await self._generate(request, want)
                    case Choose() as want:
                        return await self._choose(request, want)
                    case Likelihood() as want:
                        return await self._likelihood(request, want)
            except VLLMClientError as error:
                return Reply(refusal=Refusal("refused", str(error)))
            except (EngineDeadError, EngineGenerateError) as error:
                raise EngineDead(f"vLLM no longer answers: {error.__cause__ or error}") from error

    async def _generate(self, request: Request, want: Generate) -> Reply:
        acts = request.control_tokens_in_contents_act
        ids = self._prompter.prompt(request.messages, contents_act=acts)
        if refused := self._too_long(ids, want.max_tokens):
            return refused
        output = await self._ask(
            request,
            ids,
            temperature=want.temperature,
            top_p=want.top_p,
            max_tokens=want.max_tokens,
        )
        written = output.outputs[0]
        if written.finish_reason not in ("stop", "length"):
            detail = f"vLLM ended it with {written.finish_reason!r}"
            return _reply(output, refusal=Refusal("refused", detail))
        return _reply(output, text=written.text, finish=written.finish_reason)

    async def _choose(self, request: Request, want: Choose) -> Reply:
        if len(want.choices) > _MAX_CHOICES:
            raise ModelError(f"{len(want.choices)} choices; vLLM takes up to {_MAX_CHOICES}")
        acts = request.control_tokens_in_contents_act
        ids, tokens = self._prompter.choice(request.messages, want.choices, contents_act=acts)
        if refused := self._too_long(ids, 1):
            return refused
        # These are raw log-probabilities of exactly these tokens, whatever token is sampled: no
        # mask is needed, and none of the choices can fall out of a top-k.
        output = await self._ask(
            request, ids, max_tokens=1, logprob_token_ids=tokens, detokenize=False
        )
        found = output.outputs[0].logprobs[0]
        probabilities = [math.exp(found[token].logprob) for token in tokens]
        whole = sum(probabilities)
        if not (math.isfinite(whole) and whole > 0.0):
            return _reply(output, off_choice_mass=1.0)
        return _reply(
            output,
            choice_probabilities=tuple(p / whole for p in probabilities),
            off_choice_mass=min(max(1.0 - whole, 0.0), 1.0),
        )

    async def _likelihood(self, request: Request, want: Likelihood) -> Reply:
        ids, start = self._prompter.continued(request.messages, want.continuation)
        if refused := self._too_long(ids, 1):
            return refused
        if start == len(ids):
            return Reply(prompt_tokens=len(ids))
        # vLLM does not read the prefix cache for such a request: its log-probabilities are whole.
        output = await self._ask(request, ids, max_tokens=1, prompt_logprobs=0, detokenize=False)
        logprobs = tuple(
            output.prompt_logprobs[place][ids[place]].logprob for place in range(start, len(ids))
        )
        finite = all(math.isfinite(logprob) for logprob in logprobs)
        return _reply(output, token_logprobs=logprobs if finite else ())

    async def _ask(self, request: Request, ids: list[int], **sampling: Any) -> Any:
        params = self._params(
            **{"temperature": 0.0, "output_kind": self._final_only, "skip_clone": True} | sampling
        )
        assert self._core is not None
        stream = self._core.ask(
            {"type": "token", "prompt_token_ids": ids},
            params,
            str(next(self._numbers)),
            lora_request=self._lora[request.adapter],
        )
        last = None
        async for output in stream:
            last = output
        if last is None:
            raise EngineDead("vLLM ended a request without an answer")
        return last

    def _too_long(self, ids: list[int], max_tokens: int) -> Reply | None:
        most = self._settings.max_model_tokens
        if len(ids) + max_tokens <= most:
            return None
        detail = f"{len(ids):,} + {max_tokens:,} tokens > {most:,}"
        return Reply(refusal=Refusal("prompt_too_long", detail), prompt_tokens=len(ids))

    def close(self) -> None:
        """Shut the engine core down; may be called twice."""
        self._own.close(self._stop)
        self._identity.cleanup()
        gc.collect()  # vLLM's cycles; left to the interpreter's end, their finalizers fail

    async def _stop(self) -> None:
        if self._core is not None:
            await self._core.stop()
            self._core = None


def _reply(output: Any, **fields: Any) -> Reply:
    return Reply(
        prompt_tokens=len(output.prompt_token_ids),
        cached_tokens=output.num_cached_tokens or 0,
        output_tokens=len(output.outputs[0].token_ids),
        **fields,
    )
