"""Lists, licences, opting out and perplexity: what is told by a document's address and metadata."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus.document import Document
from backtrans.corpus.filters.lists import ListSettings
from backtrans.corpus.filters.ordered import Filters, FilterSettings
from backtrans.corpus.filters.perplexity import PerplexitySettings
from backtrans.errors import ConfigError


def reason(settings: FilterSettings, url: str | None = None, **metadata: Any) -> str | None:
    document = Document(text="t", url=url, metadata=json.dumps(metadata) if metadata else None)
    found = Filters(settings).of_document(document)
    return found.reason if found else None


def lists(**entries: Any) -> FilterSettings:
    return FilterSettings(lists=ListSettings(**entries))


BLOCKED = lists(blocked_domains=("Example.org", "www.b.co.uk", "https://c.net/"))


@pytest.mark.parametrize(
    ("url", "is_blocked"),
    [
        ("https://example.org", True),
        ("https://example.org/a?b#c", True),
        ("HTTP://WWW.EXAMPLE.ORG:8080/", True),
        ("https://a.b.example.org/x", True),
        ("https://user:word@example.org/", True),
        ("example.org/page", True),
        ("example.org//page", True),
        ("example.org/go?to=https://other.org/", True),
        ("//example.org./page", True),
        ("https://b.co.uk/", True),
        ("https://sub.c.net", True),
        ("https://notexample.org/", False),
        ("https://example.org.evil.com/", False),
        ("https://other.org/?u=https://example.org/", False),
        ("other.org/?u=https://example.org/", False),
        ("https://co.uk/", False),
        ("https://[broken/", False),
        ("no url at all", False),
        ("", False),
        (None, False),
    ],
)
def test_a_blocked_domain_blocks_its_subdomains_however_they_are_spelt(
    url: str | None, is_blocked: bool
) -> None:
    assert reason(BLOCKED, url) == ("blocked_domain" if is_blocked else None)


URLS = lists(
    blocked_urls=("https://x.org/page", "x.org/blog/*", "x.org/i.php?board=*", "http://y.org*")
)


@pytest.mark.parametrize(
    ("url", "is_blocked"),
    [
        ("http://www.x.org/page/", True),
        ("https://X.org/page#top", True),
        ("https://x.org/page?print=1", False),
        ("https://x.org/page/2", False),
        ("https://x.org/Page", False),
        ("https://x.org/blog", True),
        ("https://x.org/blog/", True),
        ("https://x.org/blog/2020/a", True),
        ("https://x.org/blog?p=3", True),
        ("https://x.org/blogger", False),
        ("https://x.org/i.php?board=7", True),
        ("https://x.org/i.php?topic=7", False),
        ("https://y.org/any/page", True),
        ("https://sub.y.org/", False),
        ("https://[x.org/page", False),
    ],
)
def test_a_blocked_url_means_one_page_and_with_a_star_all_that_begin_so(
    url: str, is_blocked: bool
) -> None:
    assert reason(URLS, url) == ("blocked_url" if is_blocked else None)


@pytest.mark.parametrize(
    "entries",
    [
        {"blocked_domains": ("",)},
        {"blocked_domains": ("https://",)},
        {"blocked_domains": ("x.org/page",)},
        {"opted_out_domains": ("*.x.org",)},
        {"blocked_urls": ("*",)},
        {"blocked_urls": ("https://*",)},
    ],
)
def test_an_entry_that_names_no_domain_is_a_config_error(entries: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="ListSettings"):
        ListSettings(**entries)


@pytest.mark.parametrize(
    "metadata",
    [
        {"noai": True}, {"noai": 1}, {"NoAI": "Yes"}, {"tdm-reservation": "1"}, {"noml": "true"},
        {"robots": "noindex, NoAI"}, {"robots": "noindex noml"}, {"robots": ["nofollow", "noai"]},
        {"X-Robots-Tag": "otherbot: noai"}, {"x_robots_tag": "noai;noindex"},
    ],
)  # fmt: skip
def test_who_opted_out_in_the_metadata_is_heard_unasked(metadata: dict[str, Any]) -> None:
    assert reason(FilterSettings(), **metadata) == "opted_out"


@pytest.mark.parametrize(
    "metadata",
    [
        {"noai": False}, {"noai": 0}, {"noai": None}, {"tdm-reservation": "0"}, {"robots": "all"},
        {"robots": "noindex"}, {"robots": {"noai": 1}}, {"robots": "noaim"}, {"title": "noai"},
    ],
)  # fmt: skip
def test_metadata_that_does_not_say_so_opts_nobody_out(metadata: dict[str, Any]) -> None:
    assert reason(FilterSettings(), **metadata) is None


def test_a_domain_that_opted_out_has_a_reason_of_its_own_before_the_blocklist() -> None:
    both = lists(blocked_domains=("x.org",), opted_out_domains=("x.org",))
    assert reason(both, "https://a.x.org/") == "opted_out_domain"


@pytest.mark.parametrize(
    ("licence", "is_allowed"),
    [
        ("CC-BY-4.0", True), (" cc0 ", True), (["CC0", "cc-by-4.0"], True),
        (["CC0", "GPL-3.0"], False), ("GPL-3.0", False), ("", False), (None, False), ([], False),
        (7, False),
    ],
)  # fmt: skip
def test_where_licences_are_listed_no_other_stays_nor_none(licence: Any, is_allowed: bool) -> None:
    settings = lists(allowed_licences=("cc-by-4.0", "CC0"))
    assert reason(settings, license=licence) == (None if is_allowed else "licence_not_allowed")
    assert reason(settings) == "licence_not_allowed"
    assert reason(lists(), license=licence) is None


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"bucket": "head", "perplexity": 304.6}, None),
        ({"bucket": "middle", "perplexity": 304.6}, "perplexity_bucket"),
        ({"bucket": "Head", "perplexity": 350}, None),
        ({"perplexity": 350.1}, "perplexity_high"),
        ({"perplexity": "unknown", "bucket": 3}, None),
        ({}, None),
    ],
)
def test_the_head_split_is_taken_where_the_metadata_tells_of_one(
    metadata: dict[str, Any], found: str | None
) -> None:
    settings = FilterSettings(
        families=("perplexity",), perplexity=PerplexitySettings(max_perplexity=350)
    )
    assert reason(settings, **metadata) == found


def test_perplexity_settings_that_bound_nothing_are_a_config_error() -> None:
    with pytest.raises(ConfigError, match="neither"):
        PerplexitySettings(buckets=())


@given(st.text(max_size=60), st.text(max_size=60) | st.none())
def test_no_address_and_no_metadata_breaks_a_rule(url: str, metadata: str | None) -> None:
    settings = FilterSettings(
        families=("lists", "perplexity"),
        lists=ListSettings(
            blocked_domains=("x.org",), blocked_urls=("x.org/a*",), opted_out_domains=("y.org",),
            allowed_licences=("cc0",),
        ),
    )  # fmt: skip
    document = Document(text="t", url=url, metadata=metadata)
    found = Filters(settings).of_document(document)
    assert found == Filters(settings).of_document(document)
    assert found is not None  # no licence is said, if nothing else
