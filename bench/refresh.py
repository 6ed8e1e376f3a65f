"""A refresh with nothing new against the full run, and the driver's memory over ten times a corpus.

    python -m bench.refresh [--documents 4000]

Each run is `backtrans run`'s own pipeline on the scripted engine (instant answers, so the full run
is as short as it can be, which is the hardest case for the ratio), in a process of its own. The
driver is the process that plans, hears receipts and publishes; rows pass through Ray's others.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from bench import book
from bench.book import Figure

RUN = """
import json, sys, time
from pathlib import Path
from backtrans.config import load
from backtrans.pipeline import Pipeline
from backtrans.progress import Shown
from rich.console import Console
began = time.monotonic()
summary = Pipeline(load(Path(sys.argv[1]))).run(Shown(Console(stderr=True)))
seconds = time.monotonic() - began
# Not ru_maxrss, which a child inherits from the one that started it.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak_mib = int(status["VmHWM"].split()[0]) / 1024
print(json.dumps([seconds, peak_mib, sum(summary.made.values()), summary.snapshot.rows["A4"]]))
"""

FILE_DOCUMENTS = 500


def write_corpus(folder: Path, documents: int) -> None:
    """Write Dolma files of documents of about 1,500 characters, none like another."""
    folder.mkdir()
    for first in range(0, documents, FILE_DOCUMENTS):
        lines = []
        for number in range(first, min(first + FILE_DOCUMENTS, documents)):
            words = " ".join(f"w{(number * 7919 + k * k) % 99991}" for k in range(250))
            lines.append(json.dumps({"id": f"d{number}", "text": words}))
        path = folder / f"part-{first // FILE_DOCUMENTS:05d}.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(lines).encode(), mtime=0))


def write_config(folder: Path, name: str, corpus: str) -> Path:
    """Write a configuration over a corpus, with a root of its own."""
    scripted = {"path": "scripted:default", "engine": "scripted"}
    raw = {
        "recipe": {
            "corpus": {"paths": [corpus], "shard_rows": 100},
            "models": {"backward": scripted, "forward": scripted},
            "curate": {"a4": 1.0, "a5": 3.2},
        },
        "placement": {"root": f"root-{name}", "runtime": "ray"},
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def run(config: Path) -> list[float]:
    """Run in a process of its own: seconds, peak MiB of the driver, commits made, rows of A4."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(config)], check=True, stdout=subprocess.PIPE, text=True
    )
    figures: list[float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=4000)
    asked = book.asked(parser)
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        folder = Path(name)
        write_corpus(folder / "small", asked.documents)
        write_corpus(folder / "large", 10 * asked.documents)
        small = run(write_config(folder, "small", "small"))
        large = run(write_config(folder, "large", "large"))
        again = run(folder / "large.yaml")
    for line, (seconds, mib, made, rows) in (
        (f"{asked.documents:,} documents", small),
        (f"{10 * asked.documents:,} documents", large),
        ("the latter again, nothing new", again),
    ):
        print(f"{line:32} {seconds:7.1f} s {mib:6.0f} MiB {made:7,.0f} commits {rows:8,.0f} in A4")
    print(f"nothing new / full run: {again[0] / large[0]:.2%} of the time")
    print(f"ten times the corpus: {large[1] / small[1]:.2f} times the driver's peak memory")
    share, memory = 100 * again[0] / large[0], large[1] / small[1]
    book.record(
        asked,
        Figure("time with nothing new", share, "%", "the full run", at_most=2.0),
        Figure("the driver's peak memory", memory, "", "a tenth of the corpus", at_most=1.1),
    )


if __name__ == "__main__":
    main()
