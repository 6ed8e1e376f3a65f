"""The driver's own process is killed: what was committed stays, and a rerun completes the rest."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backtrans.journal import Journal
from backtrans.ledger import Ledger
from backtrans.records import is_kept
from backtrans.runtime.attempts import DIED
from backtrans.runtime.local import LocalRuntime
from backtrans.store import Store, StoreSettings
from backtrans.work import RuntimeSettings
from tests.runtime.asking import PAIRS, SCORES, SELECT, ask_work, rows_of, segments, select
from tests.runtime.works import DEADLINE_SECONDS, Play

REPOSITORY = Path(__file__).resolve().parents[2]

DRIVER = """
import sys
from pathlib import Path
from backtrans.runtime.local import LocalRuntime
from backtrans.store import StoreSettings
from backtrans.work import Address, RuntimeSettings
from tests.chaos.diary import Diary, Strike, keep
from tests.runtime.asking import ask_work
from tests.runtime.works import Play, play
kind, folder, run, shards, commits = sys.argv[1:]
root = StoreSettings(folder + "/root")
if kind == "ask":
    strike = Strike("driver", "put_new", "commits/*", int(commits), "after")
    keep(Diary(Path(folder), (strike,)), "driver")
    work = ask_work(root, run)
    names = [f"shard-{n}" for n in range(int(shards))]
    addresses = [Address(name, name, "corpus.jsonl", n * 1000) for n, name in enumerate(names)]
    in_flight = 1  # so that no other shard commits beside the one that is struck
else:
    work = Play(Path(folder), company=("k0", "k1", "k2"))
    fates = play("hangs:1", "kills:always", "hangs:1", "well", "well")
    # As a pipeline does, ask only for what is not done.
    addresses = [a for a in fates if f"end {a.key}" not in work.remembered("log")]
    in_flight = 3
settings = RuntimeSettings(run, root, in_flight=in_flight, backoff_seconds=0.01)
for receipt in LocalRuntime().map(work, addresses, settings):
    assert receipt.outcome == "done" or receipt.address.key == "k1", receipt
"""


def drive(
    kind: str, folder: Path, run: str, shards: int = 0, commits: int = 0
) -> subprocess.Popen[bytes]:
    """Start a driver; one that asks kills itself right after so many commits."""
    command = [sys.executable, "-c", DRIVER, kind, str(folder), run, str(shards), str(commits)]
    return subprocess.Popen(command, cwd=REPOSITORY)


@pytest.mark.slow
@pytest.mark.parametrize("commits", [1, 4, 9])
def test_a_driver_killed_at_a_commit_is_rerun_and_no_row_is_lost_or_doubled(
    tmp_path: Path, commits: int
) -> None:
    shards = [segments(n, 20) for n in range(8)]
    root = StoreSettings(str(tmp_path / "root"))
    addresses = select(root, shards)
    driver = drive("ask", tmp_path, "run-1", len(shards), commits)
    assert driver.wait(DEADLINE_SECONDS) == -signal.SIGKILL

    ledger = Ledger(Store(root))
    before = {c.key: c for stage in ("backtranslate", "score") for c in ledger.commits(stage)}
    assert len(before) == commits
    settings = RuntimeSettings("run-2", root)
    made = sum(r.made for r in LocalRuntime().map(ask_work(root, "run-2"), addresses, settings))
    after = {c.key: c for stage in ("backtranslate", "score") for c in ledger.commits(stage)}
    assert made == len(after) - len(before)
    assert {key: after[key] for key in before} == before
    for address, rows in zip(addresses, shards, strict=True):
        kept = [row["id"] for row in rows if is_kept(row)]
        assert [r["id"] for r in rows_of(root, SELECT, address.shard) if is_kept(r)] == kept
        pairs = rows_of(root, PAIRS, address.shard)
        assert [row["id"] for row in pairs] == kept
        scores = rows_of(root, SCORES, address.shard)
        assert [row["id"] for row in scores] == [row["id"] for row in pairs if is_kept(row)]


@pytest.mark.slow
def test_a_row_that_kills_every_driver_is_given_up_when_the_run_is_started_again(
    tmp_path: Path,
) -> None:
    deaths = 0
    while (ended := drive("play", tmp_path, "run-1").wait(DEADLINE_SECONDS)) != 0:
        assert ended == -signal.SIGKILL
        deaths += 1
        assert deaths <= 3, "the run does not come to its end"
    assert deaths == 3
    given_up = Journal(Store(StoreSettings(str(tmp_path / "root")))).quarantined("run-1")
    assert [(record.key, record.error) for record in given_up] == [("k1", DIED)]
    played = Play(tmp_path)
    assert len(played.remembered("calls-k1")) == 3
    assert {line for line in played.remembered("log") if line.startswith("end")} == {
        f"end k{n}" for n in (0, 2, 3, 4)
    }
