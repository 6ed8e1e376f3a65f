"""Models that are asked outside a run: the engine that serves them, and a role asked of many rows.

Promises: two models on one base share an engine; every row comes back, in order, with the role's
fields or with the reason for which there are none; an engine that was opened is closed.

Does not know: roles, what rows are, files, the ledger. What is asked here is committed nowhere.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from backtrans.conversing import Tally, converse
from backtrans.dialogue import Generate
from backtrans.engines.engine import IN_FLIGHT_SHARE, Engine, EngineSettings
from backtrans.engines.opening import open_engine
from backtrans.errors import ConfigError
from backtrans.own_loop import together
from backtrans.placement import EngineOptions
from backtrans.recipe import Model
from backtrans.recipe import Score as ScoreSettings
from backtrans.records import Reject, Row
from backtrans.roles.role import Role
from backtrans.roles.score import Score


def engine_settings(models: Mapping[str, Model], options: EngineOptions) -> EngineSettings:
    """Return the settings of the engine that serves models of one base; names are the adapters'.

    Raises: ConfigError for a model of others' whose endpoint is not named.
    """
    base = next(iter(models.values()))
    endpoint = options.endpoints.get(base.path)
    if base.engine == "openai" and endpoint is None:
        raise ConfigError(
            f"engine.endpoints: names no endpoint of {base.path!r}, which is of engine: openai"
        )
    return EngineSettings(
        kind=base.engine,
        model=base.path,
        revision=base.revision,
        adapters={name: m.adapter for name, m in models.items() if m.adapter},
        seed=base.seed,
        dtype=base.dtype,
        max_model_tokens=base.max_model_tokens,
        chat_template=base.chat_template,
        endpoint=endpoint if base.engine == "openai" else None,
        max_in_flight=options.max_in_flight or IN_FLIGHT_SHARE * options.max_sequences,
        **options.model_dump(exclude={"device", "endpoints", "max_in_flight"}),
    )


def score_role(settings: ScoreSettings, adapter: str | None) -> Score:
    """Return the judging role as a recipe has it."""
    said = settings.sampling
    sampling = Generate(said.max_tokens, said.temperature, said.top_p)
    return Score(
        settings.form,
        tuple(settings.signals),
        sampling,
        adapter=adapter,
        defences=settings.defences,
        prescore=settings.prescore,
    )


def same_base(one: Model, other: Model) -> bool:
    """Say whether two models differ in their adapters at most: one engine can serve both."""
    return without_adapter(one) == without_adapter(other)


def without_adapter(model: Model) -> Model:
    """Return the base that a model is an adapter of, or the model."""
    return model.model_copy(update={"adapter": None})


@contextmanager
def serving(settings: EngineSettings) -> Iterator[Engine]:
    """Lend a running engine. Raises: ConfigError, ModelError, EngineDead."""
    engine = open_engine(settings)
    try:
        yield engine
    finally:
        engine.close()


def answers(
    engine: Engine, role: Role, rows: Sequence[Row], tally: Tally | None = None
) -> list[Row | Reject]:
    """Ask a role about rows, all at once: the engine bounds what is in flight. Rows: N -> N.

    Each row has an `id`. Raises: EngineDead, ConfigError, DialogueBroken.
    """
    counted = tally or Tally()

    async def every() -> list[Row | Reject]:
        return await together([converse(role, row, engine, counted) for row in rows])

    return asyncio.run(every())
