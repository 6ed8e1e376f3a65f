"""The embedded default: the whole job in the micro-world, on real engines, checked by the truth.

Writes a generated web corpus, trains the two tiny models unless they are there, writes the
configuration that a user would write, runs it as `backtrans run` does, and sets what came out
against what is known. Everything lies in one folder; a second demo finds it all committed.

Promises: what it prints as a figure was measured in this run's data; nothing was chosen on this
world's seed. It verifies the machinery, not the papers' claims, and says so.
"""

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from backtrans.accounts import Summary
from backtrans.config import load
from backtrans.microworld.adapt import adapters
from backtrans.microworld.corpus import CORPUS_GLOB, write_corpus
from backtrans.microworld.merge import merge
from backtrans.microworld.verdict import (
    MIN_TOKEN_LOGPROB_FLOOR,
    Backward,
    Selection,
    Verdict,
    verdict,
)
from backtrans.microworld.world import World, WorldDocument
from backtrans.pipeline import Pipeline
from backtrans.progress import Shown

DEMO_SEED = 20_002
"""The world of the demo. Nothing was trained, tuned or calibrated on it."""


def run_demo(folder: Path, documents: int, console: Console) -> tuple[Summary, Verdict]:
    """Run the demo in `folder` and measure it. Raises: what a run raises."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = Shown(console)
    shown.note(f"micro-world: {documents:,} generated web documents in {folder / 'corpus'}")
    truth = write_corpus(World(DEMO_SEED), folder, documents)
    trained = adapters(folder / "models", say=shown.note)
    models = [
        merge(trained.base, adapter, folder / "models" / f"merged-{adapter.name}")
        for adapter in (trained.backward, trained.forward)
    ]
    path = folder / "demo.yaml"
    path.write_text(configuration(*models), encoding="utf-8")
    pipeline = Pipeline(load(path))
    try:
        summary = pipeline.run(shown)
    finally:
        shown.close()
    rows = [
        {**row, "id": row["document_id"]}
        for row in pipeline.rows("curate")
        if row["document_id"] is not None
    ]
    found = verdict(rows, truth)
    _show(console, found, truth)
    made = ", ".join(f"{stage} {count}" for stage, count in summary.made.items())
    shown.note(f"computed in this run: {made or 'nothing; all of it was there'}")
    for split, files in pipeline.status().files.items():
        count = summary.snapshot.rows[split] if summary.snapshot else 0
        shown.note(f"{split}: {count:,} pairs in {', '.join(files)}")
    shown.note(f"look at it: backtrans report {path} --out {folder / 'report.html'}")
    shown.note(f"what it took: backtrans status {path}; its record: {folder / 'out/runs'}")
    return summary, found


def configuration(backward: Path, forward: Path) -> str:
    """Return the demo's YAML: what a user would write, with this world's lengths."""
    # float32: twice as fast as bfloat16 on a CPU that has no instructions for the latter.
    model = {"max_model_tokens": 1024, "dtype": "float32"}
    raw: dict[str, Any] = {
        "recipe": {
            "corpus": {"paths": [CORPUS_GLOB], "shard_rows": 125},
            # The world's pages are short: its models read 75 tokens, not 750.
            "select": {"min_chars": 80, "max_chars": 3000},
            # They are made of few templates, so many are alike, and the truth knows each of them.
            "deduplicate": {"enabled": False},
            "models": {
                "backward": {"path": str(backward.resolve()), **model},
                "forward": {"path": str(forward.resolve()), **model},
            },
            "backtranslate": {"temperature": 0.0, "top_p": 1.0, "max_tokens": 48},
            "score": {"form": "constrained", "signals": ["likelihood"]},
            "curate": {"floors": {"min_token_logprob": MIN_TOKEN_LOGPROB_FLOOR}},
        },
        "placement": {
            "root": "out",
            "engine": {"device": "cpu", "eager": True, "max_batched_tokens": 4096},
        },
    }
    head = "# Written by `backtrans demo`; `backtrans status` and `plan` read it too.\n"
    return head + yaml.safe_dump(raw, sort_keys=False)


def _show(console: Console, found: Verdict, documents: list[WorldDocument]) -> None:
    table = Table("against the world's truth", "this run", title="the micro-world", min_width=60)
    clean = sum(d.quality == 5 for d in documents)
    table.add_row("documents, clean among them", f"{len(documents):,}, {clean:,}")
    table.add_row("base rate: true fives in the pool", _percent(found.base_rate))
    for name, backward in (
        ("names seen in training", found.seen_names),
        ("names never seen", found.fresh_names),
    ):
        table.add_row(f"M_yx on clean documents, {name}", _backward(backward))
    by_default = f"the demo's default, and min-token log p(y|x) >= {found.floor:g}"
    for name, auc, selected in (
        ("the rubric's digit alone", found.plain_auc, found.plain),
        (by_default, found.floored_auc, found.floored),
    ):
        table.add_row(f"AUC, a true five against the rest: {name}", _figure(auc))
        table.add_row(f"A5: {name}", _selection(selected))
    console.print(table)
    console.print(
        "This verifies the machinery on tiny models in a generated world; it says nothing of the"
        " papers' claims.",
    )


def _backward(found: Backward) -> str:
    return (
        f"exact {_percent(found.exact)}, same slots {_percent(found.match)},"
        f" token F1 {_figure(found.f1)} ({found.pages:,})"
    )


def _selection(found: Selection) -> str:
    return (
        f"precision {_percent(found.precision)}, recall {_percent(found.recall)}"
        f" ({found.selected:,} kept, {found.true:,} true of {found.good:,})"
    )


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"
