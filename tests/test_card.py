"""The dataset card: its header opens the folder, its figures are the job's, nothing injects."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from backtrans.errors import ConfigError
from backtrans.pipeline import Pipeline
from backtrans.report.card import Card, CardModel
from tests.jobs import Silent, config, published, write_corpus


@dataclass(frozen=True)
class Stage:
    stage: str
    rows_in: int
    kept: int
    rejects: Mapping[str, int] = field(default_factory=dict)


CARD = Card(
    name="Pairs",
    license="odc-by",
    language=("en",),
    stages=[Stage("select", 1500, 1200, {"too_short": 300}), Stage("curate", 1200, 1000)],
    models=[CardModel("backward", "myx", "rev-1", "0123abcd")],
    recipe={"curate": {"a5": 4.5}},
    run="20261121T000000Z-abcdef",
    made_at="2026-11-21T00:00:00+00:00",
)
HISTOGRAM = [(3.75, 4.0, 0), (4.0, 4.25, 600), (4.25, 4.5, 0), (4.5, 4.75, 400)]


def rendered(card: Card = CARD, **rows: int) -> str:
    return card.rendered(rows or {"A5": 400, "A4": 1000}, HISTOGRAM).decode()


def header_of(card: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    return found


def test_datasets_opens_a_published_folder_by_its_card(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    pipeline = Pipeline(config(tmp_path))
    pipeline.run(Silent())
    snapshot = pipeline.status().snapshot
    assert snapshot is not None
    folder = tmp_path / "out" / snapshot.folder
    opened = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in opened.items()} == snapshot.rows
    assert opened["A5"]["id"][:] == [row["id"] for row in published(pipeline, "A5")]
    card = (folder / "README.md").read_text()
    for stage in pipeline.status().stages:
        assert f"| {stage.stage} | {stage.rows_in} | {stage.kept} |" in card


def test_the_header_says_licence_language_and_size() -> None:
    header = header_of(rendered())
    assert (header["license"], header["language"]) == ("odc-by", ["en"])
    assert header["size_categories"] == ["1K<n<10K"]
    assert header_of(rendered(A5=0, A4=999))["size_categories"] == ["n<1K"]
    assert header_of(rendered(A5=0, A4=10**7))["size_categories"] == ["10M<n<100M"]


def test_the_figures_are_in_the_text() -> None:
    card = rendered()
    assert "| select | 1,500 | 1,200 | 300 |" in card
    assert "| select | too\\_short | 300 | fewer characters" in card
    assert "| backward | myx | rev-1 | 0123abcd |" in card
    assert "  a5: 4.5\n" in card
    assert "taken down" not in card
    assert "200 of the rows kept are not in the splits" in rendered(A5=1, A4=800)


def test_answers_beside_the_splits_say_nothing_of_takedowns() -> None:
    distilled = replace(CARD, stages=[*CARD.stages, Stage("distill", 1000, 3, {"refused": 997})])
    assert "taken down" not in rendered(distilled)
    assert "200 of the rows kept are not in the splits" in rendered(distilled, A5=1, A4=800)


def test_the_bars_begin_at_the_first_score_and_are_as_long_as_their_rows_are_many() -> None:
    card = rendered()
    assert "| 3.75 |" not in card
    bars = {line.split(" | ")[0][2:]: line.count("█") for line in card.splitlines() if "█" in line}
    assert bars == {"4.00": 30, "4.50": 20}


@pytest.mark.parametrize(
    "words",
    [
        "a\n---\nlicense: mit",
        "x | y | z",
        "<script>alert(1)</script>",
        "[here](https://example.org)",
        "`code` **bold** _em_",
        "# heading\n\n## more",
        "```\n# out of the fence\n```",
        "{{ 7 * 7 }}",
    ],
)
def test_names_paths_and_settings_stay_words(words: str) -> None:
    plain = rendered()
    card = rendered(
        replace(
            CARD,
            name=words,
            models=[CardModel("backward", words, words, "0123abcd")],
            recipe={"corpus": {"paths": [words]}},
        )
    )
    assert header_of(card) == {**header_of(plain), "pretty_name": " ".join(words.split())}
    body = card.split("---\n", 2)[2]
    outside, fence, recipe = body.partition("What decided the result:\n\n")
    assert fence
    assert "<script>" not in outside
    assert "](https://example.org)" not in outside.replace("\\]", "")
    assert outside.count("\n#") == plain.split("What decided")[0].count("\n#")
    assert "\n---" not in outside
    marks = recipe[: len(recipe) - len(recipe.lstrip("`"))]
    assert recipe.count(marks) == 2, "nothing ends the fence before its end"
    assert yaml.safe_load(recipe.strip(f"{marks}\n").removeprefix("yaml")) == {
        "corpus": {"paths": [words]}
    }
    columns = next(line for line in outside.splitlines() if line.startswith("| backward |"))
    assert columns.replace("\\|", "").count("|") == 5


def test_a_licence_that_is_none_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"placement\.card\.license"):
        config(tmp_path, placement__card={"license": "my\nown"})


def test_the_card_is_no_part_of_the_recipe(tmp_path: Path) -> None:
    write_corpus(tmp_path)
    Pipeline(config(tmp_path)).run(Silent())
    watching = Silent()
    Pipeline(config(tmp_path, placement__card={"license": "cc0-1.0"})).run(watching)
    assert watching.phases == []
