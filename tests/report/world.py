"""A small run whose documents, URLs and instructions attack the page that shows them."""

import re
from pathlib import Path
from typing import Any

from backtrans.dialogue import Generate, Reply, Request
from backtrans.engines.scripted import default
from backtrans.pipeline import EVERY_STAGE, Pipeline
from backtrans.report.figures import Report
from backtrans.reporting import gather
from backtrans.snapshots import Snapshot, latest
from tests.jobs import Silent, config, document, write_corpus, write_jsonl

ATTACKS = (
    "<script>window.stung = 1</script>",
    '<img src=x onerror="window.stung = 2">',
    "</div></article></main><script>window.stung = 3</script>",
    "</script><script>window.stung = 4</script>",
    '<a href="javascript:window.stung = 5">here</a>',
    "<svg onload=window.stung=6><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %} &lt;b&gt; &amp;",
    '<iframe src="https://example.org/"></iframe><link rel=stylesheet href=//example.org/x>',
    "\u202eturned\u0000 and \x1b[31m red",
    '<meta http-equiv=refresh content="0;url=https://example.org/">',
)

HOSTS = ("one.org", "two.org", "three.org")

MARK = "stinging"
"""Stands in a document whose instruction is to be an attack too."""


def stung(request: Request, seed: int) -> Reply:
    """Answer as the default script does, but for instructions to attacking documents."""
    said = "\n".join(message.content for message in request.messages)
    if isinstance(request.want, Generate) and (found := re.search(rf"{MARK}-(\d+)", said)):
        return Reply(f"What is {ATTACKS[int(found[1])]} about?", "stop")
    return default(request, seed)


def attacking(number: int) -> dict[str, Any]:
    """Return a document of which all that can be shown is an attack."""
    attack = ATTACKS[number]
    made = document(5000 + number, words=60)
    return {
        **made,
        "id": f"bad-{number} {attack}",
        "text": f"{made['text']} {MARK}-{number} {attack} and the end of it {number}",
        "source": attack,
        "metadata": {"url": f"https://bad{number}.org/{attack}", "note": attack},
    }


def write(folder: Path) -> None:
    """Write ten documents, one of them too short, twelve of three hosts, and the attacking ones."""
    write_corpus(folder, files=1, each=10)
    made = [document(k) for k in range(100, 112)]
    for number, each in enumerate(made):
        each["metadata"] = {"url": f"https://www.{HOSTS[number % 3]}/{each['id']}"}
    write_jsonl(folder / "corpus/web.jsonl.gz", made)
    write_jsonl(folder / "corpus/bad.jsonl.gz", [attacking(k) for k in range(len(ATTACKS))])


def job(folder: Path, **changes: Any) -> Pipeline:
    """Return the job over such a corpus; its backward model is stung."""
    model = {"path": "scripted:tests.report.world:stung", "engine": "scripted"}
    return Pipeline(config(folder, recipe__models__backward=model, **changes))


def rewriting() -> dict[str, Any]:
    """Return what makes a job rewrite."""
    model = {"path": "scripted:default", "engine": "scripted"}
    return {"recipe__models__rewrite": model, "recipe__rewrite": {"enabled": True}}


def run(folder: Path, **changes: Any) -> Pipeline:
    """Write the corpus, run the job over it."""
    write(folder)
    pipeline = job(folder, **changes)
    pipeline.run(Silent())
    return pipeline


def snapshot_of(pipeline: Pipeline) -> Snapshot:
    """Return the latest snapshot of a job that has one."""
    found = latest(pipeline.ledger)
    assert found is not None
    return found


def reported(pipeline: Pipeline, snapshot: Snapshot | None = None, **asked: Any) -> Report:
    """Gather a report, of everything unless told otherwise."""
    does = {stage.name: stage.does for stage in EVERY_STAGE}
    asked = {"samples": 1000, "seed": 0, **asked}
    chosen = snapshot or snapshot_of(pipeline)
    return gather(pipeline.ledger, pipeline.journal, chosen, does, **asked)
