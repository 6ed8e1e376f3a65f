"""Names runtimes, so that who chooses one imports neither."""

from collections.abc import Callable
from typing import Literal

from backtrans.work import Runtime


def open_runtime(
    kind: Literal["local", "ray"], note: Callable[[str], None] = lambda _: None
) -> Runtime:
    """Return the runtime of that name, a context; Ray is imported when work is mapped.

    What a map waits for, where that is not the work itself, is said through `note`.
    """
    if kind == "local":
        from backtrans.runtime.local import LocalRuntime

        return LocalRuntime()
    from backtrans.runtime.ray_data import RayRuntime

    return RayRuntime(note)
