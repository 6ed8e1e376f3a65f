"""Planning: what it costs to find 100 new shards among 100,000, with the checkpoint and without it.

    python -m bench.planning [--shards 100000] [--new 100]

Each shard is an input object of its own, the worst case: as many names to list, fingerprints to
know and indexes to read as there are shards. The root holds real commit records and indexes, but no
parts, which no plan reads. A plan runs in a process of its own, whose time and memory are counted
from its start, imports and all.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from backtrans.config import load
from backtrans.entries import encoded
from backtrans.ledger import Commit, Index, Ledger, index_key
from backtrans.pipeline import STAGES, Pipeline
from backtrans.records import Counts
from backtrans.stages.select import shard_identity
from bench import book
from bench.book import Figure

PLAN = """
import json, sys, time
began = time.monotonic()
from pathlib import Path
from backtrans.config import load
from backtrans.pipeline import Pipeline
plan = Pipeline(load(Path(sys.argv[1]))).plan()
seconds = time.monotonic() - began
# Not ru_maxrss, which a child inherits from the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak_mib = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([seconds, peak_mib, plan.objects, plan.unread_objects, plan.shards]))
"""


def write_objects(folder: Path, first: int, count: int) -> None:
    """Write input objects of one document each."""
    for number in range(first, first + count):
        place = folder / f"{number // 1000:03d}"
        place.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"id": f"d{number}", "text": f"document {number} " * 8})
        (place / f"{number:06d}.jsonl").write_text(line + "\n")


def write_root(pipeline: Pipeline) -> None:
    """Write the commits and indexes that a run over the corpus would have left."""
    root = Path(pipeline.resolved.store.root)
    shard_rows = pipeline.config.recipe.corpus.shard_rows
    select = pipeline.resolved.fingerprints["select"]
    for stage in STAGES:
        (root / "commits" / stage.name).mkdir(parents=True)
    (root / "indexes").mkdir()
    for found in pipeline.standing().objects:
        shard = shard_identity(found.fingerprint, shard_rows, 0)
        index = Index(index_key(select, found.fingerprint), found.info.key, shard, 1, (shard,))
        (root / "indexes" / f"{index.key}.json").write_bytes(encoded(index))
        for stage in STAGES:
            key = pipeline.resolved.key(stage.name, shard)
            attempt = hashlib.sha256(key.encode()).hexdigest()[:32]
            commit = Commit(
                stage.name,
                key,
                shard,
                found.info.key,
                0,
                Ledger.part_key(stage.name, key, attempt),
                Counts(1, 1, {}),
                run="made",
                attempt=attempt,
                committed_at="2026-01-01T00:00:00+00:00",
            )
            (root / "commits" / stage.name / f"{key}.json").write_bytes(encoded(commit))


def remember(pipeline: Pipeline) -> None:
    """Write the checkpoint that such a run would have left."""
    standing = pipeline.standing()
    shards, _ = standing.shards()
    # As if some time had passed: the files of a moment ago are not yet trusted by their stamps.
    standing.remember("made", shards, max(o.info.modified for o in standing.objects) + 60)


def measure(config: Path) -> list[float]:
    """Plan in a process of its own: seconds, MiB, objects, unread objects, shards known."""
    done = subprocess.run(
        [sys.executable, "-c", PLAN, str(config)], check=True, capture_output=True, text=True
    )
    figures: list[float] = json.loads(done.stdout)
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--new", type=int, default=100)
    asked = book.asked(parser)
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        folder = Path(name)
        scripted = {"path": "scripted:default", "engine": "scripted"}
        raw = {
            "recipe": {
                "corpus": {"paths": ["corpus"]},
                "models": {"backward": scripted, "forward": scripted},
            },
            "placement": {"root": "root", "runtime": "local"},
        }
        config = folder / "run.yaml"
        config.write_text(yaml.safe_dump(raw))
        write_objects(folder / "corpus", 0, asked.shards - asked.new)
        pipeline = Pipeline(load(config))
        write_root(pipeline)
        remember(pipeline)
        write_objects(folder / "corpus", asked.shards - asked.new, asked.new)
        with_checkpoint = measure(config)
        (folder / "root/checkpoints").rename(folder / "away")
        without = measure(config)
    for line, (seconds, mib, objects, unread, _) in (
        ("with the checkpoint", with_checkpoint),
        ("without it", without),
    ):
        print(
            f"{line:20} {seconds:6.1f} s {mib:6.0f} MiB"
            f"  ({objects:,.0f} objects, {unread:,.0f} of them new)"
        )
    ratio = without[0] / with_checkpoint[0]
    print(f"without / with: {ratio:.1f} in time, {without[1] / with_checkpoint[1]:.1f} in memory")
    what = f"{asked.new:,} new shards of {asked.shards:,} planned"
    book.record(
        asked,
        Figure(f"{what}: time", with_checkpoint[0], "s", at_most=10.0),
        Figure(f"{what}: memory", with_checkpoint[1], "MiB", at_most=500 / 1.048576),
        Figure("time without the checkpoint", ratio, "", "with it"),
    )


if __name__ == "__main__":
    main()
