"""Judges of known bias, and outputs of known worth, for evaluations without a model."""

import hashlib
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import yaml

from backtrans.dialogue import Choose, Generate, Reply, Request

_PAIR = re.compile(r"\n\nResponse A:\n(.*)\n\nResponse B:\n(.*)\Z", re.DOTALL)
_WORTH = re.compile(r"worth=(-?[0-9.]+)")


def responses(request: Request) -> tuple[str, str]:
    found = _PAIR.search(request.messages[0].content)
    assert found is not None
    return found[1], found[2]


def letters(a: float) -> Reply:
    return Reply(choice_probabilities=(a, 1.0 - a), off_choice_mass=0.01)


def likes_length(request: Request, seed: int) -> Reply:
    """Prefer the longer one, the more the longer it is, and nothing else."""
    assert isinstance(request.want, Choose)
    a, b = responses(request)
    return letters(1 / (1 + math.exp(-(len(a) - len(b)) / 40)))


def likes_the_first(request: Request, seed: int) -> Reply:
    return letters(0.9)


def likes_worth(request: Request, seed: int) -> Reply:
    """Prefer what is worth more, whatever stands first."""
    a, b = (float(found[1]) if (found := _WORTH.search(t)) else 0.0 for t in responses(request))
    return letters(1 / (1 + math.exp(b - a)))


def never_says(request: Request, seed: int) -> Reply:
    return Reply(off_choice_mass=1.0)


def answers_and_likes_length(request: Request, seed: int) -> Reply:
    """Play both sides: answer an instruction, or judge by length."""
    if isinstance(request.want, Generate):
        dice = random.Random(hashlib.sha256(request.messages[0].content.encode()).digest())
        return Reply("word " * dice.randint(1, 20), "stop")
    return likes_length(request, seed)


def outputs(generator: str, texts: list[str], dataset: str | None = None) -> list[dict[str, Any]]:
    """Return outputs in AlpacaEval's format, instructions numbered."""
    extra = {} if dataset is None else {"dataset": dataset}
    return [
        {"instruction": f"Question {number}?", "output": text, "generator": generator, **extra}
        for number, text in enumerate(texts, start=1)
    ]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_evaluation(folder: Path, script: str, **sections: Any) -> Path:
    """Write the file of an evaluation of ours.json against theirs.json by a scripted judge."""
    model = {"path": f"scripted:tests.evaluation.judges:{script}", "engine": "scripted"}
    found = {
        "candidate": {"outputs": "ours.json"},
        "reference": {"outputs": "theirs.json"},
        "judge": {"model": model},
        "resamples": 50,
    }
    path = folder / "evaluate.yaml"
    path.write_text(yaml.safe_dump({"evaluation": found | sections}))
    return path
