"""Near-deduplication: segments a second on one core, beside others; memory; and what it finds.

    python -m bench.dedup [--documents 20000]

The segments are selected beforehand. Then each step is mapped over its addresses as a run does it
(spread, match, decide), in a process of its own with a local root, and its CPU seconds are counted,
writing and reading of objects and all. Beside it, over the same texts in one process: datatrove's
signature of a text and rensa's own call for each text, which are its first step alone. The driver's
memory is that of a process which has Ray do the work. The curve is over pairs of which some words
differ, by their true similarity.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml

from backtrans.config import load
from backtrans.corpus.similarity import Sketcher, words
from backtrans.pipeline import Pipeline
from backtrans.runtime.opening import open_runtime
from bench import book
from bench.book import Figure
from bench.copies import Writer, curve

SHARD_ROWS = 200
FILE_DOCUMENTS = 5000

# ------------------------------------------------------------------ the job's steps


def write_corpus(folder: Path, documents: int) -> None:
    """Write Dolma files."""
    folder.mkdir()
    texts = enumerate(Writer(documents).texts(documents))
    for first in range(0, documents, FILE_DOCUMENTS):
        lines = [
            json.dumps({"id": f"d{number}", "text": text})
            for number, text in (next(texts) for _ in range(min(FILE_DOCUMENTS, documents - first)))
        ]
        (folder / f"part-{first // FILE_DOCUMENTS:05d}.jsonl").write_text("\n".join(lines))


def write_config(folder: Path, corpus: str) -> Path:
    """Write a configuration over a corpus, with a root of its own."""
    scripted = {"path": "scripted:default", "engine": "scripted"}
    raw = {
        "recipe": {
            "corpus": {"paths": [corpus], "shard_rows": SHARD_ROWS},
            "models": {"backward": scripted, "forward": scripted},
        },
        "placement": {"root": f"root-{corpus}", "runtime": "local"},
    }
    path = folder / f"{corpus}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def select(config: Path) -> None:
    """Select from all objects."""
    pipeline = Pipeline(load(config))
    standing = pipeline.standing()
    work = pipeline.works.select_work("bench", pipeline.works.retry(), standing.withdrawn)
    settings = pipeline.works.runtime_settings("bench", pipeline.config.placement.readers)
    objects = [standing.whole(found) for found in standing.objects]
    with open_runtime("local") as runtime:
        for receipt in runtime.map(work, objects, settings):
            assert receipt.outcome == "done", receipt.error


def deduplicate(config: Path, kind: str) -> dict[str, float]:
    """Deduplicate what is selected; return CPU seconds a step, rows, copies and peak MiB."""
    pipeline = Pipeline(load(config))
    standing = pipeline.standing()
    shards, _ = standing.shards()
    settings = pipeline.works.runtime_settings("bench", pipeline.config.placement.readers)
    cpu: Counter[str] = Counter()
    with open_runtime("ray" if kind == "ray" else "local") as runtime:
        for work, addresses in pipeline.deduplication.phases("bench", standing, shards):
            began = time.process_time()
            for receipt in runtime.map(work, addresses, settings):
                assert receipt.outcome == "done", receipt.error
                standing.committed.add(receipt.commits)
            cpu[work.name] += time.process_time() - began
    table = standing.table("deduplicate", shards)
    rows, kept = (sum(table[name].to_pylist()) for name in ("rows_in", "kept"))
    # Not ru_maxrss, which a child inherits from the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines)
    mib = int(status["VmHWM"].split()[0]) / 1024
    return {**cpu, "rows": rows, "copies": rows - kept, "mib": mib, "shards": len(shards)}


def apart(step: str, config: Path) -> dict[str, float]:
    """Do a step in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.dedup", "--step", step, "--config", str(config)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


# ------------------------------------------------------------------ others


def by_datatrove() -> Callable[[str], object]:
    """Return datatrove's signature of a text, over words split by a regular expression."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Words(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return words(text)

        def sent_tokenize(self, text: str) -> list[str]:
            raise NotImplementedError

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            raise NotImplementedError

    with tempfile.TemporaryDirectory() as folder:
        step = MinhashDedupSignature(folder, MinhashConfig(), language=Words())
    return lambda text: step.get_signature(step.get_shingles(text))


def by_rensa() -> Callable[[str], object]:
    """Return rensa's digest of a text, over shingles that are joined words."""
    from rensa import RMinHash

    def digest(text: str) -> object:
        found = words(text)
        made = RMinHash(num_perm=112, seed=1)
        made.update([" ".join(found[k : k + 5]) for k in range(len(found) - 4)])
        return made.digest()

    return digest


def a_second(call: Callable[[str], object], texts: list[str]) -> float:
    """Return how many texts a call does in a CPU second."""
    began = time.process_time()
    for text in texts:
        call(text)
    return len(texts) / (time.process_time() - began)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--step", choices=["select", "local", "ray"], help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    asked = book.asked(parser)
    if asked.step == "select":
        select(asked.config)
        print("{}")
        return
    if asked.step:
        print(json.dumps(deduplicate(asked.config, asked.step)))
        return
    with tempfile.TemporaryDirectory(prefix="backtrans-bench-") as name:
        folder = Path(name)
        measured: dict[tuple[str, int], dict[str, float]] = {}
        for kind, documents in (
            ("local", asked.documents),
            ("ray", asked.documents // 5),
            ("ray", 2 * asked.documents),
        ):
            write_corpus(folder / f"{kind}-{documents}", documents)
            config = write_config(folder, f"{kind}-{documents}")
            apart("select", config)
            measured[kind, documents] = apart(kind, config)
    texts = list(Writer(asked.documents).texts(2000))
    ours = measured["local", asked.documents]
    steps = {step: spent for step, spent in ours.items() if step.startswith("deduplicate")}
    for step, spent in steps.items():
        print(f"{step:24} {spent / ours['rows'] * 1e6:7.1f} CPU microseconds a segment")
    rate = ours["rows"] / sum(steps.values())
    characters = sum(map(len, texts)) / len(texts)
    print(
        f"end to end: {rate:,.0f} segments of {characters:,.0f} characters a CPU second"
        f" ({ours['rows']:,.0f} segments, {ours['copies']:,.0f} copies, {ours['mib']:,.0f} MiB)"
    )
    sketcher = Sketcher()
    sketcher.sketched(texts)
    sketched = a_second(lambda _: sketcher.sketched(texts), texts[:5]) * len(texts)
    print(f"the sketches alone: {sketched:,.0f} a CPU second")
    others = {"datatrove's signature": by_datatrove(), "rensa, a text a call": by_rensa()}
    figures = [Figure("segments end to end", rate, "segments/CPU s", at_least=5000.0)]
    for who, call in others.items():
        theirs = a_second(call, texts)
        figures.append(Figure("end to end", rate / theirs, "", f"{who} alone"))
        ratio = f"end to end / this: {rate / theirs:.1f}, sketches / this: {sketched / theirs:.1f}"
        print(f"{who:24} {theirs:7,.0f} a CPU second; {ratio}")
    small, large = (measured["ray", n] for n in (asked.documents // 5, 2 * asked.documents))
    print(
        f"the driver: {small['mib']:,.0f} MiB over {small['shards']:,.0f} shards,"
        f" {large['mib']:,.0f} MiB over {large['shards']:,.0f}: {large['mib'] / small['mib']:.2f}"
    )
    figures.append(
        Figure(
            "the driver's memory over ten times the shards",
            large["mib"] / small["mib"],
            "",
            "over the fewer",
        )
    )
    found = curve(2800, (0.7, 0.8))
    print("pairs found, by their true similarity (from the figure on, below the next):")
    for low in sorted(found[0.7]["bins"]):
        shown = [f"{each['bins'][low][0]:6.1%}" for each in found.values()]
        print(f"  {low:4.2f}  {'  '.join(shown)}  of {found[0.7]['bins'][low][1]:,}")
    for threshold, each in found.items():
        said = f"precision {each['precision']:.4f}, recall over 0.8 {each['recall']:.4f}"
        print(f"threshold {threshold}: {said}")
        of = f"copies found at a threshold of {threshold}"
        precision = 100 * each["precision"]
        figures.append(Figure(f"{of}: precision", precision, "%", at_least=99.0))
        figures.append(Figure(f"{of}: recall of those of 0.8 and more", 100 * each["recall"], "%"))
    book.record(asked, *figures)


if __name__ == "__main__":
    main()
