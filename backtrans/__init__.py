"""Instruction backtranslation as a distributed job.

A shard is read, a role asks an engine, every row is kept or rejected with a reason, a part is put,
the ledger commits it. Read `backtrans.pipeline` first; for scoring alone, `backtrans.judge`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["InstructionBacktranslation", "__version__"]


def __getattr__(name: str) -> Any:
    """Import the judge at its first use: who runs a job needs none of it."""
    if name == "InstructionBacktranslation":
        judge = importlib.import_module("backtrans.judge.instruction_backtranslation")
        return judge.InstructionBacktranslation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
