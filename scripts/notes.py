"""What the code says of a class's fields, where it says it: in the docstring under a field, else in
the comment beside it, else in the comment above it.

pydantic reads the docstrings of its own models alone; settings that are dataclasses, and comments,
are read here from the source. Does not know: what a field is for, how it is shown.
"""

import ast
import inspect
import re
import tokenize
from functools import cache
from io import StringIO
from types import ModuleType
from typing import Any

_DIRECTIVE = re.compile(r"#\s*(noqa|fmt|type:|pragma)")


def note_of(kind: type[Any], name: str) -> str:
    """Return what is said of a field, by the class itself or the nearest one above it; "" for none.

    A comment that goes on in the next field's begins and ends in dots; these are not part of it.
    """
    for each in kind.__mro__:
        module = inspect.getmodule(each)
        if module is not None and each.__module__.startswith("backtrans"):
            said = _notes(module).get((each.__qualname__, name))
            if said:
                return said
    return ""


@cache
def _notes(module: ModuleType) -> dict[tuple[str, str], str]:
    source = inspect.getsource(module)
    comments = _comments(source)
    lines = source.splitlines()
    found = {}
    for kind in ast.walk(ast.parse(source)):
        if not isinstance(kind, ast.ClassDef):
            continue
        for number, field in enumerate(kind.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                following = kind.body[number + 1] if number + 1 < len(kind.body) else None
                said = _docstring(following) or _beside(field, comments) or _above(field, lines)
                found[kind.name, field.target.id] = " ".join(said.split())
    return found


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT and not _DIRECTIVE.match(token.string)
    }


def _docstring(following: ast.stmt | None) -> str:
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return str(following.value.value)
    return ""


def _beside(field: ast.AnnAssign, comments: dict[int, str]) -> str:
    return comments.get(field.end_lineno or field.lineno, "")


def _above(field: ast.AnnAssign, lines: list[str]) -> str:
    said: list[str] = []
    number = field.lineno - 2
    while number >= 0 and lines[number].strip().startswith("#"):
        said.insert(0, lines[number].strip().lstrip("# "))
        number -= 1
    text = " ".join(said).removeprefix("... ").removesuffix(" ...")
    return text[:1].upper() + text[1:]
