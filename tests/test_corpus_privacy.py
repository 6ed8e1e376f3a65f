"""Personal data is masked or its text refused; what only looks like it is left alone."""

import re
from collections.abc import Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtrans.corpus import credentials, personal_data
from backtrans.corpus.credentials import secrets
from backtrans.corpus.personal_data import cards, emails, ip_addresses, passes_luhn, phones
from backtrans.corpus.privacy import MASKS, Privacy, PrivacySettings, Treated, finds
from backtrans.errors import ConfigError
from backtrans.records import Reject

MASK_ALL = PrivacySettings(card="mask", secret="mask")


def treated(text: str, settings: PrivacySettings | None = None) -> Treated:
    found = Privacy(settings).treat(text)
    assert isinstance(found, Treated), found
    return found


def refusal(text: str, settings: PrivacySettings | None = None) -> Reject:
    found = Privacy(settings).treat(text)
    assert isinstance(found, Reject), found
    return found


def found_by(finder: Any, text: str) -> list[str]:
    return [text[start:end] for start, end in finder(text)]


# ------------------------------------------------------------------ what is found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Write to jane.doe+tea@mail.acme.co.uk.", "jane.doe+tea@mail.acme.co.uk"),
        ("<mailto:j@acme.io>", "j@acme.io"),
        ("Müller: müller@bücher.de", "müller@bücher.de"),
        ("邮箱a@b.cn请联系", "a@b.cn"),
        ("x@xn--bcher-kva.xn--p1ai,", "x@xn--bcher-kva.xn--p1ai"),
        ("...jane@acme.io - ask", "jane@acme.io"),
    ],
)
def test_an_email_address_is_found_whole(text: str, address: str) -> None:
    assert found_by(emails, text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        "root@localhost",
        "@property\ndef name(self): ...",
        "you@example.com, you@mail.example.org and me@site.test",
        "icon@2x.png and icon@3x.webp",
        "npm install react@18.2.0 @types/node",
        "git clone git@github.com:acme/tea.git",
        "3 kg @ 4.50 each",
        "follow @acme.io there",
    ],
)
def test_what_is_nobodys_address_is_left(text: str) -> None:
    assert found_by(emails, text) == []
    assert treated(text) == Treated(text, [])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Call +44 20 7946 0958 for tea", "+44 20 7946 0958"),
        ("(+49 (0)30 901820)", "+49 (0)30 901820"),
        ("tel:+14155552671", "+14155552671"),
        ("+33.1.42.68.53.00.", "+33.1.42.68.53.00"),
        ("+1 (415) 555-2671 - 9:00 to 17:00", "+1 (415) 555-2671"),
        ("ring (415) 555-2671.", "(415) 555-2671"),
        ("ring 415-555-2671 or", "415-555-2671"),
        ("ring 1-415.555.2671", "1-415.555.2671"),
        ("Tel.: 020 7946 0958 (days)", "020 7946 0958"),
        ("Tél : 01 42 68 53 00, Paris", "01 42 68 53 00"),
        ("phone number: 4155552671", "4155552671"),
        ("Fax: 030 / 901820-55", "030 / 901820-55"),
        ("+44 20 7946 0958 2026 2027", "+44 20 7946 0958"),
    ],
)
def test_a_telephone_number_is_found_whole(text: str, number: str) -> None:
    assert [(text[f.start : f.end], f.kind) for f in finds(text)] == [(number, "phone")]


@pytest.mark.parametrize(
    "text",
    [
        "from 1990-2000, or 1990 to 2000",
        "on 2023-04-07 at 12:30:45, and on 07.04.2023",
        "ISBN 978-0-306-40615-7 and ISBN 0-306-40615-2",
        "part 4155552671, order 1234567890, id 0044207946095",
        "they won 3-2-1 and 10-12, then 21-19, 21-17",
        "for $1,299.99, £4 000 000 or 1.000.000,00 EUR",
        "+12.345.678 votes, +1000, +3.5%, 1+1000000000",
        "the columns are 415 555 2671 and 300 400 5000",
        "123-45-6789 is an order, 4-2-4-1 a formation",
        "Windows Phone 7.5.7720.68 and section 415.555.26713",
        "phone: 911, fax: none",
        "192-168-1-1.local, 415-555-26710, 9415-555-2671",
    ],
)
def test_numbers_that_are_no_telephone_numbers_are_left(text: str) -> None:
    assert found_by(phones, text) == []
    assert treated(text) == Treated(text, [])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("from 81.2.69.142 today", "81.2.69.142"),
        ("http://81.2.69.142:8080/x", "81.2.69.142"),
        ("81.2.69.142/24.", "81.2.69.142"),
        ("host [2a02:26f0:1180:39a::4106]:443", "2a02:26f0:1180:39a::4106"),
        ("2606:4700:4700:0:0:0:0:6400: pings", "2606:4700:4700:0:0:0:0:6400"),
    ],
)
def test_a_public_ip_address_is_found(text: str, address: str) -> None:
    assert found_by(ip_addresses, text) == [address]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1, 10.1.2.3, 172.16.0.9, 192.168.178.1, 169.254.1.1, 0.0.0.0, 255.255.255.255",
        "192.0.2.44, 198.51.100.77 and 203.0.113.99 are in examples; 224.0.0.251 is multicast",
        "::1, fe80::1, fd00::8, 2001:db8::1, ::",
        "version 1.2.3.4, or 2.10.3.1; section 3.1.4.1",
        "v5.15.0.91, Version: 115.0.57.102, § 81.2.69.142, linux-5.15.0.91, 5.15.0.91-generic",
        "Chrome 120.0.6099.109, 1.2.3.4.5, 300.1.2.3, 81.02.69.142",
        "at 12:30:45, from 10:20 to 2001:30; std::vector, dead::beef, 2001:A Space Odyssey",
    ],
)
def test_numbers_that_name_no_public_host_are_left(text: str) -> None:
    assert found_by(ip_addresses, text) == []
    assert treated(text) == Treated(text, [])


@pytest.mark.parametrize(
    "number",
    [
        "4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111", "5555555555554444",
        "2223003122003222", "378282246310005", "3782 822463 10005", "30569309025904",
        "6011111111111117", "3530111333300000",
    ],
)  # fmt: skip
def test_a_card_number_refuses_its_text(number: str) -> None:
    assert found_by(cards, f"pay with {number}.") == [number]
    assert refusal(f"pay with {number}.") == Reject("personal_data", "1 card")


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 fails the check, as 4111111111111112 does",
        "9780306406157 is a book, 0000000000000000 nothing",
        "41111111111111111111 has too many digits, 4111 11111111 1111 other groups",
        "1234567812345670 passes the check, and nobody issues it",
        "4111.1111.1111.1111 and 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "x4111111111111111 4111111111111111.5",
    ],
)
def test_digits_that_are_no_card_are_left(text: str) -> None:
    assert found_by(cards, text) == []


@given(st.integers(0, 10**15))
def test_one_of_ten_last_digits_passes_luhns_test(number: int) -> None:
    assert sum(passes_luhn(f"{number}{digit}") for digit in range(10)) == 1


RANDOM = "9fK2mQ7xT4bV8nR1cZ6wJ3hL5yP0dS2gA4eU"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{RANDOM}{RANDOM}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"key:\n{PEM}\nend", PEM),
        (f"-----BEGIN PRIVATE KEY-----\n{RANDOM}{RANDOM}\nand so on.",
         f"-----BEGIN PRIVATE KEY-----\n{RANDOM}{RANDOM}"),
        ("id AKIAQ3EGRZ5JX7PVLM2T,", "AKIAQ3EGRZ5JX7PVLM2T"),
        (f"ghp_{RANDOM}", f"ghp_{RANDOM}"),
        (f"github_pat_{RANDOM}", f"github_pat_{RANDOM}"),
        ("xoxb-123456789012-abcDEF", "xoxb-123456789012-abcDEF"),
        (f"AIza{RANDOM[:35]}", f"AIza{RANDOM[:35]}"),
        (f"sk-proj-{RANDOM}", f"sk-proj-{RANDOM}"),
        (f"hf_{RANDOM}", f"hf_{RANDOM}"),
        (f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{RANDOM}",
         f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{RANDOM}"),
        ("psql postgres://jane:hunter2@db.acme.io/tea", "postgres://jane:hunter2@db.acme.io"),
        ("redis://:hunter2@localhost:6379", "redis://:hunter2@localhost"),
        (f'api_key = "{RANDOM}"', RANDOM),
        (f"'clientSecret': '{RANDOM}'", RANDOM),
        (f"export DB_PASSWORD={RANDOM}\n", RANDOM),
        (f"href='https://acme.io/tea?token={RANDOM}'", RANDOM),
    ],
)  # fmt: skip
def test_a_credential_refuses_its_text_without_being_told(text: str, secret: str) -> None:
    assert found_by(secrets, text) == [secret]
    found = refusal(text)
    assert found == Reject("secret", "1 secret")
    assert treated(text, MASK_ALL) == Treated(text.replace(secret, "[secret]"), ["secret"])


@pytest.mark.parametrize(
    "text",
    [
        'api_key = "your-api-key-goes-here"',
        'password = os.environ["DATABASE_PASSWORD_2"]',
        "password: get_the_password_from_vault2()",
        'token = "xxxxxxxxxxxxxxxxxxxxxxxx" or "token": "aaaa1111aaaa1111"',
        'API_KEY="${MY_SECRET_KEY_2}"',
        'tokenizer = "distilbert-base-uncased-finetuned-sst-2-english"',
        "https://user:<password>@host/ and https://user:$PASS@host and https://user:***@host",
        "https://acme.io:443/@jane and ssh://git@acme.io:22/tea",
        "sk-learn-contrib-extensions and task-4f3a9b8c7d6e5f4a3b2c1d",
        "sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "A key begins with -----BEGIN PRIVATE KEY----- and base64 follows.",
        "The secret: patience. The password is a word.",
    ],
)
def test_what_only_looks_like_a_credential_is_left(text: str) -> None:
    assert found_by(secrets, text) == []


# ------------------------------------------------------------------ what becomes of it


def test_each_kind_gets_its_mask_and_all_else_stays() -> None:
    text = "Ask jane@acme.io,\tor (415) 555-2671;  host 81.2.69.142!\n"
    assert treated(text) == Treated(
        "Ask [email],\tor [phone];  host [ip]!\n", ["email", "phone", "ip"]
    )


def test_kinds_are_told_in_the_order_of_their_places() -> None:
    text = "81.2.69.142, jane@acme.io, 81.2.69.143, +44 20 7946 0958"
    assert treated(text).found == ["ip", "email", "ip", "phone"]


def test_a_refusal_names_kinds_and_counts_and_no_value() -> None:
    text = f"jane@acme.io joe@acme.io 4111111111111111 {PEM}"
    found = refusal(text, PrivacySettings(email="drop"))
    assert found == Reject("secret", "1 card, 2 email, 1 secret")


def test_only_kinds_that_are_dropped_refuse_a_text() -> None:
    settings = PrivacySettings(email="drop", card="mask")
    assert refusal("jane@acme.io 4111111111111111", settings).detail == "1 email"
    assert treated("4111111111111111", settings) == Treated("[card]", ["card"])


def test_a_kind_that_is_kept_stays_and_is_not_told() -> None:
    text = "jane@acme.io +44 20 7946 0958"
    assert treated(text, PrivacySettings(email="keep")) == Treated(
        "jane@acme.io [phone]", ["phone"]
    )


def test_finds_that_overlap_get_one_mask_and_the_name_of_the_longest() -> None:
    # The password and the host together have an address's form.
    assert treated("ftp://jane:hunter2@acme.io/x", MASK_ALL) == Treated("[secret]/x", ["secret"])
    assert [find.kind for find in finds("Tel: 4111111111111111")] == ["card"]
    # The telephone number would be 12 4111 1111 1111.
    assert treated("Tel: 12 4111 1111 1111 1111", MASK_ALL) == Treated("Tel: [card]", ["card"])


def test_what_is_found_only_beside_a_mask_is_masked_too() -> None:
    text = "jane@acme.io+44 20 7946 0958"
    assert finds(text)[0].kind == "email"
    assert treated(text) == Treated("[email][phone]", ["email", "phone"])


def test_a_text_made_to_be_masked_for_ever_is_refused() -> None:
    text = "+12345678" * 50
    assert refusal("jane@acme.io" + text).reason == "personal_data"


def test_an_unknown_treatment_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="card: no treatment 'hide'"):
        PrivacySettings(card="hide")  # type: ignore[arg-type]


# ------------------------------------------------------------------ laws

FRAGMENTS = [
    "jane@acme.io", "+44 20 7946 0958", "415-555-2671", "81.2.69.142", "4111111111111111",
    "https://u:pw@h.io", f"ghp_{RANDOM}", "tel: 020 7946 0958", f"token={RANDOM}", PEM, "@", ".",
    "+", "-", " ", ":", "1", "2606:4700::6400", "(415) ", "a", "é", "\n", *MASKS.values(),
]  # fmt: skip
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.text(max_size=100)


@given(texts)
def test_to_treat_a_treated_text_changes_nothing_and_finds_nothing(text: str) -> None:
    once = Privacy(MASK_ALL).treat(text)
    if isinstance(once, Reject):
        assert once.reason in ("personal_data", "secret")
        return
    assert Privacy(MASK_ALL).treat(once.text) == Treated(once.text, [])
    assert finds(once.text) == []
    assert (once.text == text) == (once.found == [])
    if not any(mask in text for mask in MASKS.values()):
        masks = re.findall("|".join(map(re.escape, MASKS.values())), once.text)
        assert masks == [MASKS[kind] for kind in once.found]


@given(texts)
def test_nothing_that_was_found_is_left(text: str) -> None:
    once = Privacy(MASK_ALL).treat(text)
    if isinstance(once, Treated):
        values = {text[find.start : find.end] for find in finds(text)}
        assert all(once.text.count(v) <= text.count(v) - 1 for v in values if v not in MASKS)


@given(texts)
def test_a_text_whose_kinds_are_all_kept_is_as_it_was(text: str) -> None:
    keep = PrivacySettings("keep", "keep", "keep", "keep", "keep")
    assert Privacy(keep).treat(text) == Treated(text, [])


# ------------------------------------------------------------------ time


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in (personal_data, credentials):
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern):
                yield f"{module.__name__}.{name}", value
    yield from credentials._TOKENS


def repeats(parsed: Any, around: int = 1) -> Iterator[tuple[int, int]]:
    """Yield for each repetition how often it may be tried at one place, and its own bound.

    A possessive one is tried once: it never gives back what it took.
    """
    for code, value in parsed:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            low, high, inner = value
            tried = around * (1 if code is codes.POSSESSIVE_REPEAT else int(high) - low + 1)
            yield tried, int(high)
            yield from repeats(inner, tried)
        elif code is codes.BRANCH:
            for branch in value[1]:
                yield from repeats(branch, around)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from repeats(value[1], around)
        elif code is codes.SUBPATTERN:
            yield from repeats(value[3], around)
        elif code is codes.ATOMIC_GROUP:
            yield from repeats(value, around)


@pytest.mark.parametrize(("name", "pattern"), [*patterns()])
def test_no_pattern_can_run_away(name: str, pattern: re.Pattern[str]) -> None:
    """Each repetition is bounded, and the ways to divide what nested ones take are few."""
    for tried, high in repeats(parser.parse(pattern.pattern, pattern.flags)):
        assert high <= 2**14, f"{name}: {high} repetitions"
        assert tried <= 2**10, f"{name}: {tried} ways"


HOSTILE = [
    "a", "1", "a.", "a@", "@", "a@a.", "1.", "1-", "1 ", "+1", "+1 ", "(1", "2001:", ":", "://a:",
    "http://a:a", "http://", "eyJ", "eyJaaaaaaaaaaaaaaaaaa.", "sk-", "sk-a1", "token=", "token='",
    "password ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----" + "a" * 50, "-", "\n",
    "tel: ", "tel: 1", "4111 1111 ", "xoxb-", "ghp_a", "é", "415-555-", "a@a.aa-", "1.1.1.1.",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("piece", HOSTILE)
def test_a_megabyte_made_to_be_slow_comes_to_an_end(piece: str) -> None:
    Privacy().treat(piece * (1_000_000 // len(piece)))
