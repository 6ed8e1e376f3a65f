"""The world: documents, seed pairs and rated pairs with known truth, all drawn from one seed.

Promises: the same seed gives the same rows on every machine, in any order of calls, and the first
rows of a longer list are those of a shorter one. Training rows never hold a held-out combination
of slots or a held-out fresh name; held-out rows hold nothing else (but names of the fixed list).

Does not know files, tokenizers or models.
"""

from dataclasses import dataclass
from random import Random

from backtrans.microworld import truth
from backtrans.microworld.latent import Latent, Split, draw, near_miss, stream
from backtrans.microworld.noise import FLAWS, Setting, spoil
from backtrans.microworld.truth import matches, token_f1

__all__ = ["RatedPair", "SeedPair", "World", "WorldDocument", "matches", "token_f1", "true_rating"]

POOR_WEIGHTS = {4: 1, 3: 2, 2: 2, 1: 2}
"""How the pages that are not clean share the other qualities."""

FRESH_SHARE = 0.5
"""Of training rows, so many hold fresh names, so that a model must copy and not recall."""

NEAR_SHARE, FAR_SHARE = 0.15, 0.2
"""Of rated pairs: the instruction differs in one slot, or is another page's."""


@dataclass(frozen=True, slots=True)
class WorldDocument:
    """A page with its truth. `instruction` is empty for a void; `noises` has the worst first."""

    id: str
    text: str
    instruction: str
    quality: int
    kind: str
    fresh_name: bool
    noises: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SeedPair:
    """What a careful person would write: an instruction and its clean answer."""

    instruction: str
    output: str


@dataclass(frozen=True, slots=True)
class RatedPair:
    """A pair with its rating 1..5 and one short review that says why."""

    instruction: str
    output: str
    rating: int
    reasoning: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything that one seed determines."""

    seed: int

    def documents(
        self,
        count: int,
        *,
        split: Split = "heldout",
        good_share: float = 0.33,
        fresh_names_share: float = 0.25,
    ) -> list[WorldDocument]:
        """Draw pages as a crawl would find them."""
        documents = []
        for index in range(count):
            rng = stream(self.seed, "document", split, index)
            fresh = rng.random() < fresh_names_share
            quality = 5 if rng.random() < good_share else _poor(rng)
            latent, text, noises = page(rng, split, fresh, quality)
            instruction = "" if "void" in noises else latent.instruction()
            documents.append(
                WorldDocument(
                    f"world-{self.seed}-{split}-{index:07d}",
                    text,
                    instruction,
                    quality,
                    latent.kind,
                    fresh,
                    noises,
                )
            )
        return documents

    def seed_pairs(self, count: int, *, split: Split = "train") -> list[SeedPair]:
        """Draw clean pairs, of training combinations unless asked otherwise."""
        pairs = []
        for index in range(count):
            rng = stream(self.seed, "seed", split, index)
            latent, text, _ = page(rng, split, rng.random() < FRESH_SHARE, 5)
            pairs.append(SeedPair(latent.instruction(), text))
        return pairs

    def rated_pairs(
        self,
        count: int,
        *,
        split: Split = "train",
        near_share: float = NEAR_SHARE,
        far_share: float = FAR_SHARE,
    ) -> list[RatedPair]:
        """Draw pairs of every rating; the shares are those of near and far mismatches."""
        return [
            rated(stream(self.seed, "rated", split, index), split, near_share, far_share)
            for index in range(count)
        ]


Page = tuple[Latent, str, tuple[str, ...]]


def page(rng: Random, split: Split, fresh: bool, quality: int) -> Page:
    """Draw a page of `quality`: its latent, its text and its noises."""
    latent = draw(rng, split, fresh)
    lines, noises = spoil(latent.lines(rng), quality, Setting(rng, latent, split, fresh))
    return latent, "\n".join(lines), noises


def rated(
    rng: Random, split: Split, near_share: float = NEAR_SHARE, far_share: float = FAR_SHARE
) -> RatedPair:
    """Draw one rated pair."""
    fresh = rng.random() < FRESH_SHARE
    case = rng.random()
    # A mismatch shows only where nothing else is wrong: such pages are mostly clean.
    matched = case >= near_share + far_share
    clean = rng.random() < (0.5 if matched else 0.8)
    quality = 5 if clean else _poor(rng)
    latent, text, noises = page(rng, split, fresh, quality)
    is_void = "void" in noises
    difference = "the same"
    asked = latent
    if case < near_share:
        asked, slot = near_miss(rng, latent, split, fresh)
        difference = f"{dict(asked.values)[slot]}, another {slot}"
    elif not matched:
        asked, difference = draw(rng, split, fresh), "something else"
        if asked.values == latent.values:
            difference = "the same"
    if is_void:
        difference = "something"
    latent_text = "" if is_void else latent.instruction()
    reasoning = review(latent_text, difference, noises)
    value = truth.rating(quality, asked.instruction(), latent_text)
    return RatedPair(asked.instruction(), text, value, reasoning)


def review(latent: str, difference: str, noises: tuple[str, ...]) -> str:
    """Say what the page answers, what was asked beside it, and the worst flaw."""
    flaw = FLAWS[noises[0]] if noises else "none"
    return f"The page answers: {latent or 'Nothing.'} Asked: {difference}. Flaw: {flaw}."


def true_rating(document: WorldDocument, instruction: str) -> int:
    """Return the truth for a backtranslated pair: 5 only if clean and matching."""
    return truth.rating(document.quality, instruction, document.instruction)


def _poor(rng: Random) -> int:
    return rng.choices(list(POOR_WEIGHTS), weights=list(POOR_WEIGHTS.values()))[0]
