"""Opening the engine that settings name.

Does not know: what engines need beyond their settings. An engine's own module is imported only when
it is asked for, so that a process without models loads none of their libraries.
"""

from backtrans.engines.engine import Engine, EngineSettings
from backtrans.errors import ConfigError

KINDS = ("vllm", "openai", "scripted")


def open_engine(settings: EngineSettings) -> Engine:
    """Open an engine. Raises: ConfigError (unknown kind), ModelError (bad folders)."""
    match settings.kind:
        case "scripted":
            from backtrans.engines.scripted import ScriptedEngine

            return ScriptedEngine(settings)
        case "vllm":
            from backtrans.engines.vllm_engine import VllmEngine

            return VllmEngine(settings)
        case "openai":
            from backtrans.engines.openai_engine import OpenaiEngine

            return OpenaiEngine(settings)
    raise ConfigError(f"unknown engine kind {settings.kind!r}; it is one of {', '.join(KINDS)}")
