"""One YAML file for a run, strict, in two halves.

`recipe` decides the result: what a stage depends on in it enters that stage's fingerprint.
`placement` says where and how: it is recorded with the run and changes nothing that is committed.

Promises: an unknown key is an error that names the key and the nearest one that exists; a value of
the wrong type is an error that names its path; nothing is read from the environment.

Does not know: stores, engines, Ray. Only `pipeline` reads a `Config`; the rest takes plain values.
"""

import difflib
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError, model_validator

from backtrans.errors import ConfigError, plain
from backtrans.models import REGISTERED
from backtrans.placement import Lake, Placement
from backtrans.recipe import Model, Recipe
from backtrans.section import Section
from backtrans.thresholds import Selector

S = TypeVar("S", bound=Section)


class SelectorFile(Section):
    """What `backtrans calibrate fit` writes."""

    selector: Selector


class Config(Section):
    """A run."""

    recipe: Recipe
    placement: Placement

    @model_validator(mode="after")
    def _served_models_have_endpoints(self) -> "Config":
        known = self.placement.engine.endpoints
        for part, model in self.recipe.models:
            if model and model.engine == "openai" and model.path not in known:
                raise ValueError(
                    f"recipe.models.{part} is served by others: say where, under"
                    f" placement.engine.endpoints.{model.path}"
                )
        return self


def load(path: Path) -> Config:
    """Read a configuration; local relative paths in it are taken from its own folder.

    Raises: ConfigError that names the file and every key at fault.
    """
    return _selecting(_anchored(checked(path, Config), path.resolve().parent), path)


class _Strict(yaml.SafeLoader):
    """YAML without keys that stand twice in one mapping: the second would replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen - {"<<"}:
                said = f"the key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def checked(path: Path, kind: type[S]) -> S:
    """Read a YAML file that is a section of this kind, as it stands.

    Raises: ConfigError that names the file and every key at fault.
    """
    try:
        raw = yaml.load(path.read_bytes(), Loader=_Strict)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {plain(error)}") from error
    except yaml.YAMLError as error:
        words = str(error).replace(' in "<byte string>",', " at")
        raise ConfigError(f"{path}: is not YAML: {words}") from error
    if not isinstance(raw, dict):
        needed = " and ".join(kind.model_fields)
        raise ConfigError(f"{path}: holds no mapping; it needs the keys {needed}")
    try:
        # As JSON: its lists are tuples where settings hold tuples, and nothing else is converted.
        return kind.model_validate_json(json.dumps(raw, default=str))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValidationError as error:
        lines = [f"  {_explain(detail, kind)}" for detail in error.errors()]
        raise ConfigError("\n".join([f"{path}: {len(lines)} error(s)", *lines])) from error


def _explain(detail: Any, kind: type[Section]) -> str:
    # In brackets stand pydantic's marks of what a part is, no keys.
    location = [part for part in detail["loc"] if not str(part).startswith("[")]
    where = ".".join(str(part) for part in location)
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _fields_at(location[:-1], kind)
        meant = _meant(str(location[-1]), known, kind)
        return f"{where}: unknown key; did you mean {meant}? Known: {', '.join(known)}"
    if detail["type"] == "missing":
        return f"{where}: required, and missing"
    message = str(detail["msg"]).removeprefix("Value error, ").replace("valid array", "list: [...]")
    if isinstance(detail["input"], dict):  # a section: the message says what of it
        return f"{where}: {message}" if where else message
    return f"{where}: {message} (is {detail['input']!r})" if where else message


def _meant(key: str, known: list[str], kind: type[Section]) -> str:
    """Return which key may have been meant: one with this name elsewhere, else the nearest here."""
    elsewhere = [] if difflib.get_close_matches(key, known, n=1) else _places(key, kind)
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    return " or ".join(elsewhere) or repr(nearest[0])


def _places(key: str, section: Any, at: str = "") -> list[str]:
    """Return where in a file a key has its place."""
    found: list[str] = []
    for name, inner in _types(section).items():
        where = f"{at}.{name}" if at else name
        found += [where] if name == key else _places(key, inner, where)
    return found


def _fields_at(location: list[Any], kind: type[Section]) -> list[str]:
    section: Any = kind
    for part in location:
        mapped = get_origin(section) is dict
        if isinstance(part, int):
            section = get_args(section)[0]
        else:
            section = get_args(section)[1] if mapped else _types(section).get(part)
    return list(_types(section))


def _types(section: Any) -> dict[str, Any]:
    """Return the fields of a section, or of the settings that stand as one, and their types."""
    if get_origin(section) in (Union, UnionType):  # a section that may be left out
        section = next(each for each in get_args(section) if each is not NoneType)
    if get_origin(section) is Annotated:
        section = get_args(section)[0]
    if isinstance(section, type) and issubclass(section, BaseModel):
        return {name: field.annotation for name, field in section.model_fields.items()}
    return {field.name: field.type for field in fields(section)} if is_dataclass(section) else {}


def anchored(path: str, folder: Path) -> str:
    """Return a local path as one from this folder, so that it is found from anywhere."""
    if "://" in path or path.startswith(REGISTERED):
        return path
    steps = Path(path).expanduser().parts
    while steps[:1] == ("..",):  # as a person would write it; later ones may go through a link
        steps, folder = steps[1:], folder.parent
    return str(folder.joinpath(*steps))


def anchored_model(model: Model, folder: Path) -> Model:
    """Return a model whose folders are found from anywhere."""
    if model.engine == "openai":  # names, not folders
        return model
    # A name without a folder of that name beside the file is a hub id and stays as it is.
    local = model.path.startswith((".", "/", "~")) or (folder / model.path).is_dir()
    return model.model_copy(
        update={
            "path": anchored(model.path, folder)
            if local and model.engine == "vllm"
            else model.path,
            "adapter": model.adapter and anchored(model.adapter, folder),
        }
    )


def _anchored(config: Config, folder: Path) -> Config:
    """Make relative local paths absolute, so that workers elsewhere in the file tree find them."""

    def at(path: str) -> str:
        return anchored(path, folder)

    recipe, placement = config.recipe, config.placement
    named = {part: anchored_model(m, folder) for part, m in recipe.models if m is not None}
    models = recipe.models.model_copy(update=named)
    corpus = recipe.corpus.model_copy(update={"paths": [at(p) for p in recipe.corpus.paths]})
    training = recipe.training
    if training is not None:
        sources = {"seed": training.seed, "replay": training.replay}
        paths = {
            name: source.model_copy(update={"paths": [at(p) for p in source.paths]})
            for name, source in sources.items()
            if source is not None
        }
        training = training.model_copy(update=paths)
    evaluations = recipe.select.evaluations
    sets = [each.model_copy(update={"path": at(each.path)}) for each in evaluations.sets]
    select = recipe.select.model_copy(
        update={"evaluations": evaluations.model_copy(update={"sets": sets})}
    )
    return config.model_copy(
        update={
            "recipe": recipe.model_copy(
                update={"models": models, "corpus": corpus, "select": select, "training": training}
            ),
            "placement": placement.model_copy(
                update={
                    "root": at(placement.root),
                    "lake": placement.lake and Lake(uri=at(placement.lake.uri)),
                }
            ),
        }
    )


def _selecting(config: Config, path: Path) -> Config:
    """Put the content of a selector's file in the place of its name."""
    recipe = config.recipe
    if not isinstance(named := recipe.curate.selector, str):
        return config
    selector = checked(Path(anchored(named, path.resolve().parent)), SelectorFile).selector
    curate = recipe.curate.model_copy(update={"selector": selector})
    recipe = recipe.model_copy(update={"curate": curate})
    try:
        recipe.check_signals()
    except ValueError as error:
        raise ConfigError(f"{path}: recipe: {error}") from error
    return config.model_copy(update={"recipe": recipe})


def differences(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """Compare two recipes field by field: "curate.a5: 4.5 -> 4.4" a line, in the fields' order."""
    lines: list[str] = []
    for key in dict.fromkeys([*old, *new]):
        where = f"{at}.{key}" if at else key
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, where)
        elif before != after:
            lines.append(f"{where}: {before!r} -> {after!r}")
    return lines
