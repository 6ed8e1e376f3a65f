"""A world of `bench.truth` as files: pages, seed pairs, ratings, and the recipe over them.

Promises: what is written follows from the seed and the size alone, and the recipe is the same for
every seed, but for the seed of its trainings.

Does not know: what is trained and scored in a world, what its truth is compared with.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from backtrans.microworld.adapt import BASE
from backtrans.microworld.corpus import CORPUS_GLOB, write_corpus
from backtrans.microworld.verdict import MIN_TOKEN_LOGPROB_FLOOR
from backtrans.microworld.world import World
from backtrans.roles.score import SCORE_PREFIX, render

GOOD_SHARE = 0.33
NEAR_SHARE, FAR_SHARE = 0.02, 0.08
"""Of ratings: how often an instruction is off by one slot, or of another page. Source: as in
`microworld.adapt`: a backward model errs rarely, and a judge that was taught to expect worse is
sure of nothing (docs/log.md)."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large an experiment is."""

    documents: int = 400
    seed_pairs: int = 500
    ratings: int = 300
    backward_steps: int = 40
    forward_steps: int = 50
    questions: int = 200
    a4: float = 4.0
    a5: float = 4.5
    controls: bool = True  # and rewriting: what takes time and shows nothing of the machinery


SMALL = Size(40, 120, 80, 12, 8, 20, a4=3.0, a5=3.3, controls=False)
"""For the tests: the machinery, not the figures; so few steps teach no model to be sure."""


def prepared(seed: int, folder: Path, size: Size) -> Path:
    """Write a world's corpus, seed and ratings, and the configuration over them."""
    folder.mkdir(parents=True, exist_ok=True)
    world = World(seed)
    write_corpus(world, folder, size.documents, good_share=GOOD_SHARE)
    pairs = [asdict(pair) for pair in world.seed_pairs(size.seed_pairs)]
    _write(folder / "seed.jsonl", pairs)
    rated = world.rated_pairs(size.ratings, near_share=NEAR_SHARE, far_share=FAR_SHARE)
    _write(folder / "ratings.jsonl", [_rating(pair) for pair in rated])
    # Whole models: vLLM on a CPU serves adapters many times slower (docs/log.md).
    tuned = {
        "method": "full",
        "learning_rate": 5e-4,
        "batch_examples": 12,
        "max_tokens": 512,
        "dtype": "float32",
        "seed": seed,
    }
    model = {
        "path": str(BASE),
        "trained": True,
        "max_model_tokens": 1024,
        "dtype": "float32",
    }
    raw = {
        "recipe": {
            "corpus": {"paths": [CORPUS_GLOB], "shard_rows": 150},
            "select": {"min_chars": 80, "max_chars": 3000},
            "deduplicate": {"enabled": False},
            "training": {
                "seed": {"paths": ["seed.jsonl"]},
                "replay": {"paths": ["ratings.jsonl"], "share": 0.3},
                "backward": {**tuned, "steps": size.backward_steps},
                "forward": {**tuned, "steps": size.forward_steps},
            },
            "models": {"backward": model, "forward": model},
            "backtranslate": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 48},
            "score": {"form": "constrained", "signals": ["likelihood"]},
            "curate": {
                "a4": size.a4,
                "a5": size.a5,
                "floors": {"min_token_logprob": MIN_TOKEN_LOGPROB_FLOOR},
            },
        },
        "placement": {
            "root": "out",
            "runtime": "local",
            "engine": {"device": "cpu", "eager": True, "max_batched_tokens": 4096},
            "training": {"examples_each": 12, "checkpoint_steps": 1000},
        },
    }
    path = folder / "truth.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


def _rating(pair: Any) -> dict[str, Any]:
    """Return a rating as the judging role asks for it and reads it."""
    asked = render(pair.instruction, pair.output, "constrained")[0].content
    return {"prompt": asked, "completion": f"{SCORE_PREFIX}{pair.rating}"}


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
