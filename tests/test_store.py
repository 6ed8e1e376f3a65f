"""One behaviour suite over both stores, and what each of them promises alone."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtrans.errors import InputError, KeyMissing, StoreError
from backtrans.objects import checked_key
from backtrans.store import (
    ObjectInfo,
    Store,
    StoreSettings,
    content_fingerprint,
    list_inputs,
    open_input,
)
from tests.faults import LOST, Answer, Seen, between
from tests.stores import call_s3

CANARY = "canary7Secret7Canary"


def keys(store: Store, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


# ---------------------------------------------------------------- the suite: a folder and a bucket


@pytest.mark.parametrize(
    "data", [b"", b"\x00\xff\r\n", b"x" * 300_000], ids=["empty", "odd", "big"]
)
def test_what_was_put_is_got_back_byte_for_byte(store: Store, data: bytes) -> None:
    store.put("a/b.bin", data)
    assert store.get("a/b.bin") == data
    assert store.exists("a/b.bin")
    assert [(i.key, i.size_bytes) for i in store.list()] == [("a/b.bin", len(data))]


def test_a_put_replaces_what_was_there(store: Store) -> None:
    store.put("k", b"first, and longer")
    store.put("k", b"second")
    assert store.get("k") == b"second"


def test_what_is_not_there_is_missing_and_not_empty(store: Store) -> None:
    store.put("a/b", b"x")
    for absent in ("nothing", "a", "a/b/c", "a/bb"):
        assert not store.exists(absent)
        with pytest.raises(KeyMissing, match=absent):
            store.get(absent)


def test_a_delete_removes_and_may_come_twice(store: Store) -> None:
    store.put("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    store.delete("never/was")
    assert not store.exists("a/b")
    assert keys(store) == []


def test_a_taken_key_keeps_its_first_bytes(store: Store) -> None:
    assert store.put_new("k", b"first")
    assert not store.put_new("k", b"second")
    assert not store.put_new("k", b"first")
    assert store.get("k") == b"first"


def test_a_deleted_key_is_free_again(store: Store) -> None:
    assert store.put_new("k", b"1")
    store.delete("k")
    assert store.put_new("k", b"2")


def test_a_prefix_is_not_a_folder_and_the_order_is_that_of_the_keys(store: Store) -> None:
    put = ["a", "b/1", "b/10", "b/2", "b-c/1", "b.json", "b0", "bé/1", "c d/e+f.x", "commits/s/k"]
    for key in put:
        store.put(key, b"x")
    assert keys(store) == sorted(put)
    assert keys(store, "b") == [k for k in sorted(put) if k.startswith("b")]
    assert keys(store, "b/1") == ["b/1", "b/10"]
    assert keys(store, "b/") == ["b/1", "b/10", "b/2"]
    assert keys(store, "c d/e") == ["c d/e+f.x"]
    assert keys(store, "commits/s/") == ["commits/s/k"]
    assert keys(store, "nothing/") == keys(store, "a/") == keys(store, "b/1/x") == []


def test_a_listing_sees_what_another_store_wrote(store: Store) -> None:
    other = pickle.loads(pickle.dumps(store))
    assert keys(store) == []
    other.put("k", b"1")
    assert keys(store) == ["k"]
    other.delete("k")
    assert keys(store) == []
    assert not store.exists("k")


def test_many_threads_race_for_a_key_and_one_wins(store: Store) -> None:
    threads, rounds = 8, 20
    gate = threading.Barrier(threads)

    def race(me: int) -> list[bool]:
        won = []
        for turn in range(rounds):
            gate.wait(60)
            won.append(store.put_new(f"race/{turn}", str(me).encode()))
        return won

    with ThreadPoolExecutor(threads) as pool:
        outcomes = list(pool.map(race, range(threads)))
    for turn, won in enumerate(zip(*outcomes, strict=True)):
        assert sum(won) == 1
        assert store.get(f"race/{turn}") == str(won.index(True)).encode()
    assert list(store.leftovers()) == []


RACER = """
import pickle, sys, time
from backtrans.store import Store
store = Store(pickle.loads(bytes.fromhex(sys.argv[1])))
me, deadline = sys.argv[2], time.monotonic() + 90
store.put("ready/" + me, b"")
while len(list(store.list("ready/"))) < int(sys.argv[3]):
    assert time.monotonic() < deadline, "the others never came"
print(*[turn for turn in range(25) if store.put_new(f"race/{turn}", me.encode())])
"""


@pytest.mark.slow
def test_many_processes_race_for_a_key_and_one_wins(store: Store) -> None:
    settings = pickle.dumps(store.settings).hex()
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, settings, str(me), "4"], stdout=subprocess.PIPE, text=True
        )
        for me in range(4)
    ]
    won = [sorted(map(int, racer.communicate(timeout=120)[0].split())) for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert sorted(turn for mine in won for turn in mine) == list(range(25))
    for me, mine in enumerate(won):
        assert all(store.get(f"race/{turn}") == str(me).encode() for turn in mine)


def test_a_store_serves_calls_from_within_a_running_event_loop(store: Store) -> None:
    async def inside() -> list[bytes]:
        store.put("direct", b"1")
        await asyncio.to_thread(store.put, "thread", b"2")
        return [store.get(key) for key in keys(store)]

    assert asyncio.run(inside()) == [b"1", b"2"]
    assert asyncio.run(inside()) == [b"1", b"2"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_a_connection_of_its_own(store: Store) -> None:
    store.put("parent", b"1")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.put("child", store.get("parent") + b"2")
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    began = time.monotonic()
    assert store.get("child") == b"12"
    assert time.monotonic() - began < 10, "the child has closed the parent's connection"


def test_a_pickled_store_holds_no_secret_and_works(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that checks its users has put a real secret there.
    secret = os.environ.get("AWS_SECRET_ACCESS_KEY", CANARY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    fresh = Store(replace(store.settings, region="eu-west-1"))
    fresh.put("k", b"1")
    pickled = pickle.dumps(fresh)
    assert secret.encode() not in pickled
    assert secret not in repr(fresh)
    assert pickle.loads(pickled).get("k") == b"1"


@pytest.mark.parametrize(
    "key", ["", "/a", "a//b", "a/", "../a", "a/./b", "a/.tmp-1", ".tmp-x/a", "\0"]
)
def test_what_is_no_key_is_refused_and_named(store: Store, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.put(key, b""),
        lambda: store.put_new(key, b""),
        lambda: store.get(key),
        lambda: store.exists(key),
        lambda: store.url(key),
    ]
    for call in calls:
        with pytest.raises(StoreError) as refused:
            call()
        assert repr(key) in str(refused.value)


@pytest.mark.parametrize("prefix", ["../", "/", "a//", "a/../../b", "/etc/pass"])
def test_a_prefix_never_leaves_its_root(store: Store, prefix: str) -> None:
    with pytest.raises(StoreError, match="is not a key"):
        list(store.list(prefix))


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_key_that_is_taken_never_leaves_its_root(key: str) -> None:
    try:
        checked_key(key)
    except StoreError:
        return
    root = "/some/root"
    assert os.path.normpath(f"{root}/{key}") == f"{root}/{key}"


# ---------------------------------------------------------------- bad roots


def failures_of(store: Store) -> list[str]:
    """Return what every operation says; each must fail."""
    calls: list[Callable[[], object]] = [
        lambda: store.put("a/b", b"1"),
        lambda: store.put_new("a/b", b"1"),
        lambda: store.get("a/b"),
        lambda: store.exists("a/b"),
        lambda: store.delete("a/b"),
        lambda: list(store.list("a/")),
    ]
    said = []
    for call in calls:
        with pytest.raises(StoreError) as failed:
            call()
        assert not isinstance(failed.value, KeyMissing)
        said.append(str(failed.value))
    return said


def test_a_root_under_a_regular_file_fails_every_call_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for root in (tmp_path / "file" / "root", tmp_path / "file"):
        assert all(str(root) in said for said in failures_of(Store(StoreSettings(str(root)))))


def test_a_bucket_that_is_not_there_fails_every_call_and_is_named(
    s3_settings: StoreSettings,
) -> None:
    said = failures_of(Store(replace(s3_settings, root="s3://not-there/root")))
    assert all("s3://not-there/root/a/" in each and "NoSuchBucket" in each for each in said)


def test_denied_access_is_named_without_the_secret(
    s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with between(s3_settings, lambda _: Answer(403)) as (settings, _):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CANARY)
        for said in failures_of(Store(settings)):
            assert settings.root in said
            assert "403" in said
            assert CANARY not in said


@pytest.mark.parametrize("root", ["gs://bucket/root", "s3://", "hdfs://x"])
def test_a_root_that_no_backend_takes_is_refused_at_once(root: str) -> None:
    with pytest.raises(StoreError, match=root):
        Store(StoreSettings(root))


def test_an_endpoint_that_is_no_url_is_a_store_error(s3_settings: StoreSettings) -> None:
    with pytest.raises(StoreError, match=r"k: .*not a url"):
        Store(replace(s3_settings, endpoint_url="not a url")).get("k")


def test_settings_with_credentials_in_a_url_are_refused_unseen() -> None:
    for values in (
        {"root": f"s3://{CANARY}@b"},
        {"root": "r", "endpoint_url": f"https://a:{CANARY}@h"},
    ):
        with pytest.raises(StoreError, match="credentials") as refused:
            StoreSettings(**values)
        assert CANARY not in str(refused.value)


# ---------------------------------------------------------------- the folder alone


def test_a_writer_that_dies_half_way_leaves_no_object(tmp_path: Path) -> None:
    dying = (
        "import os, sys\n"
        "from backtrans.store import Store, StoreSettings\n"
        "os.fsync = lambda _: os._exit(9)\n"
        "Store(StoreSettings(sys.argv[1])).put('parts/a', b'half')\n"
    )
    store = Store(StoreSettings(str(tmp_path)))
    assert subprocess.run([sys.executable, "-c", dying, str(tmp_path)]).returncode == 9
    assert keys(store) == []
    assert not store.exists("parts/a")
    left = [info.key for info in store.leftovers()]
    assert len(left) == 1
    store.delete(left[0])
    assert list(store.leftovers()) == []


def test_a_failed_put_keeps_the_old_object_and_leaves_no_file(
    local_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(local_settings)
    store.put("k", b"old")

    def disk_full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", disk_full)
        for put in (store.put, store.put_new):
            with pytest.raises(StoreError, match=r"k: No space left"):
                put("k", b"new")
    assert store.get("k") == b"old"
    assert list(store.leftovers()) == []


def test_a_key_that_is_a_folder_is_an_error_and_not_taken(local_settings: StoreSettings) -> None:
    store = Store(local_settings)
    store.put("a/b", b"1")
    for key in ("a", "a/b/c"):
        for put in (store.put, store.put_new):
            with pytest.raises(StoreError, match=key):
                put(key, b"2")


def test_a_link_whose_answer_was_lost_still_wins(
    local_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_twice(source: Path, target: Path, **options: bool) -> None:
        link(source, target, **options)
        link(source, target, **options)

    monkeypatch.setattr(os, "link", link_twice)
    store = Store(local_settings)
    assert store.put_new("k", b"1")
    assert not store.put_new("k", b"2")


def test_a_prefix_is_listed_without_walking_the_rest(
    local_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(local_settings)
    for key in ("commits/select/1", "commits/select/deep/2", "commits/score/3", "parts/select/4"):
        store.put(key, b"")
    walked = []
    scandir = os.scandir

    def seen(path: Path) -> Any:
        walked.append(Path(path).relative_to(local_settings.root).as_posix())
        return scandir(path)

    with monkeypatch.context() as watched:
        watched.setattr(os, "scandir", seen)
        found = keys(store, "commits/select/")
    assert found == ["commits/select/1", "commits/select/deep/2"]
    assert walked == ["commits/select", "commits/select/deep"]


def test_a_walk_survives_files_and_folders_that_vanish(local_settings: StoreSettings) -> None:
    store = Store(local_settings)
    for number in range(5):
        store.put(f"a/{number}", b"")
        store.put(f"b{number}/x", b"")
    walk = store.list()
    assert next(walk).key == "a/0"
    for number in range(1, 5):
        store.delete(f"a/{number}")
    store.delete("b2/x")
    (Path(local_settings.root) / "b2").rmdir()
    assert [info.key for info in walk] == ["b0/x", "b1/x", "b3/x", "b4/x"]


# ---------------------------------------------------------------- the bucket alone


def is_put(seen: Seen, up_to: int | None = None) -> bool:
    return seen.method == "PUT" and (up_to is None or seen.nth <= up_to)


def test_a_put_new_whose_answer_was_lost_still_wins(s3_settings: StoreSettings) -> None:
    with between(s3_settings, lambda seen: LOST if is_put(seen, 1) else None) as (settings, _):
        store = Store(settings)
        assert store.put_new("k", b"mine")
        assert not store.put_new("k", b"mine")
    assert Store(s3_settings).get("k") == b"mine"


def test_a_conflict_with_a_put_in_flight_is_tried_again(s3_settings: StoreSettings) -> None:
    with between(s3_settings, lambda seen: 409 if is_put(seen, 3) else None) as (settings, _):
        assert Store(settings).put_new("k", b"1")
    assert Store(s3_settings).get("k") == b"1"


def test_conflicts_without_end_are_given_up_and_named(
    s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("backtrans.s3_failures.time.sleep", waited.append)
    with (
        between(s3_settings, lambda seen: 409 if is_put(seen) else None) as (settings, _),
        pytest.raises(StoreError, match=r"root/k: .*409"),
    ):
        Store(settings).put_new("k", b"1")
    assert len(waited) == 7
    assert 6.3 < sum(waited) < 12.8


def test_a_large_object_goes_up_in_several_requests(
    s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrans.store_s3.MULTIPART_BYTES", 12 * 2**20)
    data = os.urandom(13 * 2**20)
    with between(s3_settings, lambda _: None) as (settings, proxy):
        store = Store(settings)
        store.put("large", data)
        methods = [seen.method for seen in proxy.requests]
        assert methods.count("PUT") == 3
        assert methods.count("POST") == 2
    assert Store(s3_settings).get("large") == data


def test_a_listing_goes_on_after_its_first_page(
    s3_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtrans.store_s3.PAGE_KEYS", 20)
    store = Store(s3_settings)
    names = [f"{number:04d}" for number in range(41)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: store.put(name, b""), names))
    with between(s3_settings, lambda _: None) as (settings, proxy):
        assert keys(Store(settings)) == names
    assert [seen.method for seen in proxy.requests] == ["GET"] * 3


# ---------------------------------------------------------------- inputs


@pytest.fixture
def corpus(store: Store) -> Store:
    for key in ("c/a.jsonl", "c/b.jsonl", "c/deep/er/c.jsonl", "c/[x]*.jsonl", "d/one.txt"):
        store.put(key, key.encode())
    for beside in ("c/_SUCCESS", "c/.a.jsonl.crc", "c/_temporary/0/part"):
        store.put(beside, b"")
    return store


def found(store: Store, *patterns: str, written: str = "curated") -> list[str]:
    root = store.url("x")[:-1]
    there = replace(store.settings, root=f"{root}{written}")
    infos = list_inputs([p if "://" in p else root + p for p in patterns], there)
    return [info.key.removeprefix(root) for info in infos]


def test_inputs_are_found_by_name_glob_and_folder(corpus: Store) -> None:
    everything = ["c/[x]*.jsonl", "c/a.jsonl", "c/b.jsonl", "c/deep/er/c.jsonl"]
    assert found(corpus, "c/a.jsonl") == ["c/a.jsonl"]
    assert found(corpus, "c") == found(corpus, "c/") == everything
    assert found(corpus, "c/?.jsonl") == ["c/a.jsonl", "c/b.jsonl"]
    assert found(corpus, "c/*.jsonl") == everything[:3]
    assert found(corpus, "c/**/*.jsonl") == everything
    assert found(corpus, "c/de*") == ["c/deep/er/c.jsonl"]
    assert found(corpus, "?/deep", "d") == ["c/deep/er/c.jsonl", "d/one.txt"]


def test_what_lies_beside_the_data_is_an_input_only_where_it_is_spelt_out(corpus: Store) -> None:
    assert ".a.jsonl.crc" not in " ".join(found(corpus, "c/*"))
    assert found(corpus, "c/.a*") == found(corpus, "c/.a.jsonl.crc") == ["c/.a.jsonl.crc"]
    assert found(corpus, "c/_SUCCESS") == ["c/_SUCCESS"]


def test_links_lead_to_what_they_name_and_a_dangling_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    for name in ("a.jsonl", "sub/b.jsonl"):
        (tmp_path / "data" / name).write_bytes(b"{}")
    (tmp_path / "c/a.jsonl").symlink_to(tmp_path / "data/a.jsonl")
    (tmp_path / "c/sub").symlink_to(tmp_path / "data/sub")
    there = StoreSettings(root=str(tmp_path / "out"))

    def names(pattern: str) -> list[str]:
        found = list_inputs([str(tmp_path / pattern)], there)
        return [info.key.removeprefix(f"{tmp_path}/") for info in found]

    assert names("c/a*") == ["c/a.jsonl"]
    assert names("c/*") == ["c/a.jsonl", "c/sub/b.jsonl"]
    with pytest.raises(InputError, match="c/sub: a link to a folder, below a folder"):
        names("c")
    (tmp_path / "c/sub").unlink()
    assert names("c") == ["c/a.jsonl"]
    (tmp_path / "c/gone.jsonl").symlink_to(tmp_path / "data/gone.jsonl")
    with pytest.raises(InputError, match=r"gone\.jsonl: .*dangling"):
        names("c")


def test_a_name_that_is_not_utf8_is_an_input_error(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / name).write_bytes(b"{}")
    with pytest.raises(InputError, match="its name is not UTF-8"):
        list_inputs([str(tmp_path / "c")], StoreSettings(root=str(tmp_path / "out")))


def test_what_a_run_wrote_is_no_input_of_the_next_one(corpus: Store) -> None:
    corpus.put("c/out/parts/select/1.jsonl", b"{}")
    everything = ["c/[x]*.jsonl", "c/a.jsonl", "c/b.jsonl", "c/deep/er/c.jsonl"]
    assert "c/out/parts/select/1.jsonl" in found(corpus, "c")
    for pattern in ("c", "c/", "c/*", "c/**", "c/**/*.jsonl"):
        assert found(corpus, pattern, written="c/out") == everything
    named = "c/out/parts/select"  # to be read on purpose: the splits of an earlier job, say
    assert found(corpus, named, written="c/out") == [f"{named}/1.jsonl"]
    for pattern in ("c", "c/*", "c/**", "c/out"):
        with pytest.raises(InputError, match="give the root a folder of its own"):
            found(corpus, pattern, written="c" if pattern != "c/out" else "c/out")


def test_a_name_with_wildcards_in_it_stands_for_itself(corpus: Store) -> None:
    assert found(corpus, "c/[x]*.jsonl") == ["c/[x]*.jsonl"]


def test_an_input_named_twice_comes_once_and_all_are_sorted(corpus: Store) -> None:
    assert found(corpus, "d/*", "c/b.jsonl", "c/?.jsonl", "c/b.jsonl") == [
        "c/a.jsonl",
        "c/b.jsonl",
        "d/one.txt",
    ]


@pytest.mark.parametrize("pattern", ["c/none.jsonl", "c/*.parquet", "nowhere/", "nowhere/**", "e"])
def test_a_pattern_that_matches_nothing_is_named(corpus: Store, pattern: str) -> None:
    corpus.put("e/_SUCCESS", b"")  # a folder without data
    with pytest.raises(InputError) as missing:
        found(corpus, "c/a.jsonl", pattern)
    assert pattern.rstrip("/") in str(missing.value)


def test_an_input_opens_seekable_and_reads_what_was_put(corpus: Store) -> None:
    (info,) = list_inputs([corpus.url("c/a.jsonl")], corpus.settings)
    assert info.size_bytes == len(b"c/a.jsonl")
    assert info.modified > 1_600_000_000
    with open_input(info.key, corpus.settings) as opened:
        opened.seek(-5, os.SEEK_END)
        assert opened.read() == b"jsonl"
        opened.seek(2)
        assert opened.read(1) == b"a"


def test_a_missing_input_is_named_and_a_folder_is_none(corpus: Store) -> None:
    for name in ("c/gone.jsonl", "c/deep"):
        with pytest.raises(InputError, match=name):
            open_input(corpus.url(name), corpus.settings)


def test_the_same_content_has_one_fingerprint_under_any_name(store: Store) -> None:
    store.put("a", b"same")
    store.put("b", b"same")
    store.put("c", b"more")
    infos = list_inputs([store.url(name) for name in "abc"], store.settings)
    a, b, c = (content_fingerprint(info, store.settings) for info in infos)
    assert a == b != c
    store.put("a", b"else")
    (changed,) = list_inputs([store.url("a")], store.settings)
    assert content_fingerprint(changed, store.settings) not in (a, c)


def test_a_missing_bucket_of_inputs_is_named(s3_settings: StoreSettings) -> None:
    for pattern in ("s3://not-there/a", "s3://not-there/*.x", "s3://not-there"):
        with pytest.raises(InputError, match=r"s3://not-there"):
            list_inputs([pattern], s3_settings)


def test_a_console_s_mark_for_an_empty_folder_is_no_object(s3_settings: StoreSettings) -> None:
    store = Store(s3_settings)
    store.put("c/a", b"1")
    bucket, _, root = s3_settings.root.removeprefix("s3://").partition("/")
    for mark in ("c/", "c/empty/"):
        call_s3(s3_settings, "put_object", Bucket=bucket, Key=f"{root}/{mark}")
    assert keys(store) == ["c/a"]
    for pattern in ("c", "c/*", "c/**", "*"):
        assert found(store, pattern) == ["c/a"]
    with pytest.raises(InputError, match="c/empty"):
        found(store, "c/empty")


def test_denied_inputs_are_an_input_error(s3_settings: StoreSettings) -> None:
    with between(s3_settings, lambda _: Answer(403)) as (settings, _):
        for pattern in ("s3://b/a", "s3://b/*.x"):
            with pytest.raises(InputError, match="s3://b/"):
                list_inputs([pattern], settings)
        with pytest.raises(InputError, match="s3://b/a"):
            open_input("s3://b/a", settings)


def test_a_relative_path_and_a_home_are_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.jsonl").write_text("1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = StoreSettings("unused")
    for pattern in ("x.jsonl", "./*.jsonl", "~/x.jsonl", f"file://{tmp_path}/x.jsonl"):
        assert [i.key for i in list_inputs([pattern], settings)] == [str(tmp_path / "x.jsonl")]
    assert Store(StoreSettings("~/root")).url("k") == str(tmp_path / "root" / "k")


def test_a_dangling_link_among_inputs_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("1")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"b\.jsonl"):
        list_inputs([str(tmp_path)], StoreSettings("unused"))


def test_a_scheme_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match="https://example"):
        list_inputs(["https://example.org/a"], StoreSettings("unused"))


def test_a_file_that_vanished_since_its_listing_is_an_input_error(tmp_path: Path) -> None:
    gone = ObjectInfo(str(tmp_path / "gone"), 1, 0.0, None)
    with pytest.raises(InputError, match="gone"):
        content_fingerprint(gone, StoreSettings("unused"))
