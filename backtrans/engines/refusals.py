"""What servers of OpenAI's protocol say when a text is at fault.

Does not know: who asked, or how often.
"""

import re

from backtrans.engines.asking import Failure

_TOO_LONG = re.compile(
    r"context (length|window|size)|maximum (input|prompt) length|too many (input )?tokens"
    r"|prompt is too long|max_model_len|reduce (the|your) (length|prompt)",
    re.IGNORECASE,
)
"""Source: the words of OpenAI, vLLM 0.32, llama.cpp and Anthropic's compatible endpoint."""

_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation"})
"""Source: the error codes of OpenAI and of Azure's OpenAI service."""


def too_long(failure: Failure) -> bool:
    """Say whether the prompt does not fit the model's context."""
    if failure.status == 413 or failure.code in _TOO_LONG_CODES:
        return True
    return failure.status in (400, 422) and _TOO_LONG.search(failure.words) is not None


def filtered(failure: Failure) -> bool:
    """Say whether the server's policy refuses the text."""
    return failure.code in _FILTER_CODES
