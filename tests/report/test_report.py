"""`backtrans report`: its figures are the run's, its page is whole, safe, and always the same."""

import base64
import hashlib
import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from backtrans import reporting
from backtrans.audit import result
from backtrans.audit.probing import Audit
from backtrans.audit.shifts import effect
from backtrans.calibration import tables
from backtrans.calibration.account import account
from backtrans.changes import changes
from backtrans.errors import ConfigError
from backtrans.export import write_json
from backtrans.pipeline import Pipeline
from backtrans.report.figures import Report
from backtrans.report.page import page
from backtrans.rounds import Rounds
from backtrans.snapshots import numbered
from backtrans.takedown import asked, record
from tests.calibration.pools import labelled
from tests.jobs import Silent, configuration, document, published, write_corpus, write_jsonl
from tests.report import world
from tests.test_cli import called


class Read(HTMLParser):
    """A page as a parser sees it: tags with attributes, and the text outside script and style."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.within: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "input", "rect", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        self.within.setdefault(where if where in ("script", "style") else "", []).append(data)

    def text(self, where: str = "") -> str:
        return "".join(self.within.get(where, []))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return world.run(tmp_path_factory.mktemp("report"), **world.rewriting())


@pytest.fixture(scope="module")
def found(job: Pipeline) -> Report:
    return world.reported(job)


@pytest.fixture(scope="module")
def read(found: Report) -> Read:
    return Read(page(found).decode())


# ---------------------------------------------------------------- figures


def test_the_funnel_leads_from_documents_to_a5(job: Pipeline, found: Report) -> None:
    stages = {stage.stage: stage for stage in job.status().stages}
    steps = {step.name: step.rows for step in found.funnel}
    assert list(steps) == [
        "documents",
        *("select", "deduplicate", "backtranslate", "score", "curate", "A4", "A5"),
    ]
    assert steps["documents"] == 10 + 12 + len(world.ATTACKS)
    for name in ("select", "deduplicate", "backtranslate", "score", "curate"):
        assert steps[name] == stages[name].kept
    assert (steps["A4"], steps["A5"]) == (found.rows["A4"], found.rows["A5"])
    refused = {(each.stage, each.reason): each.rows for each in found.refusals}
    assert refused == {(s.stage, why): n for s in stages.values() for why, n in s.rejects.items()}


def test_what_a_pair_cost_is_all_that_was_spent(job: Pipeline, found: Report) -> None:
    stages = job.status().stages
    assert found.costs.whole.tokens == sum(s.prompt_tokens + s.output_tokens for s in stages) > 0
    assert found.costs.pairs == found.rows


def test_the_page_says_what_a_pair_took_of_gpus_and_money_as_status_does(tmp_path: Path) -> None:
    gpus, prices = {"device": "gpu", "tensor_parallel": 2}, {"gpu_hour": 3.6}
    pipeline = world.run(tmp_path, placement__engine=gpus, placement__prices=prices)
    found = world.reported(pipeline)
    assert found.costs == pipeline.status().costs
    assert found.costs.whole.gpu_seconds == pytest.approx(2 * found.costs.whole.engine_seconds)
    html = page(found).decode()
    assert "GPU-seconds a pair of A5" in html
    assert "money a pair" in html
    assert world.reported(world.job(tmp_path)).costs == found.costs, "what the file says now"


def test_a_run_whose_record_has_neither_gpus_nor_prices_cost_tokens_and_seconds(
    tmp_path: Path,
) -> None:
    pipeline = world.run(tmp_path)
    found = world.reported(pipeline)
    record = pipeline.journal.run_of(found.run)
    del record["gpus_each"], record["placement"]["prices"]
    pipeline.journal.put_run(found.run, record)
    assert world.reported(pipeline).costs == found.costs
    assert "GPU-seconds" not in page(found).decode()


def test_every_outcome_has_samples_with_all_that_is_known(job: Pipeline, found: Report) -> None:
    groups = {group.name: group for group in found.groups}
    assert set(groups) == {"A5", "A4", *(each.group for each in found.refusals)}
    for group in groups.values():
        assert len(group.samples) == group.rows, "1,000 of each are asked for, so all are there"
    rows = {row["id"]: row for row in published(job)}
    for sample in (*groups["A5"].samples, *groups["A4"].samples):
        row = rows.pop(sample.id)
        assert (sample.instruction, sample.score) == (row["instruction"], row["score"])
        assert sample.rewrite == row["response"]
        assert sample.source == row["original_response"]
    assert rows == {}
    (refused, *_) = groups["curate/below_a4"].samples
    assert refused.source
    assert refused.instruction
    assert refused.score is not None
    assert refused.score < 2.5
    (short, *_) = groups["select/too_short"].samples
    assert short.source is None, "what was refused has no text to be shown"


def test_few_samples_are_of_each_outcome_and_the_same_each_time(
    job: Pipeline, found: Report
) -> None:
    few, again = (world.reported(job, samples=2) for _ in range(2))
    assert [group.name for group in few.groups] == [group.name for group in found.groups]
    assert all(len(group.samples) == min(2, group.rows) for group in few.groups)
    assert page(few) == page(again)
    other = world.reported(job, samples=2, seed=1)
    assert [g.samples for g in other.groups] != [g.samples for g in few.groups]
    assert world.reported(job, samples=0).groups == []


def test_lengths_domains_and_trigrams_are_those_of_the_splits(job: Pipeline, found: Report) -> None:
    rows = published(job)
    words = [len(row["response"].split()) for row in rows]
    (instructions, responses) = found.lengths
    assert responses.mean == pytest.approx(sum(words) / len(words))
    assert responses.longest == max(words)
    assert sum(count for *_, count in instructions.histogram) <= len(rows)
    domains = {each.name: each.pairs for each in found.domains}
    for host in world.HOSTS:
        assert domains.get(host, 0) == sum(f"{host}/" in (row["url"] or "") for row in rows)
    assert sum(domains.values()) + found.other_domain_pairs == len(rows)
    assert found.trigrams["responses"][-1][0] == len(rows)


def test_each_round_has_its_scores(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1, each=24)
    seed = [{"instruction": f"Ask {k}", "output": f"Answer {k}"} for k in range(5)]
    write_jsonl(tmp_path / "seed.jsonl.gz", seed)
    first = world.job(tmp_path, recipe__training={"seed": {"paths": ["seed.jsonl.gz"]}})
    _, last = Rounds(first).run(2, Silent())
    rounds = world.reported(last).rounds
    assert len({each.model for each in rounds}) == len(rounds) == 2
    assert [each.pairs for each in rounds] == [22, 22]
    assert [each.model for each in rounds if each.published] == [last.resolved.models["forward"]]
    assert all(sum(count for *_, count in each.histogram) == 22 for each in rounds)


def test_what_changed_is_what_diff_says(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    world.job(tmp_path).run(Silent())
    write_jsonl(tmp_path / "corpus/new.jsonl.gz", [document(k) for k in range(200, 208)])
    pipeline = world.job(tmp_path, recipe__curate={"a4": 2.2, "a5": 3.2})
    assert world.reported(pipeline).since is None
    pipeline.run(Silent())
    since = world.reported(pipeline).since
    assert since is not None
    one, two = (numbered(pipeline.ledger, number) for number in (1, 2))
    expected = Counter((c.kind, c.reason) for c in changes(pipeline.ledger, one, two))
    assert {(each.kind, each.reason): each.rows for each in since.changes} == expected
    assert ("added", "new object") in expected
    assert since.recipe == ["curate.a4: 2.5 -> 2.2"]
    assert "curate.a4: 2.5 -&gt; 2.2" in page(world.reported(pipeline)).decode()


def test_what_is_taken_down_afterwards_stands_nowhere(tmp_path: Path) -> None:
    pipeline = world.run(tmp_path)
    before = world.reported(pipeline)
    gone = [row for row in published(pipeline) if "two.org" in (row["url"] or "")]
    assert gone
    assert "two.org" in page(before).decode()
    record(pipeline.ledger, asked([("domain", "two.org")], "asked to"))
    after = world.reported(pipeline)
    html = page(after).decode()
    assert after.withdrawn == len(gone)
    assert "two.org" not in html
    assert not any(row["id"] in html or row["instruction"] in html for row in gone)
    assert f"{len(gone)} row(s) of this snapshot have been taken down" in html
    assert after.rounds[0].pairs < before.rounds[0].pairs


def test_where_there_are_many_shards_some_are_read_and_the_page_says_so(
    job: Pipeline, found: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "READ_SHARDS", 2)
    some = world.reported(job)
    assert (some.read_shards, some.shards) == (2, found.shards)
    assert (some.funnel, some.refusals, some.costs) == (found.funnel, found.refusals, found.costs)
    assert some.rounds[0].pairs < found.rounds[0].pairs
    assert f"are of 2 of {found.shards} shards" in page(some).decode()


def test_a_snapshot_without_a_pair_has_a_page_too(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1, each=8)
    pipeline = world.job(tmp_path, recipe__curate={"a4": 5.0, "a5": 5.0})
    pipeline.run(Silent())
    found = world.reported(pipeline)
    assert found.rows == {"A5": 0, "A4": 0}
    assert [group.name for group in found.groups] == ["curate/below_a4"]
    assert "There are none." in page(found).decode()


def test_pairs_of_an_unfiltered_snapshot_that_are_in_neither_split_are_among_the_samples(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path, files=1, each=8)
    pipeline = world.job(tmp_path, recipe__curate={"a4": 3.0, "a5": 3.2, "filter": False})
    pipeline.run(Silent())
    found = world.reported(pipeline)
    sizes = {group.name: group.rows for group in found.groups}
    assert sizes["rest"] == found.rows["all"] - found.rows["A4"] > 0
    assert [step.name for step in found.funnel][-3:] == ["all", "A4", "A5"]


def test_a_calibration_and_an_audit_are_shown_where_they_are_named(
    tmp_path: Path, found: Report, job: Pipeline
) -> None:
    said = account(labelled(tmp_path, 300, 80), resamples=50)
    write_json(tmp_path / "calibration.json", tables.document(said, "labels.csv"))
    clean = tuple([3.0, 4.8] * 15)
    moved = effect(clean, {"x": [4.9] * 30}, 4.5, seed=0, resamples=50)
    kinds = {"perturbations": moved, "attacks": moved}
    tried = Audit(clean, {"bold": clean}, {"bold": moved}, {"request": moved}, kinds, 0.5)
    write_json(tmp_path / "audit.json", result.document({}, {"1: <b>judge</b>": tried}))
    files = {name: tmp_path / f"{name}.json" for name in ("calibration", "audit")}
    read = Read(page(world.reported(job, **files)).decode())
    text = read.text()
    for words in ("80 labels, for 300 pairs", "expectation", "error ", "request"):
        assert words in text
    assert "1: <b>judge</b>: attacks" in text
    assert f"[{moved.shift.low:.2f}, {moved.shift.high:.2f}]" in text
    assert {"calibration", "audit"} <= {a["id"] for t, a in read.tags if t == "h2"}
    without = Read(page(found).decode())
    assert not {"calibration", "audit"} & {a["id"] for t, a in without.tags if t == "h2"}


# ---------------------------------------------------------------- the page


def test_hostile_text_is_text(read: Read) -> None:
    said = read.text()
    for attack in world.ATTACKS[:8]:
        assert attack in said
    assert r"\u{202e}turned\u{0} and \u{1b}[31m red" in said
    assert not [tag for tag, _ in read.tags if tag in ("img", "iframe", "link", "object", "base")]
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert [tag for tag, _ in read.tags].count("style") == 1
    assert read.open == []


def test_the_page_asks_for_nothing(read: Read) -> None:
    for tag, attributes in read.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "src", "srcset", "action", "formaction", "background")
            assert name != "href" or value.startswith("#"), (tag, value)
    assert "url(" not in read.text("style")
    assert "@import" not in read.text("style")
    assert not re.search(r"fetch|XMLHttp|innerHTML|import|eval", read.text("script"))


def test_the_policy_lets_its_own_script_and_style_alone_run(read: Read) -> None:
    (policy,) = (a["content"] for t, a in read.tags if t == "meta" and "http-equiv" in a)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for what in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(read.text(what).encode()).digest()).decode()
        assert rules[f"{what}-src"] == f"'sha256-{digest}'"
    for what in ("default-src", "img-src", "base-uri", "form-action"):
        assert rules[what] == "'none'"


def test_headings_are_in_order_and_links_lead_to_what_is_there(read: Read) -> None:
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = Counter(a["id"] for _, a in read.tags if "id" in a)
    assert set(ids.values()) == {1}
    named = {a["href"][1:] for t, a in read.tags if t == "a"}
    named |= {a["aria-labelledby"] for _, a in read.tags if "aria-labelledby" in a}
    assert named <= set(ids)


def test_charts_and_tables_have_words(read: Read) -> None:
    pictures = [a for tag, a in read.tags if tag == "svg"]
    charts = [a for a in pictures if a.get("role") == "img"]
    assert len(charts) >= 6
    assert all(len(a["aria-label"]) > 20 for a in charts)
    assert all(a in charts or a.get("aria-hidden") == "true" for a in pictures)
    tags = [tag for tag, _ in read.tags]
    assert tags.count("caption") == tags.count("table") > tags.count("details") > len(charts) - 1
    assert all(a.get("scope") in ("row", "col") for tag, a in read.tags if tag == "th")


def test_every_sample_stands_in_the_page(found: Report, read: Read) -> None:
    samples = [a for tag, a in read.tags if tag == "article"]
    assert len(samples) == sum(len(group.samples) for group in found.groups)
    kinds = Counter(a["data-kind"] for a in samples)
    assert kinds["kept"] == found.rows["A4"]
    assert all(("data-split" in a) != ("data-reason" in a) for a in samples)
    assert [tag for tag, _ in read.tags].count("ins") > found.rows["A4"]


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_colours_are_far_enough_apart(scheme: str, read: Read) -> None:
    """Source: WCAG 2.2: 4.5 for text (1.4.3), 3 for what a chart is made of (1.4.11)."""
    blocks = re.findall(r":root \{(.*?)\}", read.text("style"), re.DOTALL)
    at = ["light", "dark", "print"].index(scheme)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", blocks[at]))
    grounds = ("ground", "raised")
    for text in ("text", "quiet", "link", "mark"):
        assert all(contrast(colours[text], colours[ground]) >= 4.5 for ground in grounds), text
    assert contrast(colours["come-text"], colours["come"]) >= 4.5
    assert contrast(colours["gone-text"], colours["gone"]) >= 4.5
    assert contrast(colours["fill"], colours["ground"]) >= 3


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


# ---------------------------------------------------------------- the command


def test_the_command_writes_the_page_of_the_snapshot_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path, files=1)
    path, to = configuration(tmp_path), tmp_path / "new/report.html"
    code, _, err = called("report", path, "--out", to, capsys=capsys)
    assert (code, "no snapshot published yet" in err) == (2, True)
    called("run", path, capsys=capsys)
    code, out, err = called("report", path, "--out", to, "--samples", "3", capsys=capsys)
    assert (code, err) == (0, "")
    assert f"{to}: snapshot 1, " in out
    assert "<!DOCTYPE html>" in to.read_text()
    code, _, err = called("report", path, "--out", to, "--snapshot", "7", capsys=capsys)
    assert (code, "no snapshot 7; there are: 1" in err) == (1, True)
    code, _, err = called("report", path, "--out", path / "x.html", capsys=capsys)
    assert (code, "cannot be written" in err) == (2, True)


def test_a_file_that_is_no_calibration_is_an_error_that_names_it(
    tmp_path: Path, job: Pipeline
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"format": "else"}))
    with pytest.raises(ConfigError, match=r"other\.json: is no document of the format"):
        world.reported(job, calibration=other)
    other.write_text(json.dumps({"format": "backtrans.audit/1", "judges": {"a": {}}}))
    with pytest.raises(ConfigError, match=r"other\.json: is not whole"):
        world.reported(job, audit=other)
    with pytest.raises(ConfigError, match=r"none\.json: cannot be read"):
        world.reported(job, audit=tmp_path / "none.json")
