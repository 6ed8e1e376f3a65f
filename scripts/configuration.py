"""The text of docs/configuration.md: every key of every file that a person writes.

Promises: a section stands once, where it first comes up, and is linked from everywhere else; a
default is what a file without the key gets.

Does not know: what a key means; the code says that (`notes`).
"""

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from backtrans.analysis.complexity import TaggingFile
from backtrans.config import Config, SelectorFile
from backtrans.evaluation.settings import EvaluationFile
from backtrans.finetuning import Finetune, Lora
from backtrans.judge.settings import JudgeFile
from backtrans.training.settings import PRESETS, LoraSettings, TrainingSettings
from scripts.notes import note_of

HEAD = """\
# Configuration reference

Written by `python scripts/reference.py write` from the models that read these files, so it is what
the program takes; do not edit. Files are YAML. An unknown key is an error, and so is a value of
another type: nothing is converted. Relative paths are taken from the folder of the file.
`backtrans schema` prints the same of a run's file as JSON schema, for an editor.

Numbers such as 2308.06259 are papers on arXiv. What the stages do with the keys of `recipe`:
[method.md](method.md).
"""

FILES = (
    (Config, "A run", "run.yaml", "What `backtrans run` and most other commands take."),
    (JudgeFile, "A judge", "judge.yaml", "What `backtrans score --judge` and `audit` take."),
    (EvaluationFile, "An evaluation", "evaluate.yaml", "What `backtrans evaluate` takes."),
    (TaggingFile, "A tagger", "tagger.yaml", "What `backtrans analyze --tagger` takes."),
    (SelectorFile, "A selector", "selector.yaml", "What `backtrans calibrate fit` writes."),
)

STANDS_FOR = {Finetune: TrainingSettings, Lora: LoraSettings}
"""Sections whose keys are another class's fields, and say there what they mean."""

BOUNDS = {Gt: ("gt", ">"), Ge: ("ge", ">="), Lt: ("lt", "<"), Le: ("le", "<=")}
PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false"}
REQUIRED = "**required**"


def document() -> str:
    """Return the whole document."""
    known: dict[type[Any], str] = {}
    body = []
    for kind, title, name, what in FILES:
        body.append(f"## {title}: {name}\n\n{what}")
        for path, section in _sections(kind):
            if section not in known:
                known[section] = path
                body.append(_section(path, section))
    contents = [f"- [{title}](#{anchor(f'{title}: {name}')})" for _, title, name, _ in FILES]
    text = "\n\n".join([HEAD.rstrip(), "\n".join(contents), *body]) + "\n"
    # Links are made last: only then is it known where each section stands.
    for section, path in known.items():
        text = text.replace(_mark(section), f"[`{path}`](#{anchor(path)})")
    return text


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    kept = (c for c in heading.lower() if c.isalnum() or c in " -_")
    return "".join(kept).replace(" ", "-")


def _mark(section: type[Any]) -> str:
    return f"\x00{section.__module__}.{section.__qualname__}\x00"


def is_section(kind: Any) -> bool:
    """Say whether a type is written as a mapping with keys of its own."""
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))


def keys_of(section: type[Any]) -> dict[str, tuple[Any, Any]]:
    """Return the type and the default of each key; the default is MISSING where it is required."""
    if issubclass(section, BaseModel):
        found = {}
        for name, field in section.model_fields.items():
            default = field.get_default(call_default_factory=True)
            metadata = tuple(field.metadata)
            kind = Annotated[field.annotation, *metadata] if metadata else field.annotation
            found[name] = (kind, MISSING if default is PydanticUndefined else default)
        return found
    hints = get_type_hints(section, include_extras=True)
    return {
        each.name: (
            hints[each.name],
            each.default_factory() if each.default_factory is not MISSING else each.default,
        )
        for each in fields(section)
    }


def _sections(section: type[Any], path: str = "") -> Iterator[tuple[str, type[Any]]]:
    if path:
        yield path, section
    for name, (kind, _) in keys_of(section).items():
        for below, mark in _within(kind):
            yield from _sections(below, f"{path}.{name}{mark}" if path else name + mark)


def _within(kind: Any, mark: str = "") -> Iterator[tuple[type[Any], str]]:
    """Yield the sections that a type holds, and the mark of what they lie in."""
    origin = get_origin(kind)
    if is_section(kind):
        yield kind, mark
    elif origin is Annotated:
        yield from _within(get_args(kind)[0], mark)
    elif origin in (Union, UnionType):
        for each in get_args(kind):
            yield from _within(each, mark)
    elif origin in (list, tuple):
        yield from _within(get_args(kind)[0], mark + "[]")
    elif origin is dict:
        yield from _within(get_args(kind)[1], mark + ".*")


def _section(path: str, section: type[Any]) -> str:
    said = inspect.cleandoc(section.__doc__ or "").split("Raises:")[0].strip()
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, (kind, default) in keys_of(section).items():
        meaning = _sentence(_meaning(section, name) or _summary(kind))
        cells = (f"`{name}`", _said(kind), _default(kind, _stood_for(section, name, default)))
        rows.append("| " + " | ".join(_cell(cell) for cell in (*cells, meaning)) + " |")
    parts = [f"### {path}", said and _sentence(said), "\n".join(rows)]
    if section is Finetune:
        parts.append(_presets())
    return "\n\n".join(part for part in parts if part)


def _stood_for(section: type[Any], name: str, default: Any) -> Any:
    """Return the default that counts where a section that stands for another lacks a key."""
    known = keys_of(STANDS_FOR[section]) if section in STANDS_FOR else {}
    return known[name][1] if default is None and name in known else default


def _meaning(section: type[Any], name: str) -> str:
    twin = STANDS_FOR.get(section)
    return note_of(section, name) or (note_of(twin, name) if twin else "")


def unexplained() -> list[str]:
    """Return the keys of which nothing says what they mean, with their places."""
    return [
        f"{path}.{name}"
        for kind, _, _, _ in FILES
        for path, section in _sections(kind)
        for name, (value, _) in keys_of(section).items()
        if not (_meaning(section, name) or _summary(value))
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _sentence(text: str) -> str:
    """Return a note as a sentence; a value that it begins with stays as it is written."""
    text = re.sub(r"\bdocs/(\w+\.md)", r"[docs/\1](\1)", re.sub(r"\bNone\b", "null", text))
    if not re.match(r"\w+:|null\b", text):
        text = text[:1].upper() + text[1:]
    return text if not text or text.endswith(".") else f"{text}."


def _summary(kind: Any) -> str:
    """Return what a section says of itself, for a key that says nothing more."""
    for section, _ in _within(kind):
        return re.split(r"(?<=\.)\s", inspect.cleandoc(section.__doc__ or ""))[0]
    return ""


def _said(kind: Any) -> str:
    """Say in words what a value may be."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is NoneType:
        return "`null`"
    if kind in PLAIN:
        return PLAIN[kind]
    if is_section(kind):
        return _mark(kind)
    if origin is Annotated:
        return _said(args[0]) + _bounds(kind.__metadata__)
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in args)
    if origin in (Union, UnionType):
        return ", or ".join(_said(each) for each in args)
    if origin is tuple and args[-1] is not Ellipsis:
        return f"[{', '.join(_said(each) for each in args)}]"
    if origin in (list, tuple):
        return f"list: {_said(args[0])}"
    if origin is dict:
        return f"mapping: {_said(args[0])}: {_said(args[1])}"
    raise TypeError(f"{kind}: how is this said?")


def _bounds(metadata: tuple[Any, ...]) -> str:
    said = ""
    for each in metadata:
        for bound, (attribute, sign) in BOUNDS.items():
            if isinstance(each, bound):
                said += f", {sign} {getattr(each, attribute)}"
        if isinstance(each, MinLen):
            said += f", {each.min_length} at least"
        elif (pattern := getattr(each, "pattern", None)) is not None:
            said += f" like `{pattern}`"
        elif (nested := getattr(each, "metadata", None)) is not None:
            said += _bounds(tuple(nested))
    return said


def _default(kind: Any, default: Any) -> str:
    if default is MISSING:
        return REQUIRED
    if is_section(type(default)):
        return _otherwise(type(default), default)
    return f"`{json.dumps(_plain(default), ensure_ascii=False)}`"


def _otherwise(section: type[Any], default: Any) -> str:
    """Say in which keys the default of a section is not what its own keys' defaults make it."""
    own = {name: value for name, (_, value) in keys_of(section).items()}
    differs = {
        name: _plain(getattr(default, name))
        for name, value in own.items()
        if value is MISSING or getattr(default, name) != value
    }
    return f"`{json.dumps(differs)}`" if differs else "see there"


def _plain(value: Any) -> Any:
    return TypeAdapter(type(value)).dump_python(value, mode="json")


def _presets() -> str:
    """Return a table of what the presets say otherwise than the defaults."""
    default = TrainingSettings()
    names = [name for name in keys_of(TrainingSettings) if name != "lora"]
    rows = [
        "What a preset says otherwise than the defaults above. Where the figures are from: the"
        " docstrings of `training/settings.py`.",
        "",
        "| | " + " | ".join(f"`{name}`" for name in PRESETS) + " |",
        "|---|" + "---|" * len(PRESETS),
    ]
    for name in names:
        values = [getattr(preset.settings, name) for preset in PRESETS.values()]
        if any(value != getattr(default, name) for value in values):
            shown = (f"`{json.dumps(_plain(value))}`" for value in values)
            rows.append(f"| `{name}` | " + " | ".join(shown) + " |")
    for name in ("sharded", "recompute"):
        shown = (f"`{json.dumps(getattr(preset, name))}`" for preset in PRESETS.values())
        rows.append(f"| `{name}` of `placement.training` | " + " | ".join(shown) + " |")
    return "\n".join(rows)
