"""How much of each nonideality can be tolerated: searches with Optuna, answers confirmed with fresh seeds."""

import importlib
from typing import Any

_EXPORTS = {
    "Crossing": "crossing",
    "FrontPoint": "answer",
    "Tolerance": "answer",
    "ToleranceAnswer": "answer",
    "find_crossing": "crossing",
    "find_tolerances": "search",
    "read_tolerances": "answer",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
