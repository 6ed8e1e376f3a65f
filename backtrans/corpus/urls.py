"""How URLs and domains are compared: what two spellings of one page, or of one host, share.

Promises: any text has an answer; what is no URL has the empty one, which is on no list.

Does not know: what a list of URLs is for.
"""

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

# Source: RFC 3986, 3 and 3.1. An address may hold "//" further on, in its path or its query.
_BEFORE_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)


def plain_url(url: str) -> str:
    """Return what two spellings of one page share.

    Without scheme, fragment, "www." and last slash, the host in lower case: who names a page means
    the page, and had better take one spelling too many than leave one.
    """
    parts = _split(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{plain_domain(url)}{parts.path.rstrip('/')}{query}"


def plain_domain(url: str) -> str:
    """Return the host of a URL, or a bare domain, in lower case, without "www." and port."""
    return (_split(url).hostname or "").rstrip(".").removeprefix("www.")


def domains_over(url: str) -> Iterator[str]:
    """Yield the domain of a URL, then each domain that it is a subdomain of."""
    domain = plain_domain(url)
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _split(url: str) -> SplitResult:
    url = url.strip()
    try:
        return urlsplit(url if _BEFORE_HOST.match(url) else f"//{url}")
    except ValueError:  # not a URL, such as an open bracket for a host
        return urlsplit("")
