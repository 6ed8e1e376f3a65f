"""Names runtimes, so that who chooses one imports neither."""

from typing import Literal

from backtrans.work import Runtime


def open_runtime(kind: Literal["local", "ray"]) -> Runtime:
    """Return the runtime of that name, a context; Ray is imported when work is mapped."""
    if kind == "local":
        from backtrans.runtime.local import LocalRuntime

        return LocalRuntime()
    from backtrans.runtime.ray_data import RayRuntime

    return RayRuntime()
