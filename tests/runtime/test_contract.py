"""One behaviour over both runtimes: every address ends in one receipt, whatever befalls it."""

import os
import pickle
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backtrans.errors import BacktransError, CredentialsRefused, EngineDead, ModelError
from backtrans.journal import Journal
from backtrans.runtime import portions
from backtrans.runtime.attempts import DIED, MAX_OPENINGS
from backtrans.runtime.opening import open_runtime
from backtrans.store import Store, StoreSettings
from backtrans.work import Address, Receipt, Runtime, RuntimeSettings
from tests.runtime.works import DEADLINE_SECONDS, Play, play

RAY = pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])
Carry = Callable[..., dict[str, Receipt]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Start Ray once, with a pretended GPU; the runtimes find it there and leave it."""
    import ray

    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="WARNING",
        _node_ip_address="127.0.0.1",
        _system_config={"worker_niceness": 0},
    )
    yield
    assert ray.is_initialized(), "a runtime shut down a cluster that it had not started"
    ray.shutdown()


@pytest.fixture(params=["local", RAY])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return str(request.param)


@pytest.fixture
def runtime(kind: str) -> Runtime:
    return open_runtime(kind)  # type: ignore[arg-type]


def settings_in(folder: Path, **changes: object) -> RuntimeSettings:
    values = {"max_attempts": 3, "in_flight": 3, "backoff_seconds": 0.01} | changes
    return RuntimeSettings("run-1", StoreSettings(str(folder / "root")), **values)  # type: ignore[arg-type]


@pytest.fixture
def settings(tmp_path: Path) -> RuntimeSettings:
    return settings_in(tmp_path)


@pytest.fixture
def carry(runtime: Runtime, settings: RuntimeSettings) -> Carry:
    """Map to the end and return the receipts by key, having seen that there is one an address."""

    def carried(
        work: Play, addresses: list[Address], settings: RuntimeSettings = settings
    ) -> dict[str, Receipt]:
        receipts = list(runtime.map(work, addresses, settings))
        assert sorted(r.address.key for r in receipts) == sorted(a.key for a in addresses)
        return {receipt.address.key: receipt for receipt in receipts}

    return carried


def quarantined(settings: RuntimeSettings) -> dict[str, str]:
    found = Journal(Store(settings.store)).quarantined(settings.run)
    return {record.key: record.error for record in found}


def test_each_address_ends_in_one_receipt_that_carries_its_commits(
    carry: Carry, tmp_path: Path, settings: RuntimeSettings
) -> None:
    addresses = play(*["well"] * 12)
    receipts = carry(Play(tmp_path), addresses)
    for address in addresses:
        receipt = receipts[address.key]
        assert receipt.address == address
        assert (receipt.outcome, receipt.attempts, receipt.made) == ("done", 1, 1)
        assert [commit.shard for commit in receipt.commits] == [address.shard]
        assert receipt.commits[0].counts.rows_in == 1
    assert quarantined(settings) == {}


def test_a_run_that_is_stopped_begins_nothing_where_its_settings_say_that_it_may_be(
    carry: Carry, tmp_path: Path, settings: RuntimeSettings
) -> None:
    Journal(Store(settings.store)).stop(settings.run)
    work = Play(tmp_path)
    left = carry(work, play(*["well"] * 5), settings_in(tmp_path, stoppable=True))
    assert {(r.outcome, r.commits) for r in left.values()} == {("left", ())}
    assert {r.outcome for r in carry(work, play("well")).values()} == {"done"}


def test_no_addresses_open_nothing(carry: Carry, tmp_path: Path) -> None:
    work = Play(tmp_path, opens="no_model")
    assert carry(work, []) == {}
    assert work.remembered("openings") == []


def test_a_worker_has_several_addresses_in_flight(carry: Carry, tmp_path: Path) -> None:
    # None of the three goes on before all have begun.
    receipts = carry(Play(tmp_path, company=("k0", "k1", "k2")), play("well", "well", "well"))
    assert {receipt.outcome for receipt in receipts.values()} == {"done"}


def test_an_address_that_raises_twice_is_done_at_the_third_attempt(
    carry: Carry, tmp_path: Path
) -> None:
    receipts = carry(Play(tmp_path), play("well", "raises:2", "well"))
    assert {key: r.outcome for key, r in receipts.items()} == dict.fromkeys(receipts, "done")
    assert [receipts[key].attempts for key in ("k0", "k1", "k2")] == [1, 3, 1]


def test_an_address_that_always_raises_is_quarantined_with_its_error_and_the_others_are_done(
    carry: Carry, tmp_path: Path, settings: RuntimeSettings
) -> None:
    work = Play(tmp_path)
    receipts = carry(work, play("well", "raises:always", "well", "well"))
    assert [receipts[f"k{n}"].outcome for n in range(4)] == ["done", "quarantined", "done", "done"]
    assert (receipts["k1"].error, receipts["k1"].attempts) == ("ValueError: k1 is bad", 3)
    assert quarantined(settings) == {"k1": "ValueError: k1 is bad"}
    assert len(work.remembered("calls-k1")) == 3


@pytest.mark.parametrize(
    ("opens", "error", "openings"),
    [("no_model", ModelError, 1), ("dead", EngineDead, MAX_OPENINGS)],
)
def test_work_that_does_not_open_stops_the_run_with_its_own_error(
    runtime: Runtime,
    tmp_path: Path,
    settings: RuntimeSettings,
    opens: str,
    error: type[BacktransError],
    openings: int,
) -> None:
    work = Play(tmp_path, opens=opens)  # type: ignore[arg-type]
    with pytest.raises(error, match=r"no such folder|out of memory"):
        list(runtime.map(work, play("well", "well"), settings))
    assert len(work.remembered("openings")) == openings
    assert quarantined(settings) == {}


def test_an_error_that_wants_more_than_a_message_is_still_told(
    runtime: Runtime, tmp_path: Path, settings: RuntimeSettings
) -> None:
    with pytest.raises((UnicodeDecodeError, BacktransError), match="an error of five arguments"):
        list(runtime.map(Play(tmp_path, opens="odd"), play("well"), settings))


def test_refused_credentials_stop_the_run_and_no_shard_is_given_up(
    runtime: Runtime, tmp_path: Path, settings: RuntimeSettings
) -> None:
    with pytest.raises(CredentialsRefused, match="k1 was refused"):
        list(runtime.map(Play(tmp_path), play("well", "refused:always", "well"), settings))
    journal = Journal(Store(settings.store))
    assert journal.quarantined(settings.run) == []
    assert not journal.attempted(settings.run, f"{Play(tmp_path).name}.done", "k1")


def test_a_model_found_wrong_in_the_middle_stops_the_run(
    runtime: Runtime, tmp_path: Path, settings: RuntimeSettings
) -> None:
    with pytest.raises(ModelError, match="k1 has found the model wrong"):
        list(runtime.map(Play(tmp_path), play("well", "stops:always", "well"), settings))


RAY_MARKS = [pytest.mark.ray, pytest.mark.slow]
# A kill ends the local runtime's own process: see test_driver_death.
with_each_death = pytest.mark.parametrize(
    ("kind", "fate"),
    [
        ("local", "dies"),
        pytest.param("ray", "dies", marks=RAY_MARKS),
        pytest.param("ray", "kills", marks=RAY_MARKS),
    ],
    indirect=["kind"],
)


@with_each_death
def test_a_death_in_the_middle_loses_nothing(fate: str, carry: Carry, tmp_path: Path) -> None:
    work = Play(tmp_path, company=("k0", "k1", "k2"))
    receipts = carry(work, play("hangs:1", f"{fate}:1", "hangs:1", *["well"] * 6))
    assert {key: r.outcome for key, r in receipts.items()} == dict.fromkeys(receipts, "done")
    assert [receipts[f"k{n}"].attempts for n in range(4)] == [2, 2, 2, 1]
    assert len(work.remembered("openings")) == 2


@pytest.mark.parametrize("max_attempts", [1, 3])
@with_each_death
def test_a_poison_address_is_condemned_alone_and_those_beside_it_are_done(
    kind: str, fate: str, max_attempts: int, carry: Carry, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, max_attempts=max_attempts)
    work = Play(tmp_path, company=("k0", "k1", "k2"))
    addresses = play("hangs:1", f"{fate}:always", "hangs:1", *["well"] * 6)
    receipts = carry(work, addresses, settings)
    done = {key: r.outcome for key, r in receipts.items() if key != "k1"}
    assert done == dict.fromkeys(done, "done")
    assert receipts["k1"].outcome == "quarantined"
    assert ("fell over" if kind == "local" else DIED) in receipts["k1"].error
    assert quarantined(settings) == {"k1": receipts["k1"].error}
    # One death in company, which proves nothing, and at least one alone, which does.
    assert len(work.remembered("calls-k1")) == max(2, max_attempts)
    assert_nothing_begins_beside(work, {"k0", "k1", "k2"})


def assert_nothing_begins_beside(work: Play, suspects: set[str]) -> None:
    """See that second attempts at suspects overlap with nothing that comes to its end."""
    begun: set[str] = set()
    retried: str | None = None
    for line in work.remembered("log"):
        verb, key = line.split()
        if verb == "begin":
            assert retried is None, f"{key} began beside {retried}"
            if key in begun and key in suspects:
                retried = key if key != "k1" else None
            begun.add(key)
        elif key == retried:
            retried = None


def test_several_poison_addresses_are_each_condemned(
    kind: str, carry: Carry, tmp_path: Path
) -> None:
    settings = settings_in(tmp_path, max_attempts=2)
    fate = "dies:always" if kind == "local" else "kills:always"
    receipts = carry(Play(tmp_path), play(fate, "well", fate, "well", "well"), settings)
    outcomes = {key: receipt.outcome for key, receipt in receipts.items()}
    assert [outcomes[f"k{n}"] for n in range(5)] == [
        "quarantined",
        "done",
        "quarantined",
        "done",
        "done",
    ]


@with_each_death
def test_in_large_portions_too_each_address_ends_in_one_receipt_whatever_befalls_its_neighbours(
    kind: str, fate: str, carry: Carry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portions, "MOST", 1)
    settings = settings_in(tmp_path, in_flight=2)
    fates = ["well"] * 40
    fates[4], fates[5], fates[17] = "raises:always", f"{fate}:1", f"{fate}:always"
    addresses = play(*fates)
    assert len(portions.portions(addresses, settings)[0]) > 5
    work = Play(tmp_path)
    receipts = carry(work, addresses, settings)
    given_up = {key for key, receipt in receipts.items() if receipt.outcome == "quarantined"}
    assert given_up == {"k4", "k17"} == set(quarantined(settings))
    assert {(r.outcome, len(r.commits)) for k, r in receipts.items() if k not in given_up} == {
        ("done", 1)
    }
    # Where nothing died any more, nothing was delivered again.
    assert all(len(work.remembered(f"calls-k{n}")) == 1 for n in range(30, 40))


def test_closing_the_iterator_early_leaves_no_process_behind(
    runtime: Runtime, tmp_path: Path, settings: RuntimeSettings
) -> None:
    work = Play(tmp_path)
    receipts = runtime.map(work, play("well", *["sleeps"] * 5), settings)
    assert next(receipts).address.key == "k0"
    receipts.close()  # type: ignore[attr-defined]
    workers = {int(pid) for pid in work.remembered("openings")} - {os.getpid()}
    assert workers or work.remembered("closings") == [str(os.getpid())]
    end = time.monotonic() + DEADLINE_SECONDS
    while alive := [pid for pid in workers if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < end, f"{alive} outlive the iterator"
        time.sleep(0.05)


def test_a_work_travels_without_the_environments_secrets(
    runtime: Runtime, tmp_path: Path, settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-4711")
    work = Play(tmp_path)
    assert b"canary-4711" not in pickle.dumps((runtime, work, settings))
    assert pickle.loads(pickle.dumps((work, settings))) == (work, settings)
