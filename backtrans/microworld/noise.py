"""What the web does to a page, and what quality is left: five levels, each with its own noises.

Promises: noise is systematic, so that it can be learnt: every noise has a name, a level and a
phrase that a review uses for it. A page's quality is the level of its worst noise.

Does not know instructions; a page that answers nothing is the caller's to name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from backtrans.microworld.latent import Latent, Split, draw, draw_name, fill
from backtrans.microworld.vocabulary import SLOTS

NAVIGATION = (
    "Home | News | Shop | Contact",
    "Menu | Search | Login | Help",
    "Back to top | Next page | Print",
)
ADVERTS = (
    "Buy now: the new {product}, only nine dollars!",
    "Click here for cheap {product} offers!",
    "Sale! Half price on every {product} until Sunday!",
)
BYLINES = (
    "Posted by {author} in {month}",
    "By {author}, staff writer, {month}",
    "Written by {author} | Last update in {month}",
)
WELCOMES = (
    "Welcome back to our site, dear readers!",
    "On this page we share our tips with you.",
    "Hello friends, thanks for all your comments on our last post.",
)
SUBSCRIBES = (
    "Subscribe to our newsletter for more tips.",
    "Like this post? Share it and follow us.",
    "Sign up for free updates and leave a comment below.",
)
FILLERS = (
    "Well, that is how it is, more or less.",
    "Anyway, this is something to think about.",
    "As they say, things are what they are.",
)
VAGUE = (
    "There are many opinions about this, and it depends.",
    "Some other pages have more about this topic.",
    "This question is asked often, and experts do not agree.",
    "We may answer it in another article.",
)
FORUM = (
    "Posted by {author}: I have a question about {topic}.",
    "I tried it myself last week, but I failed and I am so angry.",
    "My brother says I should give up. Does anyone know?",
    "Reply by {other}: same here, no idea, sorry.",
    "Reply by {other}: I think my cousin had one, lol.",
)
PROMOTION = (
    "The {name} shop has the best offers on every {product}!",
    "Order today and save half the price on {topic}!",
    "Our {product} is number one, call us now!",
    "Only today: buy two and get one free!",
)
VOID = (
    "This page uses cookies. Accept | Decline",
    "Error: the page you asked for was not found.",
    "Please log in to see this content.",
    "Copyright, all rights reserved. Terms | Privacy",
    "Loading more results, please wait.",
)
MONTHS = ("January", "March", "May", "June", "July", "October")


@dataclass(frozen=True, slots=True)
class Setting:
    """What a noise may draw on."""

    rng: Random
    latent: Latent
    split: Split
    fresh: bool

    def say(self, templates: tuple[str, ...]) -> str:
        """Fill one of the templates with strangers' names and goods."""
        return self.spell(self.rng.choice(templates))

    def spell(self, template: str) -> str:
        """Fill one template."""
        values = dict(self.latent.values)
        topic = " ".join(values[slot] for slot in ("name", self.latent.template.slots[0]))
        return fill(
            template,
            {
                "product": self.rng.choice(SLOTS["product"]),
                "author": draw_name(self.rng, self.split, self.fresh),
                "other": draw_name(self.rng, self.split, self.fresh),
                "month": self.rng.choice(MONTHS),
                "topic": topic,
                "name": values["name"],
            },
        )

    def stranger(self) -> list[str]:
        """Return another page's lines."""
        return draw(self.rng, self.split, self.fresh).lines(self.rng)


Noise = Callable[[list[str], Setting], list[str]]


def _insert(lines: list[str], line: str, at: int) -> list[str]:
    return [*lines[:at], line, *lines[at:]]


def repeat(lines: list[str], setting: Setting) -> list[str]:
    """Say one line twice."""
    at = setting.rng.randrange(len(lines))
    return _insert(lines, lines[at], at)


def stutter(lines: list[str], setting: Setting) -> list[str]:
    """Double one word."""
    at = setting.rng.randrange(len(lines))
    words = lines[at].split(" ")
    word = setting.rng.randrange(len(words))
    return [*lines[:at], " ".join(_insert(words, words[word], word)), *lines[at + 1 :]]


def filler(lines: list[str], setting: Setting) -> list[str]:
    """Add a line that says nothing."""
    return _insert(lines, setting.say(FILLERS), setting.rng.randint(1, len(lines)))


def slip(lines: list[str], setting: Setting) -> list[str]:
    """Write another value of a slot in one line after the first."""
    values = dict(setting.latent.values)
    places = [
        (at, slot)
        for at, line in enumerate(lines)
        for slot in setting.latent.template.slots
        if at > 0 and values[slot] in line
    ]
    if not places:
        return filler(lines, setting)
    at, slot = setting.rng.choice(places)
    other = setting.rng.choice([value for value in SLOTS[slot] if value != values[slot]])
    return [*lines[:at], lines[at].replace(values[slot], other), *lines[at + 1 :]]


def byline(lines: list[str], setting: Setting) -> list[str]:
    """Say who wrote it."""
    return [setting.say(BYLINES), *lines]


def navigation(lines: list[str], setting: Setting) -> list[str]:
    """Keep the site's menu above or below."""
    return _insert(lines, setting.rng.choice(NAVIGATION), setting.rng.choice((0, len(lines))))


def welcome(lines: list[str], setting: Setting) -> list[str]:
    """Greet the site's readers."""
    return [setting.say(WELCOMES), *lines]


def subscribe(lines: list[str], setting: Setting) -> list[str]:
    """Ask for a subscription."""
    return [*lines, setting.say(SUBSCRIBES)]


def advert(lines: list[str], setting: Setting) -> list[str]:
    """Put an advertisement between the lines."""
    return _insert(lines, setting.say(ADVERTS), setting.rng.randint(1, len(lines)))


def truncated(lines: list[str], setting: Setting) -> list[str]:
    """Break off in the middle of a line."""
    at = setting.rng.randrange(len(lines) // 2, len(lines))
    words = lines[at].split(" ")
    return [*lines[:at], " ".join(words[: setting.rng.randint(1, len(words) - 1)])]


def indirect(lines: list[str], setting: Setting) -> list[str]:
    """Keep the beginning, then evade."""
    kept = max(1, len(lines) // 2)
    return [*lines[:kept], *setting.rng.sample(VAGUE, k=2)]


def dropped(lines: list[str], setting: Setting) -> list[str]:
    """Lose a line in the middle."""
    at = setting.rng.randrange(1, len(lines) - 1)
    return [*lines[:at], *lines[at + 1 :]]


def appended(lines: list[str], setting: Setting) -> list[str]:
    """Go on with two lines of another page."""
    return [*lines, *setting.stranger()[1:3]]


def forum(lines: list[str], setting: Setting) -> list[str]:
    """Ask about the topic in a forum instead of answering."""
    return [setting.spell(line) for line in (*FORUM[:3], setting.rng.choice(FORUM[3:]))]


def promotion(lines: list[str], setting: Setting) -> list[str]:
    """Sell the topic instead of answering."""
    return [setting.spell(line) for line in PROMOTION]


def strangers(lines: list[str], setting: Setting) -> list[str]:
    """Keep one line, then be other pages altogether."""
    return [lines[0], *setting.stranger()[1:3], *setting.stranger()[2:]]


def void(lines: list[str], setting: Setting) -> list[str]:
    """Answer nothing at all."""
    lines = [*setting.rng.sample(VOID, k=3), setting.rng.choice(NAVIGATION)]
    setting.rng.shuffle(lines)
    return lines


LEVELS: dict[int, tuple[Noise, ...]] = {
    4: (repeat, stutter, filler, slip),
    3: (byline, navigation, welcome, subscribe),
    2: (advert, truncated, indirect, dropped, appended),
    1: (forum, promotion, strangers, void),
}
"""The quality that each noise leaves at best."""

FLAWS: dict[str, str] = {
    "repeat": "a repeated line",
    "stutter": "a doubled word",
    "filler": "an empty line of talk",
    "slip": "a wrong detail",
    "byline": "an author line",
    "navigation": "a site menu",
    "welcome": "the voice of a site",
    "subscribe": "a call to subscribe",
    "advert": "an advert inside",
    "truncated": "it breaks off",
    "indirect": "it evades",
    "dropped": "a missing line",
    "appended": "lines of another page",
    "forum": "a forum voice",
    "promotion": "only promotion",
    "strangers": "mostly other pages",
    "void": "it answers nothing",
}
"""How a review names each noise."""

SECOND_NOISE_SHARE = 0.4
"""How often a noisy page has a second, milder or equal noise below it."""


def spoil(lines: list[str], quality: int, setting: Setting) -> tuple[list[str], tuple[str, ...]]:
    """Bring a clean page down to `quality`; return its lines and its noises, the worst first."""
    if quality == 5:
        return lines, ()
    worst = setting.rng.choice(LEVELS[quality])
    lines = worst(lines, setting)
    noises = [worst.__name__]
    if quality > 1 and setting.rng.random() < SECOND_NOISE_SHARE:
        milder = [noise for level in (3, 4) if level >= quality for noise in LEVELS[level]]
        second = setting.rng.choice(milder)
        if second is not worst and second is not slip:
            lines = second(lines, setting)
            noises.append(second.__name__)
    return lines, tuple(noises)
