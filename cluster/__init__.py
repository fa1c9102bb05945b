"""Where and how a study runs: the Ray executor and the command line."""

import importlib
from typing import Any

_EXPORTS = {"LiveView": "progress", "RayExecutor": "ray_executor", "main": "cli"}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
