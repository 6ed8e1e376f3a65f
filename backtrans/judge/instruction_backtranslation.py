"""Scoring pairs from Python: `InstructionBacktranslation`, for one pair, many, a dataset or a file.

    with InstructionBacktranslation("models/judge", form="reasoned") as judge:
        judge.judge("How do I bake bread?", "Mix flour and water ...").expectation

Promises: every pair comes back, in order, with a score or the reason why it has none; a judge is
opened at the first pair and closed once; calls may come from threads and from coroutines of any
event loop, a notebook's too, since the judge has an event loop of its own, in a thread.

Does not know: how judges decide, what files hold.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic import ValidationError

from backtrans.errors import ConfigError, EngineDead, InputError
from backtrans.judge.account import Account, threshold_of
from backtrans.judge.cascade import Cascade, judge_fingerprint
from backtrans.judge.columns import TEXTS, found_columns
from backtrans.judge.files import Batch, Scoring
from backtrans.judge.judged import Judged, Names, schema
from backtrans.judge.parts import Texts
from backtrans.judge.settings import Judge, Judging, load_judging, run_judging
from backtrans.ledger import fingerprint
from backtrans.own_loop import OwnLoop, together
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Score
from backtrans.resolution import model_name

Pair = Sequence[str] | Mapping[str, Any]
"""(instruction, generation), or an object with these two names."""

IN_FLIGHT = 2048
"""Pairs that wait for an engine at once. Source: four times `MAX_IN_FLIGHT`; more of them only take
memory."""

CLOSED = "this judge is closed"
"""What who comes too late hears."""


class InstructionBacktranslation:
    """A judge of pairs, or several from cheap to dear."""

    def __init__(
        self,
        model: str | Path | Model | Judging,
        *,
        form: str = "constrained",
        signals: Sequence[str] = (),
        engine_options: EngineOptions | None = None,
        compare_all: bool = False,
        **settings: Any,
    ) -> None:
        """Prepare a judge: nothing is loaded before the first pair.

        `model` is a folder or a hub id, and `settings` are the fields of `recipe.models.forward`
        beside its path; or it is the whole of a judge's file. Raises: ConfigError.
        """
        if isinstance(model, Judging):
            if settings or signals or engine_options or form != "constrained":
                raise ConfigError("a judge's file says form, signals and engine itself")
            self.judging = model
        else:
            try:
                if not isinstance(model, Model):
                    model = Model(path=str(model), **settings)
                elif settings:
                    raise ConfigError(f"a Model says {', '.join(settings)} itself")
                score = Score.model_validate({"form": form, "signals": list(signals)})
                judge = Judge(model=model, score=score)
                self.judging = Judging(judges=[judge], engine=engine_options or EngineOptions())
            except ValidationError as error:
                raise ConfigError(f"this is no judge: {error}") from error
        self._compare_all = compare_all
        self._lock = threading.Lock()
        self._running: tuple[Cascade, OwnLoop] | None = None
        self._closed = False

    @classmethod
    def from_file(cls, path: str | Path, **options: Any) -> "InstructionBacktranslation":
        """Return the judge of a judge's file. Raises: ConfigError."""
        return cls(load_judging(Path(path)), **options)

    @classmethod
    def from_run(cls, path: str | Path, **options: Any) -> "InstructionBacktranslation":
        """Return the judge of a run's file: its forward model, asked as the run asks it.

        Raises: ConfigError, ModelError, StoreError.
        """
        return cls(run_judging(Path(path)), **options)

    @property
    def model(self) -> str:
        """What the last judge's model is called: the dearest."""
        return model_name(self.judging.judges[-1].model)

    # ------------------------------------------------------------------ asking

    def judge(self, instruction: str, generation: str) -> Judged:
        """Judge one pair. Raises: ConfigError, ModelError, EngineDead."""
        return self._ask([(instruction, generation)])[0][0]

    async def ajudge(self, instruction: str, generation: str) -> Judged:
        """Judge one pair. Raises: ConfigError, ModelError, EngineDead."""
        return (await self._ask_from_afar([(instruction, generation)]))[0][0]

    def judge_pairs(self, pairs: Iterable[Pair]) -> list[Judged]:
        """Judge pairs, as many at once as an engine takes. Rows: N -> N, same order.

        Raises: InputError for what is no pair, ConfigError, ModelError, EngineDead.
        """
        return self._ask([_pair(each) for each in pairs])[0]

    async def ajudge_pairs(self, pairs: Iterable[Pair]) -> list[Judged]:
        """Judge pairs. Rows: N -> N, same order. Raises: as `judge_pairs`."""
        return (await self._ask_from_afar([_pair(each) for each in pairs]))[0]

    def judge_counted(self, pairs: Iterable[Pair]) -> tuple[list[Judged], Account]:
        """Judge pairs, and say what it cost. Rows: N -> N, same order. Raises: as `judge_pairs`."""
        return self._ask([_pair(each) for each in pairs])

    def judge_dataset(
        self,
        dataset: Any,
        *,
        instruction: str = "instruction",
        generation: str | None = None,
        names: Names = "dria",
    ) -> Any:
        """Return a `datasets.Dataset` with the judgement's columns beside its own. Rows: N -> N.

        Its own columns of the same names are called `input_...`. Raises: InputError for a column
        that is not there, ConfigError, ModelError, EngineDead.
        """
        import datasets
        import pyarrow as pa

        columns = found_columns("the dataset", dataset.column_names, instruction, generation)
        pairs = dataset.select_columns([columns.instruction, columns.generation])
        wanted = schema(names)
        tables = []
        for start in range(0, len(pairs), IN_FLIGHT):
            found = pairs[start : start + IN_FLIGHT]
            texts = zip(found[columns.instruction], found[columns.generation], strict=True)
            rows = [each.to_dict(names) for each in self._ask(list(texts))[0]]
            tables.append(pa.Table.from_pylist(rows, schema=wanted))
        if not tables:  # datasets would leave out the columns of no rows
            kept = columns.output_schema(dataset.features.arrow_schema, names)
            return datasets.Dataset(kept.empty_table())
        judged = datasets.Dataset(pa.concat_tables(tables))
        renamed = columns.kept(dataset.column_names, names)
        if not renamed:
            return judged
        kept = dataset.select_columns(list(renamed))
        kept = kept.rename_columns({old: new for old, new in renamed.items() if old != new})
        return datasets.concatenate_datasets([kept, judged], axis=1)

    def judge_file(
        self,
        path: str | Path,
        out: str | Path,
        *,
        instruction: str = "instruction",
        generation: str | None = None,
        names: Names = "dria",
        overwrite: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> Account:
        """Judge a file's pairs into another file, whole at its end; called again, go on.

        Raises: InputError, ConfigError, ModelError, EngineDead.
        """
        scoring = Scoring(
            judge=fingerprint(judge_fingerprint(self.judging), self._compare_all),
            submit=self._submit,
            settings=self.judging.model_dump(mode="json"),
            instruction=instruction,
            generation=generation,
            names=names,
            overwrite=overwrite,
            say=say,
        )
        return scoring.file(Path(path), Path(out))

    # ------------------------------------------------------------------ opening and closing

    def close(self) -> None:
        """Close the engines; may be called twice. A closed judge judges nothing more."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
            if running is not None:
                cascade, loop = running
                loop.close()  # first: who waits for an answer hears that there will be none
                cascade.close()

    def __enter__(self) -> "InstructionBacktranslation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> "InstructionBacktranslation":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    # ------------------------------------------------------------------ in the judge's own loop

    def _opened(self) -> tuple[Cascade, OwnLoop]:
        with self._lock:
            if self._closed:
                raise EngineDead(CLOSED)
            if self._running is None:
                cascade = Cascade(self.judging, compare_all=self._compare_all)
                self._running = (cascade, OwnLoop("judge", CLOSED))
            return self._running

    def _ask(self, pairs: Texts) -> Batch:
        cascade, loop = self._opened()
        return loop.wait(self._counted(cascade, pairs))

    async def _ask_from_afar(self, pairs: Texts) -> Batch:
        # A model takes seconds to load: the caller's loop goes on meanwhile.
        cascade, loop = await asyncio.to_thread(self._opened)
        return await loop.awaited(self._counted(cascade, pairs))

    def _submit(self, pairs: Texts) -> "Future[Batch]":
        cascade, loop = self._opened()
        return loop.submit(self._counted(cascade, pairs))

    async def _counted(self, cascade: Cascade, pairs: Texts) -> Batch:
        account, found = Account(), list[Judged]()
        left = iter(pairs)
        while some := list(islice(left, IN_FLIGHT)):
            found += await together(
                [cascade.judge(asked, said, account.costs) for asked, said in some]
            )
        threshold = threshold_of(self.judging.judges)
        for each in found:
            account.add(each, threshold)
        return found, account


def _pair(each: Pair) -> tuple[Any, Any]:
    if isinstance(each, Mapping):
        missing = [name for name in TEXTS if name not in each]
        if missing:
            raise InputError(f"a pair has no {missing[0]!r}; it has {', '.join(map(str, each))}")
        return each["instruction"], each["generation"]
    if not isinstance(each, tuple | list) or len(each) != 2:
        raise InputError(f"a pair is (instruction, generation), not {each!r:.60}")
    return each[0], each[1]
