"""A secret key is planted, a job runs over Ray and is refused a put, and everything is searched."""

import base64
import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from ray import cloudpickle

from backtrans.config import load
from backtrans.pipeline import Pipeline
from backtrans.retry import NO_RETRY
from backtrans.runtime.ray_data import _Actor
from backtrans.store import StoreSettings
from backtrans.takedown import Withdrawn
from tests.faults import Seen, between
from tests.jobs import configuration, write_corpus


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its sessions: a short path, since its sockets' names have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder)


def run(path: Path, ray_folder: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "RAY_TMPDIR": str(ray_folder)}
    command = [sys.executable, "-m", "backtrans", "run", str(path)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=200)


@pytest.mark.slow
@pytest.mark.ray
def test_a_secret_key_is_in_nothing_that_a_job_writes_says_or_sends(
    tmp_path: Path, one_s3_settings: StoreSettings, ray_folder: Path
) -> None:
    canary = os.environ["AWS_SECRET_ACCESS_KEY"]
    assert len(canary) > 30
    write_corpus(tmp_path)
    scores = itertools.count()

    def refuses_one_score(seen: Seen) -> int | None:
        is_score = seen.method == "PUT" and "/parts/score/" in seen.path
        return 403 if is_score and next(scores) == 0 else None

    with between(one_s3_settings, refuses_one_score) as (settings, _):
        store = {name: value for name, value in asdict(settings).items() if name != "root"}
        placement = {"root": settings.root, "runtime": "ray", "store": store}
        placement |= {"max_attempts": 1, "min_complete": 0.5}
        path = configuration(tmp_path, placement=placement)
        done = run(path, ray_folder)
        assert done.returncode == 0, done.stderr
        pipeline = Pipeline(load(path))
        keys = [info.key for info in pipeline.ledger.store.list()]
        objects = {key: pipeline.ledger.store.get(key) for key in keys}
    # What there is to search: all of it was made.
    folders = {key.split("/")[0] for key in objects}
    assert folders >= {"parts", "commits", "attempts", "quarantine", "runs", "snapshots"}
    haystack = dict(objects)
    for key, data in objects.items():
        if key.endswith(".parquet"):
            haystack[f"{key} (its rows)"] = repr(
                pq.read_table(io.BytesIO(data)).to_pylist()
            ).encode()
    assert b"AccessDenied" in done.stdout
    haystack |= {"the output": done.stdout, "the errors": done.stderr}
    # What the driver sends: the work, its settings, and the class of the actors.
    works = pipeline.works
    made = [
        works.select_work("r", NO_RETRY, Withdrawn()),
        works.spread_work(1),
        works.match_work(1),
        works.gather_work(1),
        works.deduplicate_work("r", 1),
        *works.ask_works("r", NO_RETRY),
        works.curate_work("r"),
    ]
    sent = (made, works.runtime_settings("r", pipeline.config.placement.engines), _Actor)
    haystack["what workers are sent"] = cloudpickle.dumps(sent)
    written = [file for file in ray_folder.rglob("*") if file.is_file() and not file.is_symlink()]
    assert any(file.name.startswith("worker-") for file in written)
    haystack |= {str(file): file.read_bytes() for file in written}
    told = [name for name, data in haystack.items() for form in forms(canary) if form in data]
    assert told == []


def forms(secret: str) -> list[bytes]:
    """Return a secret as it stands, and in base64 wherever it may begin in a longer text."""
    whole = [base64.b64encode(b" " * lead + secret.encode())[4:-4] for lead in range(3)]
    return [secret.encode(), *whole]


def test_the_search_finds_a_secret_in_base64() -> None:
    text = base64.b64encode(b"{'key': 'a-secret-of-some-length'}")
    assert any(form in text for form in forms("a-secret-of-some-length"))
