"""The fingerprint of each stage: what decides its result, hashed.

    select <- how the corpus is read, what a segment must be
    deduplicate <- likeness, select
    backtranslate, score, distill, rewrite, rescore <- role and model, what is asked about
    curate, choose <- thresholds, what they judge

Promises: what decides a stage's result, and nothing else, enters its fingerprint, together with the
fingerprints of what it reads. What the recipe leaves off enters none.

Does not know: where and how things run; roles and models, which come named by their content.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from backtrans import rewriting
from backtrans.corpus import similarity
from backtrans.corpus.duplicates import LikenessSettings
from backtrans.ledger import fingerprint
from backtrans.recipe import Curate, Recipe
from backtrans.selection import Select
from backtrans.stages import choose as choose_stage
from backtrans.stages import deduplicate as deduplicate_stage
from backtrans.stages import select as select_stage
from backtrans.thresholds import Selector


def of(
    recipe: Recipe, asked: Mapping[str, str], likeness: LikenessSettings, evaluations: str
) -> dict[str, str]:
    """Return the fingerprints of a recipe's stages; deduplicate's also where nothing reads it.

    `asked` names what answers in each role stage that the recipe has, `likeness` says what a copy
    is, `evaluations` names the sets that no kept pair may hold.
    """
    reading = recipe.corpus.model_dump(exclude={"paths"})
    select = fingerprint(select_stage.VERSION, reading, *screened(recipe.select), evaluations)
    versions = (deduplicate_stage.VERSION, similarity.VERSION)
    alike = asdict(likeness) if likeness.near else None
    deduplicate = fingerprint(*versions, alike, select)
    segments = deduplicate if recipe.deduplicate.enabled else select
    backtranslate = fingerprint("backtranslate", asked["backtranslate"], segments)
    score = fingerprint("score", asked["score"], backtranslate)
    curate = fingerprint("curate", *judged(recipe.curate), evaluations, score)
    return {
        "select": select,
        "deduplicate": deduplicate,
        "backtranslate": backtranslate,
        "score": score,
        "curate": curate,
        **_written(recipe, asked, curate, evaluations),
    }


def screened(select: Select) -> tuple[Any, ...]:
    """Return what decides which segments are kept, but for evaluation sets; not what is off."""
    on = [[family, asdict(getattr(select.filters, family))] for family in select.filters.families]
    band = [select.segmentation, select.min_chars, select.max_chars]
    return band, sorted(on), asdict(select.privacy)


def judged(curate: Curate) -> tuple[Any, ...]:
    """Return what decides which pairs are kept; that there is a filter says nothing."""
    found: dict[str, Any] = curate.model_dump(exclude={"filter", "selector"})
    if isinstance(curate.selector, Selector):
        found = {"floors": found["floors"], "selector": curate.selector.deciding()}
    return (found,) if curate.filter else (found, "unfiltered")


def _written(
    recipe: Recipe, asked: Mapping[str, str], curate: str, evaluations: str
) -> dict[str, str]:
    """Return the fingerprints of the stages that write, and of the choice among responses."""
    found: dict[str, str] = {}
    if "distill" in asked:
        found["distill"] = fingerprint("distill", asked["distill"], curate)
    if "rewrite" in asked:
        found["rewrite"] = fingerprint("rewrite", asked["rewrite"], curate)
        reads = [found["rewrite"]]
        if "rescore" in asked:
            found["rescore"] = fingerprint("rescore", asked["rescore"], found["rewrite"])
            reads = [found["rescore"]]
        taken = [asdict(recipe.rewrite.refuse), recipe.rewrite.fallback]
        versions = (choose_stage.VERSION, rewriting.VERSION)
        found["choose"] = fingerprint(*versions, taken, evaluations, *reads)
    return found
