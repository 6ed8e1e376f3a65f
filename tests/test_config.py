"""The configuration: what is wrong in it is said by name, and nothing in it is guessed."""

from pathlib import Path

import pytest
import yaml

from backtrans.config import Config, differences, load
from backtrans.errors import ConfigError

EVERY = sorted((Path(__file__).parent.parent / "examples").glob("*.yaml"))
EXAMPLES = [path for path in EVERY if "recipe" in yaml.safe_load(path.read_bytes())]
"""Of runs; those of evaluations and judges are loaded in tests/evaluation and tests/judge."""

SMALLEST = """
recipe:
  corpus:
    paths: [docs/*.jsonl.gz]
  models:
    backward: {path: ./m}
    forward: {path: ./m}
placement:
  root: out
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_shipped_example_loads(example: Path) -> None:
    assert isinstance(load(example), Config)


def test_there_are_examples_to_load() -> None:
    assert len(EXAMPLES) >= 3


def test_relative_paths_are_taken_from_the_files_own_folder(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALLEST))
    assert config.placement.root == str(tmp_path / "out")
    assert config.recipe.corpus.paths == [str(tmp_path / "docs/*.jsonl.gz")]
    assert config.recipe.models.backward.path == str(tmp_path / "m")


def test_a_path_that_leads_out_of_the_files_folder_is_told_without_detours(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    config = load(written(tmp_path / "a/b", SMALLEST.replace("root: out", "root: ../../out")))
    assert config.placement.root == str(tmp_path / "out")
    kept = load(written(tmp_path, SMALLEST.replace("root: out", "root: link/../out")))
    assert kept.placement.root == str(tmp_path / "link/../out")  # where a link leads is its own


def test_a_hub_id_and_an_s3_url_are_left_as_they_are(tmp_path: Path) -> None:
    text = SMALLEST.replace("./m", "org/model").replace("root: out", "root: s3://bucket/out")
    config = load(written(tmp_path, text))
    assert config.recipe.models.backward.path == "org/model"
    assert config.placement.root == "s3://bucket/out"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("root: out", "rooot: out", ["placement.rooot: unknown key", "'root'"]),
        ("paths: [", "path: [", ["recipe.corpus.path: unknown key", "'paths'"]),
        ("placement:", "placment:", ["placment: unknown key", "'placement'"]),
        ("backward: {path: ./m}", "backward: {path: ./m, adaptor: x}", ["adaptor", "'adapter'"]),
        (
            "root: out",
            "shard_rows: 9\n  root: out",
            ["placement.shard_rows", "mean recipe.corpus.s"],
        ),
        ("[docs/*.jsonl.gz]", "docs", ["recipe.corpus.paths", "a list", "'docs'"]),
        ("root: out", "root: 5", ["placement.root", "5"]),
        ("root: out", "runtime: slurm\n  root: out", ["placement.runtime", "'slurm'"]),
        ("paths: [docs/*.jsonl.gz]", "paths: []", ["recipe.corpus.paths"]),
        ("[docs/*.jsonl.gz]", "[a]\n    shard_rows: 0", ["recipe.corpus.shard_rows"]),
        ("[docs/*.jsonl.gz]", "[a]\n    shard_rows: '9'", ["recipe.corpus.shard_rows", "'9'"]),
        ("[docs/*.jsonl.gz]", "[a]\n    columns: {txt: b}", ["recipe.corpus.columns", "txt"]),
        ("placement:", "  curate: {a4: 4.6, a5: 4.5}\nplacement:", ["recipe.curate", "A5"]),
        ("placement:", "  select: {min_chars: 9, max_chars: 8}\nplacement:", ["recipe.select"]),
        ("placement:", "  curate: {floors: {pmi: 0.0}}\nplacement:", ["score.signals", "pmi"]),
        ("  models:\n    backward: {path: ./m}\n", "  models:\n", ["models.backward", "missing"]),
        ("placement:", "  score: {}\n  score: {}\nplacement:", ["'score' stands twice", "line 9"]),
        ("root: out", "engines: {min: 2}\n  root: out", ["placement.engines", "below min: 2"]),
        (
            "placement:",
            "    rewrite: {path: ./m, trained: true}\nplacement:",
            ["models.rewrite.trained", "only backward and forward"],
        ),
    ],
)
def test_a_wrong_key_or_value_is_named(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert old in SMALLEST
    path = written(tmp_path, SMALLEST.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_what_is_wrong_between_two_keys_is_said_without_the_section_that_holds_them(
    tmp_path: Path,
) -> None:
    path = written(
        tmp_path, SMALLEST.replace("placement:", "  rewrite: {enabled: true}\nplacement:")
    )
    with pytest.raises(ConfigError, match=r"recipe: rewrite\.enabled needs a model: add \S+$"):
        load(path)


def test_a_key_of_a_section_leaves_the_others_as_that_section_has_them(tmp_path: Path) -> None:
    sections = "  score: {sampling: {temperature: 0.7}}\nplacement:\n  readers: {max: 4}"
    found = load(written(tmp_path, SMALLEST.replace("placement:", sections)))
    assert found.recipe.score.sampling.max_tokens == 512
    assert found.placement.readers.in_flight == 1


def test_a_tab_in_the_file_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.yaml: is not YAML: [^<]*line 2"):
        load(written(tmp_path, "recipe:\n\tcorpus: 1\n"))


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\x00", "recipe"])
def test_what_is_no_mapping_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load(path)


def test_a_missing_file_is_a_configuration_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        load(tmp_path / "nowhere.yaml")


def test_every_wrong_key_is_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, SMALLEST.replace("root", "rooot").replace("paths", "path"))
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "rooot" in str(caught.value)
    assert "corpus.path:" in str(caught.value)


def test_a_recipe_change_is_told_field_by_field(tmp_path: Path) -> None:
    old = load(written(tmp_path, SMALLEST)).recipe.model_dump()
    raw = yaml.safe_load(SMALLEST)
    raw["recipe"]["curate"] = {"a5": 4.25}
    raw["recipe"]["score"] = {"form": "reasoned"}
    new = load(written(tmp_path, yaml.safe_dump(raw))).recipe.model_dump()
    assert differences(old, old) == []
    assert differences(old, new) == [
        "score.form: 'constrained' -> 'reasoned'",
        "curate.a5: 4.5 -> 4.25",
    ]


def test_an_unknown_key_in_a_section_that_may_be_left_out_is_named_too(tmp_path: Path) -> None:
    text = SMALLEST + "  lake: {uri: x, url: y}\n"
    with pytest.raises(ConfigError, match=r"placement\.lake\.url: unknown key.*'uri'"):
        load(written(tmp_path, text))
