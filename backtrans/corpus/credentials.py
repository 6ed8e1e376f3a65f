"""Find passwords, keys and tokens in a text.

Promises: places are character for character; a placeholder in brackets ("<password>", "${KEY}") is
not found; the time is linear in the text's length, as in `personal_data`.

Does not know: whether a key still opens anything, or ever did; passwords in running text.

Source: the issuers' own documents of their tokens' forms, where they give them, and else the rules
of github.com/gitleaks/gitleaks.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from backtrans.corpus.personal_data import Place

_NOT_BEFORE = r"(?<![A-Za-z0-9])"
_NOT_AFTER = r"(?![A-Za-z0-9])"


def _token(form: str) -> re.Pattern[str]:
    return re.compile(f"{_NOT_BEFORE}{form}{_NOT_AFTER}")


# What must be in a text that holds such a token, and the token's form.
_TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AKIA", _token(r"AKIA[A-Z0-9]{16}")),  # Amazon Web Services: a user's key
    ("ASIA", _token(r"ASIA[A-Z0-9]{16}")),  # ... and a session's
    ("gh", _token(r"gh[pousr]_[A-Za-z0-9]{36,255}+")),
    ("github_pat_", _token(r"github_pat_[A-Za-z0-9_]{22,255}+")),
    ("glpat-", _token(r"glpat-[A-Za-z0-9_-]{20,64}+")),
    ("xox", _token(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}+")),
    ("hooks.slack.com", re.compile(r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,99}+")),
    ("AIza", _token(r"AIza[A-Za-z0-9_-]{35}")),
    ("ya29.", _token(r"ya29\.[A-Za-z0-9_-]{20,255}+")),
    ("hf_", _token(r"hf_[A-Za-z0-9]{34,40}+")),
    ("npm_", _token(r"npm_[A-Za-z0-9]{36}")),
    ("_live_", _token(r"[srp]k_live_[A-Za-z0-9]{16,255}+")),
    ("SG.", _token(r"SG\.[A-Za-z0-9_-]{16,32}+\.[A-Za-z0-9_-]{16,64}+")),
    (
        "eyJ",
        _token(r"eyJ[A-Za-z0-9_-]{10,4096}+\.eyJ[A-Za-z0-9_-]{10,4096}+\.[A-Za-z0-9_-]{10,4096}+"),
    ),
)

# "sk-" begins the keys of several model services, and is the end of many words' first halves.
_SK = _token(r"sk-[A-Za-z0-9_-]{20,255}+")

_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    # A key of 16,384 bits takes 12,600 characters. Without its end, as far as base64 goes.
    r"(?:(?:[^-]|-(?!----)){0,16384}+-----END [A-Z0-9 ]{1,60}-----"
    r"|(?:\s{0,4}+[A-Za-z0-9+/=]{40,128}+){1,256}+)"
)

_URL_PASSWORD = re.compile(
    r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,30}+://"
    r"[^\s:/@?#\"'<>]{0,64}+:([^\s:/@?#\"'<>]{1,128}+)@[\w.-]{1,255}+"
)

# The value is looked at, not taken: it may hold an assignment itself, as a link's query does.
_ASSIGNED = re.compile(
    r"[=:][>=]?\s{0,4}+"
    r"(?=\"([^\s\"]{16,512}+)\"|'([^\s']{16,512}+)'|`([^\s`]{16,512}+)`"
    r"|([A-Za-z0-9_+/=~]{16,512}+)(?![\w.(\[-]))"
)
_NAME = re.compile(
    r"(?:api[_-]?key|access[_-]?key|secret[_-]?key|private[_-]?key|auth[_-]?key|secret"
    r"|token|passw(?:or)?d|passphrase|pwd|credentials?)[\"']?\s{0,4}\Z",
    re.IGNORECASE,
)
_NAME_CHARS = 20  # the longest of them, and what follows it
MIN_ENTROPY = 3.0
"""Bits a character, of an assigned value. Source: gitleaks asks for 3.5 of its generic keys; 16
random hexadecimal digits have 3.2 on average."""

_PLACEHOLDER = re.compile(r"[<{$\[%*(]|(?:(.)\1{0,512})\Z")


def secrets(text: str) -> Iterator[Place]:
    """Yield where credentials lie."""
    for needed, form in _TOKENS:
        if needed in text:
            yield from (match.span() for match in form.finditer(text))
    if "sk-" in text:
        for match in _SK.finditer(text):
            if _is_random(match[0][3:]):
                yield match.span()
    if "PRIVATE KEY" in text:
        yield from (match.span() for match in _PRIVATE_KEY.finditer(text))
    if "://" in text and "@" in text:
        for match in _URL_PASSWORD.finditer(text):
            if not _PLACEHOLDER.match(match[1]):
                yield match.span()
    for match in _ASSIGNED.finditer(text):
        if _NAME.search(text[max(0, match.start() - _NAME_CHARS) : match.start()]):
            group = match.lastindex or 0
            if _is_random(match[group]) and not _PLACEHOLDER.match(match[group]):
                yield match.span(group)


def _is_random(value: str) -> bool:
    """Say whether a value looks drawn rather than written: letters, digits, and much entropy."""
    has_both = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return has_both and entropy_bits(value) >= MIN_ENTROPY


def entropy_bits(value: str) -> float:
    """Return Shannon's entropy of a value's characters, in bits a character."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
