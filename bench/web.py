"""The micro-world's pages as a crawl would find them: with junk, and with copies of each other.

Promises: of what is written, half is junk, a quarter copies and a quarter pages of the world (which
has its own spoilt pages, two of three, that no rule sees); every page comes with its truth. Order
and texts follow from the seed.

Source of the shares: RefinedWeb (2306.01116, figure 2). Of English pages of Common Crawl its rules
of quality discard about half, and deduplication about half of what is left. Which sorts of junk
there are is ours: those that the rules of Gopher (2112.11446, A.1) were written for.

And what is left of them by the pipeline's selection, on CPUs.

Does not know: models.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import yaml

from backtrans.config import load
from backtrans.microworld.noise import ADVERTS, NAVIGATION, PROMOTION, SUBSCRIBES
from backtrans.microworld.vocabulary import SLOTS
from backtrans.microworld.world import World, WorldDocument
from backtrans.pipeline import Pipeline
from backtrans.records import is_kept
from bench import dedup

FILE_PAGES = 250
NEAR_SHARE = 0.5
"""Of copies: the site's menu above the same text. The others are the same text elsewhere."""

MIN_CHARS, MIN_WORDS = 80, 7
"""600 characters and 50 words of the web, in this world's lengths (as the demo has `min_chars`)."""

MENU_QUALITY = 3
"""What a page with a menu is worth at best in the world's own scale."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page with its truth, and which page it is a copy of: itself, if of none."""

    id: str
    text: str
    truth: WorldDocument
    origin: str
    sort: str  # page | copy | junk


def crawl(seed: int, count: int) -> list[Page]:
    """Draw pages, copies and junk, in an order in which an original need not come first."""
    rng = Random(f"crawl {seed}")
    found = [
        Page(each.id, each.text, each, each.id, "page")
        for each in World(seed).documents(count // 4)
    ]
    for number in range(count // 4):
        page = rng.choice(found[: count // 4])
        text, truth = page.text, page.truth
        if rng.random() < NEAR_SHARE:
            text = f"{rng.choice(NAVIGATION)}\n{text}"
            truth = replace(truth, quality=min(truth.quality, MENU_QUALITY))
        found.append(Page(f"copy-{number:05d}", text, truth, page.id, "copy"))
    for number in range(count - len(found)):
        name = f"junk-{number:05d}"
        text = rng.choice(JUNK)(rng)
        truth = WorldDocument(name, text, "", 1, "junk", fresh_name=False)
        found.append(Page(name, text, truth, name, "junk"))
    rng.shuffle(found)
    return found


def write(pages: Sequence[Page], folder: Path) -> None:
    """Write pages as files of Dolma's format."""
    folder.mkdir(parents=True)
    for first in range(0, len(pages), FILE_PAGES):
        lines = [
            json.dumps(
                {
                    "id": page.id,
                    "text": page.text,
                    "metadata": {"url": f"https://{page.id}.example/"},
                }
            )
            for page in pages[first : first + FILE_PAGES]
        ]
        path = folder / f"pages-{first // FILE_PAGES:05d}.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------- junk


def menus(rng: Random) -> str:
    """Return a page of which only its site's menus are left."""
    goods = [f"{rng.choice(SLOTS['product'])} ({rng.randint(1, 99)})" for _ in range(12)]
    return "\n".join([*rng.sample(NAVIGATION, k=3), *(f"- {each}" for each in goods)])


def one_line_again(rng: Random) -> str:
    """Return a page that says one thing many times."""
    goods = rng.choice(SLOTS["product"])
    line = rng.choice((*ADVERTS, *PROMOTION)).format(product=goods, name="our", topic=goods)
    return "\n".join([line] * rng.randint(4, 7))


def keywords(rng: Random) -> str:
    """Return words for search engines, without a sentence."""
    words = [rng.choice(rng.choice(tuple(SLOTS.values()))) for _ in range(40)]
    return ", ".join(each for each in words if " " not in each)


def stub(rng: Random) -> str:
    """Return a teaser of a page that is elsewhere."""
    return f"{rng.choice(SLOTS['product']).capitalize()}\n{rng.choice(SUBSCRIBES)}"


JUNK: tuple[Callable[[Random], str], ...] = (menus, one_line_again, keywords, stub)


# ---------------------------------------------------------------------- selecting


def selected(pages: Sequence[Page], folder: Path) -> tuple[set[str], Counter[str], float]:
    """Select and deduplicate by the pipeline; return ids, refusals by reason, and CPU seconds."""
    write(pages, folder / "corpus")
    scripted = {"path": "scripted:default", "engine": "scripted"}
    filters = {
        "families": ["lists", "language", "gopher_quality", "gopher_repetition"],
        "gopher_quality": {"min_words": MIN_WORDS},
    }
    raw = {
        "recipe": {
            "corpus": {"paths": ["corpus"], "shard_rows": FILE_PAGES},
            "select": {"min_chars": MIN_CHARS, "max_chars": 3000, "filters": filters},
            "models": {"backward": scripted, "forward": scripted},
        },
        "placement": {"root": "root", "runtime": "local"},
    }
    config = folder / "select.yaml"
    config.write_text(yaml.safe_dump(raw), encoding="utf-8")
    began = time.process_time()
    dedup.select(config)
    dedup.deduplicate(config, "local")
    seconds = time.process_time() - began
    pipeline = Pipeline(load(config))
    documents = {row["id"]: row["document_id"] for row in pipeline.rows("select")}
    sort = {page.id: page.sort for page in pages}
    left, refused = set(), Counter()
    for stage in ("select", "deduplicate"):
        for row in pipeline.rows(stage):
            document = documents[row["id"]]
            if not is_kept(row):
                refused[f"{sort[document]} by {row['reject_reason']}"] += 1
            elif stage == "deduplicate":
                left.add(document)
    return left, refused, seconds
