"""Names runtimes, so that who chooses one imports neither."""

from collections.abc import Callable
from typing import Literal

from backtrans.work import Runtime


def unheard(line: str) -> None:
    """Hear a line and do nothing; a function of a module, since runtimes are pickled."""


def open_runtime(kind: Literal["local", "ray"], note: Callable[[str], None] = unheard) -> Runtime:
    """Return the runtime of that name, a context; Ray is imported when work is mapped.

    What a map waits for, where that is not the work itself, is said through `note`.
    """
    if kind == "local":
        from backtrans.runtime.local import LocalRuntime

        return LocalRuntime()
    from backtrans.runtime.ray_data import RayRuntime

    return RayRuntime(note)
