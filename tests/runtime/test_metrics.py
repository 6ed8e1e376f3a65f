"""What Prometheus finds of a run on Ray, and that the dashboard asks for nothing else."""

import json
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backtrans.reasons import REASONS
from backtrans.runtime.metrics import KINDS, METRICS, Metric, exported
from backtrans.runtime.ray_data import RayRuntime
from backtrans.store import StoreSettings
from backtrans.work import Receipt, RuntimeSettings
from tests.runtime.metered import RUN, USAGE, Metered
from tests.runtime.works import play

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/backtrans.json").read_text())
BY_NAME = {name: metric for metric in METRICS for name in exported(metric)}
DEADLINE_SECONDS = 60.0


# ------------------------------------------------------------------------------------ the dashboard

Asked = list[tuple[str, set[str]]]


def asked(expression: str) -> Asked:
    """Return the metrics of an expression, with the labels that are asked of all of them."""
    grouped = {
        label.strip()
        for labels in re.findall(r"\bby \(([^)]*)\)", expression)
        for label in labels.split(",")
    }
    return [
        (name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected)) | grouped)
        for name, selected in re.findall(r"(ray_backtrans_\w+)(?:\{([^}]*)\})?", expression)
    ]


def wrong_in(expression: str) -> list[str]:
    """Return what an expression asks for that is not exported."""
    wrong = []
    for name, labels in asked(expression):
        if (metric := BY_NAME.get(name)) is None:
            wrong.append(name)
            continue
        known = {*metric.labels, *(["le"] if name.endswith("_bucket") else [])}
        wrong += sorted(labels - known)
    return wrong


EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
    each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_panel_asks_for_metrics_and_labels_that_are_exported(expression: str) -> None:
    assert asked(expression)
    assert wrong_in(expression) == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("sum(ray_backtrans_rows_keep_total)", ["ray_backtrans_rows_keep_total"]),
        ("sum(ray_backtrans_rows_kept)", ["ray_backtrans_rows_kept"]),
        ('ray_backtrans_rows_kept_total{reason="x"}', ["reason"]),
        ("sum by (shard) (ray_backtrans_tokens_total)", ["shard"]),
        ("sum by (stages, le) (rate(ray_backtrans_shard_seconds_bucket[5m]))", []),
        ("sum by (stages, le) (rate(ray_backtrans_shard_seconds_sum[5m]))", ["le"]),
    ],
)
def test_the_check_sees_what_is_not_exported(expression: str, wrong: list[str]) -> None:
    assert wrong_in(expression) == wrong


def test_every_metric_is_on_the_dashboard_and_in_the_manual() -> None:
    shown = {name for expression in EXPRESSIONS for name, _ in asked(expression)}
    manual = (ROOT / "docs/operate.md").read_text()
    for metric in METRICS:
        if metric.name != "backtrans_requests":
            assert shown & set(exported(metric)), metric.name
        assert f"`{metric.name.removeprefix('backtrans_')}" in manual, metric.name


def test_the_values_that_the_dashboard_chooses_are_ones_that_labels_have() -> None:
    text = " ".join(EXPRESSIONS)
    assert set(re.findall(r'kind!?="(\w+)"', text)) <= set(KINDS)
    (kept_by,) = [v for v in DASHBOARD["templating"]["list"] if v["name"] == "kept_by"]
    assert kept_by["query"].split(",") == ["curate", "choose"]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in DASHBOARD["panels"])


# --------------------------------------------------------------------------------- as it is scraped


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(port: int) -> Series:
    """Return every series of ours that a node exports, less the labels that are Ray's own."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: Series = {}
    for name, labels, value in re.findall(r"^(ray_backtrans_\w+)\{(.*)\} (\S+)$", text, re.M):
        pairs = re.findall(r'(\w+)="([^"]*)"', labels)
        own = ((k, v) for k, v in pairs if k.islower() and not k.startswith("otel_"))
        key = name, frozenset(own)
        found[key] = found.get(key, 0.0) + float(value)
    return found


def labels_of(series: Series, name: str) -> set[frozenset[str]]:
    return {frozenset(k for k, _ in labels) for each, labels in series if each == name}


@dataclass(frozen=True)
class Ran:
    """What was scraped, the receipts, and what workers wrote to their standard error."""

    series: Series
    receipts: list[Receipt]
    errors: list[str]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Run four addresses, one of them bad, over a Ray of our own, and scrape its node."""
    import ray

    port = free_port()
    context = ray.init(
        address="local",
        num_cpus=2,
        num_gpus=1,  # pretended
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _metrics_export_port=port,
        _system_config={"metrics_report_interval_ms": 1000},
    )
    try:
        store = StoreSettings(str(tmp_path_factory.mktemp("metered")))
        settings = RuntimeSettings(RUN, store, max_attempts=2, backoff_seconds=0.01, log_json=True)
        fates = play("well", "well", "bad", "well")
        with RayRuntime() as runtime:
            receipts = list(runtime.map(Metered(), fates, settings))
            series = patiently(port)
        logs = Path(context.address_info["session_dir"]) / "logs"
        written = [path.read_text() for path in logs.glob("worker-*.err")]
        yield Ran(series, receipts, [line for text in written for line in text.splitlines()])
    finally:
        ray.shutdown()


def patiently(port: int) -> Series:
    """Scrape until every metric is there: workers tell of theirs every second or so."""
    end, pause = time.monotonic() + DEADLINE_SECONDS, threading.Event()
    while True:
        series: Series = {}
        try:
            series = scraped(port)
        except OSError:
            pass  # the agent is not up yet
        if set(BY_NAME) <= {name for name, _ in series} or time.monotonic() > end:
            return series
        pause.wait(0.2)


@pytest.mark.slow
@pytest.mark.ray
class TestScraped:
    @pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
    def test_every_metric_of_the_table_is_found_with_its_labels(
        self, ran: Ran, metric: Metric
    ) -> None:
        for name in exported(metric):
            more = ["le"] if name.endswith("_bucket") else []
            assert labels_of(ran.series, name) == {frozenset([*metric.labels, *more])}, name

    def test_the_figures_are_those_of_the_commits_that_the_run_made(self, ran: Ran) -> None:
        assert sorted(receipt.outcome for receipt in ran.receipts) == ["done"] * 3 + ["quarantined"]

        def value(name: str, **labels: str) -> float:
            return ran.series[f"ray_backtrans_{name}", frozenset({"run": RUN, **labels}.items())]

        assert value("rows_kept_total", stage="score") == 3 * 4
        assert value("rows_refused_total", stage="score", reason="prompt_too_long") == 3 * 2
        assert value("tokens_total", stage="score", kind="cached") == 3 * USAGE.cached_tokens
        assert value("gpu_seconds_total", stage="score") == 3 * USAGE.seconds
        assert value("shards_done_total", stage="score") == 3
        assert value("attempts_total", stages="backtranslate+score") == 3 + 2
        assert value("shards_quarantined_total", stages="backtranslate+score") == 1
        assert value("shard_seconds_count", stages="backtranslate+score") == 4
        assert {"refused", "prompt_too_long"} <= set(REASONS)

    def test_nothing_else_of_ours_is_exported(self, ran: Ran) -> None:
        assert {name for name, _ in ran.series} == set(BY_NAME)

    def test_workers_tell_events_with_run_stages_shard_and_attempt(self, ran: Ran) -> None:
        told = [json.loads(line) for line in ran.errors if line.startswith('{"time"')]
        asked = [each for each in told if each["event"] == "asked"]
        assert {(each["run"], each["stages"]) for each in told} == {(RUN, Metered().name)}
        where = sorted((each["shard"], each["attempt"]) for each in asked)
        assert where == [(f"shard-{k}", n) for k in range(4) for n in range(1, 2 + (k == 2))]
        failed = [each for each in told if each["event"] == "attempt failed"]
        assert {each["error"] for each in failed} == {"ValueError: a bad shard"}
