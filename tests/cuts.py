"""Faults that come and go: a corpus of marked texts, reads that break, a store that is cut off."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backtrans.corpus import reader
from backtrans.corpus.document import Record, Unread
from backtrans.engines.scripted import IMPROBABLE, REFUSE, SILENT, UNFINISHED
from backtrans.records import Reject
from backtrans.stages import select
from backtrans.store import Store
from tests.jobs import document, write_jsonl

MARKED = {3: REFUSE, 5: SILENT, 12: UNFINISHED, 14: IMPROBABLE, 15: REFUSE, 22: IMPROBABLE}
"""Which documents of the corpus are faulty; 8 rows a shard make them fall into every shard."""

REASONS = {
    REFUSE: "refused",
    SILENT: "instruction_empty",
    UNFINISHED: "instruction_unfinished",
    IMPROBABLE: "digit_improbable",
}


def write_marked(folder: Path) -> None:
    """Write one file of 24 documents."""
    documents = [document(k) for k in range(24)]
    for number, marker in MARKED.items():
        documents[number]["text"] += f" {marker}"
    write_jsonl(folder / "corpus/part-0.jsonl.gz", documents)


def faulty_models(folder: Path, forward_seed: int = 0) -> dict[str, Any]:
    """Return models whose faults end when `folder/mended` is there."""
    model = {"path": f"scripted:default?mended_by={folder}/mended", "engine": "scripted"}
    return {"backward": model, "forward": {**model, "seed": forward_seed}}


@contextmanager
def misread(reason: str, rows: set[int]) -> Iterator[None]:
    """Have these rows of every object be refused by the reader, and end it at `unreadable_rest`."""

    def documents(*arguments: Any) -> Iterator[Record]:
        for row, record in reader.documents(*arguments):
            if row in rows:
                yield row, Unread(reject=Reject(reason, "a fault of the moment"))
                if reason == "unreadable_rest":
                    return
            else:
                yield row, record

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(select, "documents", documents)
        yield


class Cut(BaseException):
    """The process ended here."""


class CutOff:
    """Ends every process of a test before the nth change to a store, and counts the changes."""

    def __init__(self, nth: int = 0) -> None:
        self.changes = 0
        self._nth = nth

    @contextmanager
    def on(self) -> Iterator[None]:
        """Stand before the store's operations."""
        with pytest.MonkeyPatch.context() as patched:
            for name in ("put", "put_new", "delete", "get", "list", "exists"):
                changes = name in ("put", "put_new", "delete")
                patched.setattr(Store, name, self._cut(getattr(Store, name), changes))
            yield

    def _cut(self, operation: Any, changes: bool) -> Any:
        def cut(store: Store, *arguments: Any) -> Any:
            self.changes += changes
            if self._nth and self.changes >= self._nth:
                raise Cut
            return operation(store, *arguments)

        return cut
