"""Where others serve a model: the endpoint, what it lets through, what it costs.

Promises: plain values that travel to workers; no secret. A key is named here, never held: it lies
in an environment variable of the process that asks, and goes to the endpoint that names it alone.

Does not know: which models there are, how they are asked.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

from backtrans.errors import ConfigError

_URL = re.compile(r"https?://[^/?#@\s]+(/[^?#@\s]*)?")
"""Nothing that could hold a secret: no user, no query."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Choosing = Literal["auto", "logprobs", "structured", "text"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server of OpenAI's protocol, as it serves one model."""

    base_url: str
    """Such as http://127.0.0.1:8000/v1."""
    api_key_env: str | None = None
    """The environment variable that holds the key; none is sent where none is named."""
    requests_per_minute: int | None = None
    """null: as many as it answers."""
    tokens_per_minute: int | None = None
    """Read and written together. Both limits are of the run: its workers share them."""
    timeout_seconds: float = 600.0
    """How long one answer may take. Source: the client's own default."""
    max_attempts: int = 8
    """How often one request is made. Source: this project's choice, as for a store; here its waits
    last 32 to 64 s, and a server that restarts needs some of that."""
    prompt_price: float = 0.0
    """Of a million tokens, in a currency of yours."""
    cached_price: float | None = None
    """None: as `prompt_price`."""
    output_price: float = 0.0
    """Of a million tokens that it writes."""
    choose: Choosing = "auto"
    """How a choice is read; auto: the best that the server has, log-probabilities first."""
    server: Literal["auto", "vllm", "other"] = "auto"
    """auto: vLLM is told by its list of models."""

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.base_url):
            # Not shown: it may hold a key.
            raise ConfigError(
                "base_url: give http(s)://host[:port]/path, without user, key or query"
            )
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ConfigError("api_key_env: is no variable's name; it names the key, and is none")
        for name in ("requests_per_minute", "tokens_per_minute", "max_attempts", "timeout_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name}: has to be over 0, and is {value}")
        for name in ("prompt_price", "cached_price", "output_price"):
            if (getattr(self, name) or 0.0) < 0:
                raise ConfigError(f"{name}: cannot be under 0")

    def shared(self, workers: int) -> "Endpoint":
        """Return what one of so many workers may take of the limits."""

        def share(limit: int | None) -> int | None:
            return limit and max(1, limit // workers)

        return replace(
            self,
            requests_per_minute=share(self.requests_per_minute),
            tokens_per_minute=share(self.tokens_per_minute),
        )

    def money(self, prompt_tokens: int, cached_tokens: int, output_tokens: int) -> float:
        """Return what an answer cost, in the currency of the prices."""
        cached_price = self.prompt_price if self.cached_price is None else self.cached_price
        fresh = max(prompt_tokens - cached_tokens, 0) * self.prompt_price
        return (fresh + cached_tokens * cached_price + output_tokens * self.output_price) / 1e6
