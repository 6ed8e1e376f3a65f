"""Judges of known minds: what each says of a pair stands in the response."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from backtrans.dialogue import Choose, Generate, Likelihood, Reply, Request

_SAYS = re.compile(r"(cheap|dear)=([0-9]+(?:[.][0-9]+)?)")


def _between(expectation: float) -> tuple[float, ...]:
    """Return a distribution over two neighbouring digits with this expectation."""
    low = min(int(expectation), 4)
    high = expectation - low
    return tuple(
        1 - high if digit == low else high if digit == low + 1 else 0.0 for digit in range(1, 6)
    )


def _said(request: Request, name: str) -> float:
    text = "\n".join(message.content for message in request.messages)
    found = dict(_SAYS.findall(text))
    return float(found.get(name, found.get("cheap", "3")))


def _judge(request: Request, name: str) -> Reply:
    match request.want:
        case Choose():
            return Reply(choice_probabilities=_between(_said(request, name)), off_choice_mass=0.01)
        case Generate():
            return Reply(f"It is so.\nScore: {round(_said(request, name))}", "stop")
        case Likelihood(continuation=text):
            return Reply(token_logprobs=tuple(-0.5 for _ in text.split()))


def cheap(request: Request, seed: int) -> Reply:
    return _judge(request, "cheap")


def dear(request: Request, seed: int) -> Reply:
    return _judge(request, "dear")


def never_sure(request: Request, seed: int) -> Reply:
    """Give no digit a probability: no score comes of it."""
    return Reply(off_choice_mass=1.0)


def judge(script: str = "cheap", **changes: Any) -> dict[str, Any]:
    model = {"path": f"scripted:tests.judge.judges:{script}", "engine": "scripted"}
    return {"model": model | changes.pop("model", {})} | changes


def write_judge(folder: Path, *judges: dict[str, Any], **sections: Any) -> Path:
    path = folder / "judge.yaml"
    found = {"judges": list(judges or [judge()])} | sections
    path.write_text(yaml.safe_dump({"judge": found}))
    return path


def pairs(says: Sequence[str], **columns: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": f"What is {number}?", "generation": f"It is {said}.", **columns}
        for number, said in enumerate(says)
    ]


def write_pairs(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
