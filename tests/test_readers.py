"""Other people's readers open the splits and the lake table, and count what the ledger counted."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import datasets
import duckdb
import duckdb_extension_delta
import duckdb_extension_httpfs
import polars
import pytest

from backtrans.accounts import Status
from backtrans.lake.table import storage_options
from backtrans.pipeline import Pipeline
from backtrans.store import Store, StoreSettings
from tests.jobs import Silent, config, write_corpus
from tests.stores import S3_SERVERS

pytestmark = pytest.mark.slow


class Published:
    """A job's splits and lake table, as other programs are told of them."""

    def __init__(self, pipeline: Pipeline) -> None:
        status: Status = pipeline.status()
        assert status.snapshot is not None
        assert pipeline.resolved.lake is not None
        self.settings = pipeline.resolved.store
        self.lake: StoreSettings = pipeline.resolved.lake
        self.files = status.files
        self.rows = status.snapshot.rows
        self.kept = status.stages[-1].kept
        self.options = storage_options(self.lake)

    @property
    def table(self) -> str:
        return Store(self.lake).url("x").removesuffix("/x")


def published(folder: Path, settings: StoreSettings) -> Published:
    """Run a small job whose corpus lies in a folder, and whose root is where the settings say."""
    write_corpus(folder)
    changes: dict[str, Any] = {
        "placement__root": settings.root,
        "placement__lake": {"uri": settings.root + "-lake"},
    }
    if settings.endpoint_url:
        changes["placement__store"] = {
            "endpoint_url": settings.endpoint_url,
            "region": settings.region,
            "addressing": settings.addressing,
        }
    pipeline = Pipeline(config(folder, **changes))
    pipeline.run(Silent())
    made = Published(pipeline)
    assert made.kept == made.rows["A4"] > made.rows["A5"] > 0
    return made


@pytest.fixture(scope="module")
def made() -> dict[str, Published]:
    """What has been published where."""
    return {}


@pytest.fixture
def out(
    made: dict[str, Published],
    where: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Published:
    """What a job published, once for all tests of a place. To be looked at, not changed."""
    settings: StoreSettings = request.getfixturevalue(f"{where}_settings")  # and credentials
    if where not in made:
        folder = tmp_path_factory.mktemp(where)
        here = StoreSettings(str(folder / "root"))
        made[where] = published(folder, here if where == "local" else settings)
    return made[where]


@pytest.fixture
def own(tmp_path: Path, where: str, request: pytest.FixtureRequest) -> Published:
    """What a job published for one test alone."""
    return published(tmp_path, request.getfixturevalue(f"{where}_settings"))


@pytest.fixture(params=["local", *S3_SERVERS])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def extension(package: Any) -> str:
    """Return the path of an extension that a package from the index brings: nothing is fetched."""
    (found,) = Path(package.__file__).parent.rglob("*.duckdb_extension")
    return str(found)


@pytest.fixture
def duck(out: Published, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"extension_directory": str(tmp_path / "none")})
    for package in (duckdb_extension_httpfs, duckdb_extension_delta):
        connection.execute(f"LOAD '{extension(package)}'")
    if out.settings.endpoint_url:
        connection.execute(
            "CREATE SECRET (TYPE s3, KEY_ID $key, SECRET $secret, ENDPOINT $endpoint,"
            " REGION $region, URL_STYLE 'path', USE_SSL false)",
            {
                "key": os.environ["AWS_ACCESS_KEY_ID"],
                "secret": os.environ["AWS_SECRET_ACCESS_KEY"],
                "endpoint": urlsplit(out.settings.endpoint_url).netloc,
                "region": out.settings.region,
            },
        )
    yield connection
    connection.close()


def test_duckdb_counts_the_parquet_of_each_split(
    out: Published, duck: duckdb.DuckDBPyConnection
) -> None:
    for split, files in out.files.items():
        (count,) = duck.execute("SELECT count(id) FROM read_parquet($f)", {"f": files}).fetchone()
        assert count == out.rows[split]


def test_duckdb_counts_the_lake_table(out: Published, duck: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT split, count(id), count(DISTINCT id) FROM delta_scan($t) GROUP BY ALL"
    counts = {
        split: (rows, names)
        for split, rows, names in duck.execute(query, {"t": out.table}).fetchall()
    }
    a5, a4 = out.rows["A5"], out.rows["A4"]
    assert counts == {"A5": (a5, a5), "A4": (a4 - a5, a4 - a5)}


def polars_options(out: Published) -> dict[str, Any]:
    return {"storage_options": out.options} if out.options else {}


def test_polars_counts_the_parquet_of_each_split(out: Published) -> None:
    for split, files in out.files.items():
        rows = polars.scan_parquet(files, **polars_options(out))
        assert rows.select("id").unique().collect().height == out.rows[split]


def test_polars_counts_the_lake_table(out: Published) -> None:
    table = polars.scan_delta(out.table, **polars_options(out))
    assert table.select("id").unique().collect().height == out.kept
    assert table.filter(split="A5").collect().height == out.rows["A5"]


@pytest.mark.parametrize("streaming", [False, True], ids=["loaded", "streamed"])
def test_datasets_counts_the_parquet_of_each_split(
    out: Published, tmp_path: Path, streaming: bool
) -> None:
    options: dict[str, Any] = {}
    if out.settings.endpoint_url:
        options["storage_options"] = {
            "endpoint_url": out.settings.endpoint_url,
            "config_kwargs": {"s3": {"addressing_style": "path"}},
        }
    opened = datasets.load_dataset(
        "parquet",
        data_files=out.files,
        streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
        **options,
    )
    assert {name: sum(1 for _ in rows) for name, rows in opened.items()} == out.rows


def test_reading_a5_touches_no_file_of_a4(own: Published, duck: duckdb.DuckDBPyConnection) -> None:
    place = Store(own.lake)
    others = [info.key for info in place.list("split=A4/")]
    assert others
    for key in others:
        place.put(key, b"no parquet: whoever reads this fails")
    query = "SELECT count(response) FROM delta_scan($t) WHERE split = 'A5'"
    assert duck.execute(query, {"t": own.table}).fetchone() == (own.rows["A5"],)
    table = polars.scan_delta(own.table, **polars_options(own))
    assert table.filter(split="A5").select("response").collect().height == own.rows["A5"]
    with pytest.raises(duckdb.Error):
        duck.execute("SELECT count(response) FROM delta_scan($t)", {"t": own.table})
