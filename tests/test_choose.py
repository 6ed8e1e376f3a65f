"""Rewriting in the whole job: which response each pair has, why, and what a run does for it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from backtrans import custody
from backtrans.changes import changes
from backtrans.config import Config
from backtrans.dialogue import Choose, Reply, Request
from backtrans.engines.scripted import LEAKING, UNMARKED, default
from backtrans.errors import ConfigError
from backtrans.expiry import expire
from backtrans.pipeline import EVERY_STAGE, STAGES, WRITING, Pipeline
from backtrans.records import CURATED
from backtrans.rewriting import RefuseSettings
from backtrans.snapshots import ALL, PUBLISHED, latest, numbered, snapshots
from backtrans.stages.choose import Choice, choose
from backtrans.store import Store
from backtrans.thresholds import Thresholds
from tests.cuts import Cut
from tests.jobs import Silent, config, document, published, write_corpus, write_jsonl
from tests.test_custody import SECRET, held_under, take_down, write_web

MODEL = {"path": "scripted:default", "engine": "scripted"}
SPOILT = {3: UNMARKED, 5: LEAKING, 12: UNMARKED, 22: LEAKING}
"""Which documents of the corpus make the rewriting model fail, and how."""

KEEP = {"a4": 1.0, "a5": 3.2}


def write_spoilt(folder: Path) -> None:
    documents = [document(k) for k in range(24)]
    for number, marker in SPOILT.items():
        documents[number]["text"] += f" {marker}"
    write_jsonl(folder / "corpus/part-0.jsonl.gz", documents)


def rewriting(model: dict[str, Any] = MODEL, **settings: Any) -> dict[str, Any]:
    return {
        "recipe__models__rewrite": model,
        "recipe__rewrite": {"enabled": True, **settings},
    }


def run(folder: Path, **changed: Any) -> Pipeline:
    pipeline = Pipeline(config(folder, **changed))
    pipeline.run(Silent())
    return Pipeline(pipeline.config)


def made(folder: Path, **changed: Any) -> set[str]:
    return set(Pipeline(config(folder, **changed)).run(Silent()).made)


def requests(pipeline: Pipeline) -> dict[str, int]:
    return {stage.stage: stage.requests for stage in pipeline.status().stages}


def accounted(pipeline: Pipeline) -> None:
    stages = {stage.stage: stage for stage in pipeline.status().stages}
    for stage in stages.values():
        assert stage.rows_in == stage.kept + sum(stage.rejects.values())
    for name in ("distill", "rewrite", "choose"):
        if name in stages:
            assert stages[name].rows_in == stages["curate"].kept
    if "rescore" in stages:
        assert stages["rescore"].rows_in == stages["rewrite"].kept
    snapshot = latest(pipeline.ledger)
    assert snapshot is not None
    assert snapshot.rows[snapshot.widest] == list(stages.values())[-1].kept


# ---------------------------------------------------------------- the switches


@pytest.mark.slow
@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize("filtered", [False, True])
def test_filtering_and_rewriting_are_switches_of_their_own(
    tmp_path: Path, filtered: bool, rewritten: bool
) -> None:
    write_corpus(tmp_path)
    plain = run(tmp_path, placement__root="plain")
    changed = rewriting() if rewritten else {}
    pipeline = run(tmp_path, recipe__curate__filter=filtered, **changed)
    accounted(pipeline)
    snapshot = latest(pipeline.ledger)
    assert snapshot is not None
    assert set(snapshot.rows) == ({"A5", "A4"} if filtered else {"A5", "A4", ALL})
    # A4 and A5 hold the same pairs whatever the switches; `all` holds every pair with a score.
    for split in ("A5", "A4"):
        assert [r["id"] for r in published(pipeline, split)] == [
            r["id"] for r in published(plain, split)
        ]
    if not filtered:
        rows = published(pipeline, ALL)
        assert len(rows) == 36
        assert {r["split"] for r in rows if r["score"] < 2.5} == {"rest"}
        assert [r for r in rows if r["split"] != "rest"] == published(pipeline)
    for row in published(pipeline):
        if rewritten:
            assert (row["response_from"], row["rewrite_reject"]) == ("rewritten", None)
            assert row["response"] != row["original_response"]
            assert row["original_score"] == row["score"]
            assert (row["rewrite_role"], row["rewrite_score"]) == ("rewrite/1", None)
            assert 0 < row["rewrite_novelty"] < 0.5
        else:
            assert {row[name] for name in PUBLISHED.names[len(CURATED) - 2 :]} == {None}


@pytest.mark.slow
def test_a_pair_under_a_floor_is_of_no_better_split_for_want_of_a_filter(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    floors = {"recipe__score__signals": ["pmi"], "recipe__curate__floors": {"pmi": 0.0}}
    pipeline = run(tmp_path, **floors)
    kept = [row["id"] for row in published(pipeline)]
    low = [r for r in pipeline.rows("curate") if r["reject_reason"] == "signal_below_floor"]
    unfiltered = run(tmp_path, recipe__curate__filter=False, **floors)
    assert [row["id"] for row in published(unfiltered)] == kept
    rest = {r["id"] for r in published(unfiltered, ALL) if r["split"] == "rest"}
    assert {row["id"] for row in low} <= rest
    assert low


def test_without_rewriting_the_job_is_what_it_was() -> None:
    raw = {
        "recipe": {"corpus": {"paths": ["x"]}, "models": {"backward": MODEL, "forward": MODEL}},
        "placement": {"root": "out"},
    }
    pipeline = Pipeline(Config.model_validate_json(json.dumps(raw)))
    assert pipeline.stages == STAGES
    assert [stage.name for stage in EVERY_STAGE[len(STAGES) :]] == [s.name for s in WRITING]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recipe__rewrite": {"enabled": True}}, "rewrite.enabled needs a model"),
        ({"recipe__distill": {"enabled": True}}, "distill.enabled needs a model"),
        (rewriting(refuse={"max_novelty": 2}), "max_novelty"),
        (rewriting(fallback="nothing"), "recipe.rewrite.fallback"),
        (rewriting(refuse={"leeks": True}), "did you mean 'leaks'"),
    ],
)
def test_a_recipe_that_cannot_be_is_an_error_that_says_why(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, **changed)


def test_what_the_document_says_of_rewriting_is_a_recipe_that_loads() -> None:
    document = (Path(__file__).parent.parent / "docs/splits.md").read_text()
    (block,) = [b.split("```")[0] for b in document.split("```yaml")[1:]]
    recipe = {**yaml.safe_load(block)["recipe"], "corpus": {"paths": ["x"]}}
    said = {"recipe": recipe, "placement": {"root": "out"}}
    Config.model_validate_json(json.dumps(said))


# ---------------------------------------------------------------- which response


def test_what_was_not_rewritten_keeps_its_original_and_says_why(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    pipeline = run(tmp_path, recipe__curate=KEEP, **rewriting())
    accounted(pipeline)
    rows = {int(r["document_id"].split("-")[1]): r for r in published(pipeline)}
    assert len(rows) == 24
    why = {UNMARKED: "rewrite_missing", LEAKING: "rewrite_leaks"}
    for number, row in rows.items():
        text = row["original_response"] or row["response"]
        assert text.startswith(document(number)["text"])
        marker = SPOILT.get(number)
        assert row["rewrite_reject"] == (marker and why[marker])
        assert row["response_from"] == ("original" if marker else "rewritten")
        assert (row["original_response"] is None) == bool(marker)
    # The figures of a refused rewrite are there; where nothing was written there are none.
    assert rows[5]["rewrite_leaks"] == ["the draft"]
    assert rows[3]["rewrite_novelty"] is None


def test_what_was_not_rewritten_goes_where_the_recipe_wants_no_original(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    pipeline = run(tmp_path, recipe__curate=KEEP, **rewriting(fallback="drop"))
    accounted(pipeline)
    assert {r["response_from"] for r in published(pipeline)} == {"rewritten"}
    assert len(published(pipeline)) == 20
    refused = Counter((row.stage, row.reason) for row in pipeline.rejects())
    assert refused == {
        ("rewrite", "rewrite_missing"): 2,
        ("choose", "not_rewritten"): 2,
        ("choose", "rewrite_leaks"): 2,
    }
    details = {row.detail for row in pipeline.rejects("choose", ["not_rewritten"])}
    assert details == {"rewrite_missing: no [RES]"}


@pytest.mark.slow
def test_a_check_that_is_off_is_recorded_and_refuses_nothing(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    pipeline = run(tmp_path, recipe__curate=KEEP, **rewriting(refuse={"leaks": False}))
    rows = {int(r["document_id"].split("-")[1]): r for r in published(pipeline)}
    assert rows[5]["response_from"] == "rewritten"
    assert rows[5]["rewrite_leaks"] == ["the draft"]


@pytest.mark.slow
def test_a_rewrite_that_scores_lower_leaves_its_original_in_place(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    plain = run(tmp_path, placement__root="plain", recipe__curate=KEEP)
    # Also where nothing stands in for what is refused: the original is the better response.
    changed = rewriting(rescore=True, fallback="drop")
    pipeline = run(tmp_path, recipe__curate=KEEP, **changed)
    accounted(pipeline)
    before = {row["id"]: row for row in published(plain)}
    froms = Counter(row["response_from"] for row in published(pipeline))
    assert froms["original"] > 3
    assert froms["rewritten"] > 3
    for row in published(pipeline):
        first = before[row["id"]]
        assert row["original_score"] == first["score"]
        if row["response_from"] == "rewritten":
            assert row["rewrite_score"] == row["score"] >= first["score"]
            assert row["original_response"] == first["response"]
            assert row["distribution"] != first["distribution"]
        else:
            assert row["rewrite_reject"] == "scored_lower"
            assert row["rewrite_score"] < row["score"] == first["score"]
            assert row["response"] == first["response"]
    a4 = published(pipeline)
    assert [row for row in a4 if row["score"] >= 3.2] == published(pipeline, "A5")


def recites(request: Request, seed: int) -> Reply:
    """Rewrite everything to a sentence of an evaluation set."""
    asked = request.messages[0].content
    if "[RES]" not in asked:
        return default(request, seed)
    text = f"{asked[400:700]} the quick brown fox jumps over thirteen very lazy dogs in old Rome"
    return Reply(f"[RES]{text}[/RES]", "stop")


def speechless(request: Request, seed: int) -> Reply:
    """Give no score where the response is a rewrite."""
    if isinstance(request.want, Choose) and "In short:" in request.messages[0].content:
        return Reply(off_choice_mass=1.0)
    return default(request, seed)


@pytest.mark.slow
def test_an_evaluation_set_that_the_model_knows_by_heart_is_not_published(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    prompt = "The quick brown fox jumps over thirteen very lazy dogs in old Rome."
    (tmp_path / "set.jsonl").write_text(json.dumps({"q": prompt}) + "\n")
    sets = {"sets": [{"path": "set.jsonl", "name": "foxes"}]}
    model = {**MODEL, "path": f"scripted:{__name__}:recites"}
    pipeline = run(
        tmp_path, recipe__select__evaluations=sets, recipe__curate=KEEP, **rewriting(model)
    )
    rows = published(pipeline)
    assert {r["rewrite_reject"] for r in rows} == {"contaminated"}
    assert {r["response_from"] for r in rows} == {"original"}


@pytest.mark.slow
def test_a_rewrite_that_the_judge_cannot_score_is_not_taken(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    models = {**MODEL, "path": f"scripted:{__name__}:speechless"}
    pipeline = run(tmp_path, recipe__models__forward=models, **rewriting(rescore=True))
    accounted(pipeline)
    assert {r["rewrite_reject"] for r in published(pipeline)} == {"rewrite_unscored"}


def test_a_rewrite_under_a_floor_is_worse_whatever_its_score() -> None:
    choice = Choice(RefuseSettings(), "original", Thresholds(2, 4, (("pmi", 0.0),)))
    pair = {"id": "a", "response": "Boil it.", "score": 3.0, "pmi": 0.5, "split": "A4"}
    rewrite = {"id": "a", "text": "Do boil it.", "role_version": "rewrite/1", "model": "m"}
    judged = dict.fromkeys(CURATED.names) | {"role_version": "s", "model": "f", "run": "r"}
    for score, pmi, taken in ((3.0, 0.0, True), (2.9, 0.9, False), (5.0, -0.1, False)):
        scored = {**judged, "id": "a", "score": score, "pmi": pmi}
        (row,) = choose([pair], {"a": rewrite}, {"a": scored}, choice)
        assert (row["response_from"] == "rewritten") == taken
    # Without a filter the original may be under it too, and then the score alone decides.
    free = replace(choice, thresholds=replace(choice.thresholds, filter=False))
    low = {**pair, "pmi": -1.0, "split": "rest"}
    (row,) = choose([low], {"a": rewrite}, {"a": {**judged, "score": 4.0, "pmi": -0.1}}, free)
    assert (row["response_from"], row["split"]) == ("rewritten", "rest")


# ---------------------------------------------------------------- what a run does


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "stages"),
    [
        (rewriting(rescore=True, temperature=0.5), {"rewrite", "rescore", "choose"}),
        (rewriting({**MODEL, "seed": 7}, rescore=True), {"rewrite", "rescore", "choose"}),
        (rewriting(rescore=True, refuse={"max_novelty": 0.05}), {"choose"}),
        (rewriting(rescore=True, fallback="drop"), {"choose"}),
        (rewriting(), {"choose"}),
        ({**rewriting(rescore=True), "recipe__distill": {"enabled": True}}, {"distill"}),
        ({}, set()),
    ],
)
def test_a_change_to_rewriting_computes_what_depends_on_it_and_nothing_else(
    tmp_path: Path, changed: dict[str, Any], stages: set[str]
) -> None:
    write_corpus(tmp_path, files=1)
    run(tmp_path)
    run(tmp_path, **rewriting(rescore=True))
    assert made(tmp_path, **changed) == stages


@pytest.mark.slow
def test_a_threshold_asks_no_model_about_what_it_was_asked_before(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    changed = {**rewriting(rescore=True), "recipe__distill": {"enabled": True}}
    first = run(tmp_path, **changed)
    asked = requests(first)
    assert asked["rewrite"] == asked["rescore"] == asked["distill"] == len(published(first)) == 28
    stricter = run(tmp_path, recipe__curate={"a4": 2.7, "a5": 3.2}, **changed)
    assert {stage: requests(stricter)[stage] for stage in ("rewrite", "rescore", "distill")} == {
        "rewrite": 0,
        "rescore": 0,
        "distill": 0,
    }
    kept = {row["id"]: row["response"] for row in published(first)}
    assert 0 < len(published(stricter)) < 28
    assert all(row["response"] == kept[row["id"]] for row in published(stricter))


@pytest.mark.slow
def test_roles_that_write_share_an_engine_where_their_base_is_one(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    changed = {**rewriting(rescore=True), "recipe__distill": {"enabled": True}}
    watching = Silent()
    Pipeline(config(tmp_path, **changed)).run(watching)
    assert [name for name, _ in watching.phases][-3:] == [
        "curate",
        "distill+rewrite+rescore",
        "choose",
    ]
    other = {**MODEL, "seed": 7}
    adapted = {**other, "adapter": "adapters/rewrite"}
    changed |= {"recipe__models__rewrite": adapted, "recipe__models__distill": other}
    pipeline = Pipeline(config(tmp_path, **changed))
    both, judge = pipeline.works.write_works("run", pipeline.works.retry())
    assert (both.name, judge.name) == ("distill+rewrite", "rescore")
    assert both.engine.adapters == {"rewrite": str(tmp_path / "adapters/rewrite")}
    assert both.stages[1].role.adapter == "rewrite"  # type: ignore[attr-defined]
    assert judge.engine.seed == 0


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["parts/choose/", "commits/choose/", "commits/rewrite/"])
def test_a_run_killed_on_its_way_from_rewriting_to_choosing_ends_as_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    write_spoilt(tmp_path)
    changed = {"recipe__curate": KEEP, **rewriting(rescore=True)}
    whole = published(run(tmp_path, placement__root="whole", **changed))
    put_new, left = Store.put_new, 2

    def cut(store: Store, key: str, data: bytes) -> bool:
        nonlocal left
        left -= key.startswith(keys)
        if left == 0:
            raise Cut
        return put_new(store, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "put_new", cut)
        with pytest.raises(Cut):
            run(tmp_path, **changed)
    pipeline = Pipeline(config(tmp_path, **changed))
    assert latest(pipeline.ledger) is None
    done = requests(pipeline)["rewrite"]
    assert set(pipeline.run(Silent()).made) <= {"rewrite", "rescore", "choose"}
    assert published(pipeline) == whole
    assert requests(pipeline)["rewrite"] == 24 >= done > 0
    assert (done < 24) == (keys == "commits/rewrite/")
    accounted(pipeline)


@pytest.mark.slow
@pytest.mark.parametrize("fallback", ["original", "drop"])
def test_refused_rewrites_are_asked_for_again_on_demand_and_the_others_stay(
    tmp_path: Path, fallback: str
) -> None:
    write_spoilt(tmp_path)
    model = {**MODEL, "path": f"scripted:default?mended_by={tmp_path}/mended"}
    changed = {
        "recipe__curate": KEEP,
        "recipe__distill": {"enabled": True},
        **rewriting(model, fallback=fallback, rescore=True),
    }
    before = {row["id"]: row for row in published(run(tmp_path, **changed))}
    (tmp_path / "mended").touch()
    whole = published(run(tmp_path, placement__root="whole", **changed))
    pipeline = Pipeline(config(tmp_path, **changed))
    summary = pipeline.run(Silent(), ["rewrite_missing"])
    assert (summary.retried_rows, summary.retried_rows_kept) == (2, 2)
    accounted(pipeline)
    rows = {row["id"]: row for row in published(pipeline)}
    spoilt = {f"doc-{n}" for n, marker in SPOILT.items() if marker == LEAKING}
    others = [row for row in whole if row["document_id"] not in spoilt]
    assert [rows[row["id"]] for row in others] == others
    gained = {row["document_id"] for row in rows.values() if row != before.get(row["id"])}
    assert gained == {f"doc-{n}" for n, marker in SPOILT.items() if marker == UNMARKED}
    with pytest.raises(ConfigError, match="change the recipe instead"):
        pipeline.run(Silent(), ["not_rewritten"])


@pytest.mark.slow
def test_a_retried_answer_takes_nothing_else_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spoilt(tmp_path)
    model = {**MODEL, "path": f"scripted:{__name__}:forgets"}
    changed = {"recipe__curate": KEEP, "recipe__distill": {"enabled": True}, **rewriting()}
    changed["recipe__models__distill"] = model
    first = run(tmp_path, **changed)
    missing = sum(row["reject_reason"] == "answer_empty" for row in first.rows("distill"))
    assert 0 < missing < 24
    commits = {c.key: c for c in first.ledger.commits("choose")}
    monkeypatch.setitem(FORGETFUL, "now", False)
    summary = Pipeline(config(tmp_path, **changed)).run(Silent(), ["answer_empty"])
    assert (summary.retried_rows, summary.retried_rows_kept) == (missing, missing)
    assert set(summary.made) == {"distill"}
    assert {c.key: c for c in first.ledger.commits("choose")} == commits


FORGETFUL = {"now": True}


def forgets(request: Request, seed: int) -> Reply:
    """Say nothing to some, as long as it is forgetful."""
    silent = FORGETFUL["now"] and request.messages[0].content.startswith("Can you")
    return Reply("", "stop") if silent else default(request, seed)


# ---------------------------------------------------------------- what is looked after


@pytest.mark.slow
def test_a_purge_leaves_no_trace_of_what_was_written_or_of_what_it_was_written_from(
    tmp_path: Path,
) -> None:
    write_web(tmp_path)
    changed: dict[str, Any] = {
        "recipe__curate": KEEP,
        "recipe__distill": {"enabled": True},
        "placement__lake": {"uri": "lake"},
        **rewriting(rescore=True),
    }
    pipeline = run(tmp_path, **changed)
    gone = next(r for r in published(pipeline) if r["response_from"] == "rewritten")
    stays = next(
        r
        for r in published(pipeline)
        if r["response_from"] == "rewritten" and r["id"] != gone["id"]
    )
    word, other = (f"{SECRET}{int(r['document_id'].split('-')[1]):04d}" for r in (gone, stays))
    assert word in gone["response"]
    assert word in gone["original_response"]
    for stage in ("select", "curate", "rewrite", "choose"):
        assert held_under(tmp_path / "out/parts" / stage, word)
    take_down(pipeline, ("id", gone["document_id"]))
    custody.purge_withdrawn(pipeline, Silent())
    assert held_under(tmp_path / "out", word) == held_under(tmp_path / "lake", word) == []
    assert held_under(tmp_path / "out/parts/choose", other)
    accounted(pipeline)
    watching = Silent()
    Pipeline(pipeline.config).run(watching)
    assert watching.phases == []
    assert gone["id"] not in {row["id"] for row in published(pipeline)}
    assert stays in published(pipeline)


@pytest.mark.slow
def test_an_expiry_takes_rewrites_that_only_an_old_snapshot_holds(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    run(tmp_path, **rewriting())
    pipeline = run(tmp_path, **rewriting(temperature=0.5))
    rows = published(pipeline)
    expire(pipeline.ledger, custody.plan_expiry(pipeline, 1, -60))
    assert len(list((tmp_path / "out/parts/rewrite").iterdir())) == 3
    assert len(list((tmp_path / "out/parts/choose").iterdir())) == 3
    fresh = Pipeline(pipeline.config)
    assert (published(fresh), fresh.plan().nothing_pending) == (rows, True)


def counted(pipeline: Pipeline, before: int, after: int) -> dict[tuple[str, str], int]:
    ledger = pipeline.ledger
    found = changes(ledger, numbered(ledger, before), numbered(ledger, after))
    return dict(Counter((change.kind, change.reason) for change in found))


@pytest.mark.slow
def test_a_diff_tells_what_rewriting_changed_and_why_rows_are_not_there(tmp_path: Path) -> None:
    write_spoilt(tmp_path)
    run(tmp_path, recipe__curate=KEEP)
    run(tmp_path, recipe__curate=KEEP, **rewriting())
    run(tmp_path, recipe__curate=KEEP, **rewriting(fallback="drop"))
    pipeline = run(tmp_path, recipe__curate={"a4": 2.5, "a5": 3.2}, **rewriting())
    assert [snapshot.number for snapshot in snapshots(pipeline.ledger)] == [1, 2, 3, 4]
    ((kind, columns),) = {k for k in counted(pipeline, 1, 2) if "response," in k[1]}
    assert kind == "changed"
    assert columns.startswith("response, response_from, original_response, original_score")
    assert sum(counted(pipeline, 1, 2).values()) == 24
    assert counted(pipeline, 2, 3) == {
        ("removed", "not_rewritten"): 2,
        ("removed", "rewrite_leaks"): 2,
    }
    low = 24 - len(published(pipeline))
    assert low
    assert counted(pipeline, 2, 4) == {("removed", "below_a4"): low}


@pytest.mark.slow
def test_the_lake_table_has_one_schema_whatever_the_recipe(tmp_path: Path) -> None:
    import deltalake

    write_corpus(tmp_path, files=1)
    lake = {"placement__lake": {"uri": "lake"}}
    unfiltered = {"recipe__curate__filter": False}
    for changed in ({}, rewriting(rescore=True), unfiltered, {**rewriting(), **unfiltered}):
        pipeline = run(tmp_path, **lake, **changed)
        snapshot = latest(pipeline.ledger)
        assert snapshot is not None
        table = deltalake.DeltaTable(str(tmp_path / "lake")).to_pyarrow_table()
        rows = sorted(published(pipeline, snapshot.widest), key=lambda r: str(r["id"]))
        found = sorted(table.to_pylist(), key=lambda r: str(r["id"]))
        assert [{k: v for k, v in row.items() if k != "run"} for row in found] == rows
    assert {row["split"] for row in rows} == {"A5", "A4", "rest"}


@pytest.mark.slow
def test_the_card_says_that_responses_are_rewritten_and_by_what(tmp_path: Path) -> None:
    write_corpus(tmp_path, files=1)
    pipeline = run(tmp_path, recipe__curate__filter=False, **rewriting())
    snapshot = latest(pipeline.ledger)
    assert snapshot is not None
    card = (tmp_path / "out" / snapshot.folder / "README.md").read_text()
    assert "2408.04614" in card
    assert "| rewrite | scripted:default |" in card
    assert "| choose | 18 | 18 | 0 |" in card
    assert "| all | 18 | all |" in card
    plain = run(tmp_path, placement__root="plain").ledger
    there = latest(plain)
    assert there is not None
    assert "2408.04614" not in (tmp_path / "plain" / there.folder / "README.md").read_text()
