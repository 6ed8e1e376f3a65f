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
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pydantic import ValidationError

from backtrans.errors import ConfigError, EngineDead, InputError
from backtrans.judge.account import Account, threshold_of
from backtrans.judge.cascade import Cascade, judge_fingerprint
from backtrans.judge.columns import TEXTS, found_columns
from backtrans.judge.files import Scoring
from backtrans.judge.judged import Judged, Names, schema
from backtrans.judge.parts import Texts
from backtrans.judge.settings import Judge, Judging, load_judging, run_judging
from backtrans.ledger import fingerprint
from backtrans.placement import EngineOptions
from backtrans.recipe import Model, Score
from backtrans.resolution import model_name
from backtrans.stages.ask import together

T = TypeVar("T")

_CLOSED = "this judge is closed"

Pair = Sequence[str] | Mapping[str, Any]
"""(instruction, generation), or an object with these two names."""

IN_FLIGHT = 2048
"""Pairs that wait for an engine at once. Source: several times what an engine has in flight (320);
more of them only take memory."""


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
        self._cascade: Cascade | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
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
        return self._wait(self._judged([(instruction, generation)]))[0]

    async def ajudge(self, instruction: str, generation: str) -> Judged:
        """Judge one pair. Raises: ConfigError, ModelError, EngineDead."""
        return (await self._await(self._judged([(instruction, generation)])))[0]

    def judge_pairs(self, pairs: Iterable[Pair]) -> list[Judged]:
        """Judge pairs, as many at once as an engine takes. Rows: N -> N, same order.

        Raises: InputError for what is no pair, ConfigError, ModelError, EngineDead.
        """
        return self._wait(self._judged([_pair(each) for each in pairs]))

    async def ajudge_pairs(self, pairs: Iterable[Pair]) -> list[Judged]:
        """Judge pairs. Rows: N -> N, same order. Raises: as `judge_pairs`."""
        return await self._await(self._judged([_pair(each) for each in pairs]))

    def judge_counted(self, pairs: Iterable[Pair]) -> tuple[list[Judged], Account]:
        """Judge pairs, and say what it cost. Rows: N -> N, same order. Raises: as `judge_pairs`."""
        account = Account()
        return self._wait(self._counted([_pair(each) for each in pairs], account)), account

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
            rows = [each.to_dict(names) for each in self._wait(self._judged(list(texts)))]
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
            submit=self._submit_batch,
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
            cascade, self._cascade = self._cascade, None
            loop, self._loop = self._loop, None
            if loop is not None:  # who waits for an answer hears that there will be none
                asyncio.run_coroutine_threadsafe(_end_all(), loop).result()
            if cascade is not None:
                cascade.close()
            if loop is not None and self._thread is not None:
                loop.call_soon_threadsafe(loop.stop)
                self._thread.join()
                loop.close()

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

    def _opened(self) -> tuple[Cascade, asyncio.AbstractEventLoop]:
        with self._lock:
            if self._closed:
                raise EngineDead(_CLOSED)
            if self._cascade is None:
                self._cascade = Cascade(self.judging, compare_all=self._compare_all)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, daemon=True, name="judge"
                )
                self._thread.start()
            return self._cascade, self._loop

    # ------------------------------------------------------------------ the judge's own loop

    async def _judged(self, pairs: Texts) -> list[Judged]:
        account = Account()
        return await self._counted(pairs, account)

    async def _counted(self, pairs: Texts, account: Account) -> list[Judged]:
        cascade = self._cascade
        assert cascade is not None
        found: list[Judged] = []
        left = iter(pairs)
        while some := list(islice(left, IN_FLIGHT)):
            found += await together(
                [
                    cascade.judge(instruction, generation, account.costs)
                    for instruction, generation in some
                ]
            )
        threshold = threshold_of(self.judging.judges)
        for each in found:
            account.add(each, threshold)
        return found

    def _submit_batch(self, pairs: Texts) -> "Future[tuple[list[Judged], Account]]":
        async def batch() -> tuple[list[Judged], Account]:
            account = Account()
            return await self._counted(pairs, account), account

        return self._submit(batch())

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        try:
            _, loop = self._opened()
        except BaseException:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        future = self._submit(work)
        try:
            return future.result()
        except CancelledError:
            raise EngineDead(_CLOSED) from None
        except BaseException:
            future.cancel()  # an interrupted caller asks no more
            raise

    async def _await(self, work: Coroutine[Any, Any, T]) -> T:
        # A model takes seconds to load: the caller's loop goes on meanwhile.
        future = await asyncio.to_thread(self._submit, work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if self._closed:  # closing cancelled it, not the caller
                raise EngineDead(_CLOSED) from None
            raise


async def _end_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _pair(each: Pair) -> tuple[Any, Any]:
    if isinstance(each, Mapping):
        missing = [name for name in TEXTS if name not in each]
        if missing:
            raise InputError(f"a pair has no {missing[0]!r}; it has {', '.join(map(str, each))}")
        return each["instruction"], each["generation"]
    if not isinstance(each, tuple | list) or len(each) != 2:
        raise InputError(f"a pair is (instruction, generation), not {each!r:.60}")
    return each[0], each[1]
