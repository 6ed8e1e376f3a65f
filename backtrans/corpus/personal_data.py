"""Find e-mail addresses, telephone numbers, IP addresses and payment cards in a text.

Promises: places are character for character; what a standard reserves for examples or for private
networks is not found; the time is linear in the text's length, since no pattern repeats without a
bound, and none repeats a repetition that could be divided in more than one way.

Does not know: names, street addresses, national identity numbers; addresses that are spelt out ("at
example dot org") or hold letters that are not Latin; national telephone numbers of other forms than
North America's, unless a word such as "Tel.:" stands before them; whether a number that has a
card's or a telephone's form is one.
"""

import ipaddress
import re
from collections.abc import Iterator

Place = tuple[int, int]
"""Where something lies in a text, in characters, end exclusive."""

# Patterns that look behind them first are slow to search with. What no text can do without that
# holds such a number is looked for before, by a pattern that begins with a character.
_FOUR_PARTS = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]")
_TWO_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_LAST_SEVEN = re.compile(r"[0-9][0-9][0-9][ .-][0-9]{4}")
_CARD_GROUPS = re.compile(r"[0-9][0-9]{3}(?:[0-9]{10}|[ -][0-9]{4,6}[ -][0-9]{4})")

# ---------------------------------------------------------------- e-mail

# Source: RFC 5321, 4.5.3.1: 64 characters before the @; RFC 1035, 2.3.4: 63 in a label; RFC 5890:
# xn-- before a domain of other letters. Of what else RFC 5322 allows before the @, what addresses
# in use have. Latin letters only: in scripts without spaces the text goes on right after one.
_WORD = "A-Za-z0-9_À-ÖØ-öø-ɏ"
_EMAIL = re.compile(
    rf"(?<![{_WORD}%+-])[{_WORD}][{_WORD}.%+-]{{0,63}}+@"
    rf"((?:[{_WORD}][{_WORD}-]{{0,62}}+\.){{1,8}}(?:xn--[A-Za-z0-9-]{{2,59}}+|[A-Za-z]{{2,24}}+))"
    rf"(?![{_WORD}]|-[{_WORD}])"
)
# Source: RFC 2606 and RFC 6761, names for documentation and tests: nobody's.
_RESERVED_DOMAIN = re.compile(
    r"(?:.{0,255}\.)?(?:example(?:\.(?:com|net|org))?|test|invalid|localhost)", re.IGNORECASE
)
# An image for a display of twice the density (icon@2x.png) has an address's form.
_IMAGE = re.compile(r"[0-9]x\.(?:png|jpe?g|gif|webp|svg|avif)", re.IGNORECASE)


def emails(text: str) -> Iterator[Place]:
    """Yield where e-mail addresses lie. `git@host` is a way to a repository, and nobody's."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        domain = match[1]
        if _RESERVED_DOMAIN.fullmatch(domain) or _IMAGE.fullmatch(domain):
            continue
        if not match[0].startswith("git@"):
            yield match.span()


# ---------------------------------------------------------------- IP addresses

_IPV4 = re.compile(
    r"(?<![\w.])(?<![A-Za-z_]-)[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?!\w|\.[0-9]|-[A-Za-z])"
)
# Before a number of four parts that is no address.
_NUMBERED = re.compile(
    r"(?:\b(?:v|ver|version|release|build|rev|revision|firmware|driver|kernel|update|section|sec|"
    r"chapter|clause|article|paragraph|figure|fig|table|rule|oid)\.?|§)[ :#]{0,2}\Z",
    re.IGNORECASE,
)
_NUMBERED_CHARS = 16  # the longest of those words, and what follows it
SMALL_PARTS = 32
"""Four parts that are all below this are read as a version or a section number. An address drawn at
random is one with probability (32 / 256) ** 4, or 1 in 4,096."""

_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}+(?!\w)")


def ip_addresses(text: str) -> Iterator[Place]:
    """Yield where public IP addresses lie: not private, loopback, documentation or multicast ones.

    Source: the IANA registries of special-purpose addresses (RFC 6890), as `ipaddress` has them; of
    IPv6 what lies in 2000::/3, all that is given out as global unicast addresses (RFC 4291).
    """
    if _FOUR_PARTS.search(text):
        for match in _IPV4.finditer(text):
            if _is_public(match[0]) and not _is_numbering(text, *match.span()):
                yield match.span()
    if _TWO_COLONS.search(text):
        for match in _IPV6.finditer(text):
            address = match[0] if match[0].endswith("::") else match[0].rstrip(":")
            if _is_public(address):
                yield match.start(), match.start() + len(address)


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # not an address at all
        return False
    return parsed.is_global and not parsed.is_multicast


def _is_numbering(text: str, start: int, end: int) -> bool:
    """Say whether four numbers count versions or sections rather than name a host."""
    if all(int(part) < SMALL_PARTS for part in text[start:end].split(".")):
        return True
    return _NUMBERED.search(text[max(0, start - _NUMBERED_CHARS) : start]) is not None


# ---------------------------------------------------------------- telephone numbers

_GROUP = r"\(?[0-9]{1,15}+\)?"
_INTERNATIONAL = re.compile(rf"\+(?<![\w+.]\+)(?=[1-9]){_GROUP}(?:[ \u00a0.-]?{_GROUP}){{0,7}}+")
# Source: E.164, 6.2: at most 15 digits; the shortest numbers with their country's code have 7 or 8.
INTERNATIONAL_DIGITS = (8, 15)
# Source: the North American Numbering Plan: area code and exchange start with 2 to 9. Digits in a
# row, and groups with spaces only, may be anything; they are not taken.
_NORTH_AMERICAN = re.compile(
    r"(?<![\w.+/-])(?:1[ .-])?"
    r"(?:\([2-9][0-9]{2}\)[ -]?[2-9][0-9]{2}[ .-]|[2-9][0-9]{2}[ .-][2-9][0-9]{2}[.-])"
    r"[0-9]{4}(?![\w/]|[.-][0-9])"
)
_AFTER_LABEL = re.compile(
    rf"[.:]:?[ \u00a0]{{0,2}}+(?=[0-9(])({_GROUP}(?:(?: [/-] |[ \u00a0./-])?{_GROUP}){{0,7}}+)"
)
_LABEL = re.compile(
    r"\b(?:tel|tél|telephone|téléphone|telefon|teléfono|phone|mobile|mobil|cell|fax|whatsapp)"
    r"(?: number| no)? ?\Z",
    re.IGNORECASE,
)
_LABEL_CHARS = 20  # the longest of them, and one before it
LABELLED_DIGITS = (7, 15)
_LAST_GROUP = re.compile(r"[^0-9]{0,4}[0-9]{1,15}+\)?\Z")
_THOUSANDS = re.compile(r"\+?[0-9]{1,3}(?:\.[0-9]{3}){1,8}")


def phones(text: str) -> Iterator[Place]:
    """Yield where telephone numbers lie."""
    if "+" in text:
        for match in _INTERNATIONAL.finditer(text):
            place = _number(text, *match.span(), INTERNATIONAL_DIGITS)
            if place is not None:
                yield place
    if _LAST_SEVEN.search(text):
        yield from (match.span() for match in _NORTH_AMERICAN.finditer(text))
    for match in _AFTER_LABEL.finditer(text):
        if _LABEL.search(text[max(0, match.start() - _LABEL_CHARS) : match.start()]):
            place = _number(text, *match.span(1), LABELLED_DIGITS)
            if place is not None:
                yield place


def _number(text: str, start: int, end: int, digits: tuple[int, int]) -> Place | None:
    """Return where a number lies, or None when it is none; groups too many at its end are left."""
    if text[end : end + 1].isalnum():
        return None
    number = text[start:end]
    while sum(map(str.isdigit, number)) > digits[1] and (shorter := _LAST_GROUP.sub("", number)):
        number = shorter
    if number.count("(") < number.count(")"):  # of brackets around it, the second
        number = number.removesuffix(")")
    if number.count("(") != number.count(")") or _THOUSANDS.fullmatch(number):
        return None
    count = sum(map(str.isdigit, number))
    return (start, start + len(number)) if digits[0] <= count <= digits[1] else None


# ---------------------------------------------------------------- payment cards

# Digits in a row, or in the groups in which cards show them.
_CARD = re.compile(
    r"(?<![\w.-])(?:[0-9]{14,16}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5})(?!\w|[.-][0-9])"
)
# Source: the networks' issuer ranges (ISO/IEC 7812-1): Visa; Mastercard; American Express; Diners
# Club; Discover; JCB; UnionPay. The rare lengths, of 13 and of 17 to 19 digits, are left out: of
# numbers drawn at random one in ten passes Luhn's test, and long ones are other things.
_ISSUED = re.compile(
    r"4[0-9]{15}"
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    r"|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}"
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}"
    r"|62[0-9]{14}"
)


def cards(text: str) -> Iterator[Place]:
    """Yield where payment card numbers lie: issued by a network, with a right check digit."""
    if not _CARD_GROUPS.search(text):
        return
    for match in _CARD.finditer(text):
        digits = match[0].replace(" ", "").replace("-", "")
        if _ISSUED.fullmatch(digits) and passes_luhn(digits):
            yield match.span()


def passes_luhn(digits: str) -> bool:
    """Say whether the last digit checks the others. Source: ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
