"""A root with selected segments, and the work that asks about them: shared by tests of asking."""

from collections.abc import Sequence

from backtrans.dialogue import Generate
from backtrans.engines.engine import EngineSettings
from backtrans.engines.scripted import IMPROBABLE, REFUSE, SILENT, UNFINISHED
from backtrans.ledger import Commit, Ledger, stage_key
from backtrans.records import SEGMENT, Counts, Reject, Row, rejected, table
from backtrans.role_stages import RoleStage
from backtrans.roles.backtranslate import Backtranslate
from backtrans.roles.role import Role
from backtrans.roles.score import Score
from backtrans.stages.ask import AskWork
from backtrans.store import Store, StoreSettings
from backtrans.upstream import Upstream
from backtrans.work import Address

SELECT = Upstream("select", "select-1")
PAIRS = Upstream("backtranslate", "backtranslate-1")
SCORES = Upstream("score", "score-1")
ENDS = {SILENT: "instruction_empty", UNFINISHED: "instruction_unfinished", REFUSE: "refused"}
"""What the backward role makes of a marker in a text."""


def segments(shard: int, rows: int) -> list[Row]:
    """Return rows of one shard: every ninth was refused, some carry a marker."""
    made = []
    for n in range(rows):
        words = f"Chapter {n} of volume {shard} tells how rivers shape their valleys."
        marker = {3: SILENT, 5: UNFINISHED, 6: REFUSE, 7: IMPROBABLE}.get(n % 11, "")
        row: Row = {"id": f"{shard}-{n}", "text": f"{words} {marker}".strip(), "row": n}
        made.append(rejected(row, Reject("too_short")) if n % 9 == 8 else row)
    return made


def select(root: StoreSettings, shards: Sequence[list[Row]]) -> list[Address]:
    """Commit shards as the selecting stage does, and return their addresses."""
    ledger = Ledger(Store(root))
    addresses = []
    for n, rows in enumerate(shards):
        shard, part = f"shard-{n}", table(rows, SEGMENT)
        key = stage_key(SELECT.stage, SELECT.key_fingerprint, shard)
        name = ledger.part_key("select", key, "one")
        counts = Counts.of(len(rows), part)
        place = (shard, "corpus.jsonl", n * 1000)
        ledger.commit(Commit("select", key, *place, name, counts, attempt="one"), part)
        addresses.append(Address(f"shard-{n}", shard, "corpus.jsonl", n * 1000))
    return addresses


def role_stages(backward: Role | None = None, forward: Role | None = None) -> tuple[RoleStage, ...]:
    pairs = backward or Backtranslate(Generate(max_tokens=64, temperature=1.0))
    scores = forward or Score(signals=("likelihood", "pmi"))
    return (
        RoleStage(PAIRS.stage, pairs, PAIRS.key_fingerprint, (SELECT,), "M_yx"),
        RoleStage(SCORES.stage, scores, SCORES.key_fingerprint, (PAIRS, SELECT), "M_0"),
    )


def ask_work(root: StoreSettings, run: str = "run-1", model: str = "scripted:default") -> AskWork:
    return AskWork(root, EngineSettings("scripted", model), role_stages(), run)


def rows_of(root: StoreSettings, stage: Upstream, shard: str) -> list[Row]:
    """Return the rows that a stage committed for a shard."""
    ledger = Ledger(Store(root))
    commit = ledger.commit_of(stage.stage, stage_key(stage.stage, stage.key_fingerprint, shard))
    assert commit is not None, f"{stage.stage} of {shard} is not committed"
    rows: list[Row] = ledger.read_part(commit).to_pylist()
    return rows
