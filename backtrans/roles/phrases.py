"""Words by which a text speaks of itself as a model, declines, or points at a text given elsewhere.

Promises: each is a piece of a regular expression, to be read without case and in verbose form; what
makes it a fault is said where it is used, since a rewrite and an instruction say the same words to
different ends.

Does not know: where they are looked for.
"""

A_MODEL = r"an?\ (?:ai|artificial\ intelligence|(?:large\ )?language\ model)"
"""What aligned models call themselves."""

I_AM_A_MODEL = r"i(?:'m|\ am)\ (?:just\ |only\ )?an?\ (?:ai|(?:large\ )?language\ model)"

I_CANNOT = r"""
    i\ (?:cannot|can\ not|can't|won't|will\ not)
    \ (?:answer|assist|help|provide|rewrite|fulfil|fulfill|comply|create|write|satisfy)
"""
I_AM_UNABLE = r"i(?:'m|\ am)\ (?:unable|not\ able)\ to"
"""Source of these: this project's: the usual forms in which aligned models decline."""

WEB_TEXT = r"web\ text"
"""Source: REInstruct (2408.10663) drops what says so."""


def plain(text: str) -> str:
    """Return a text with straight apostrophes and single spaces, as the pieces are written."""
    return " ".join(text.replace("’", "'").split())
