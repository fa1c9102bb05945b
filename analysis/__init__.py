"""From stored records to conclusions: indices with intervals, effect curves, pictures, the report."""

import importlib
from typing import Any

_EXPORTS = {
    "AnalysisError": "errors",
    "Difference": "result",
    "EffectCurve": "effects",
    "Index": "result",
    "ResultsSource": "source",
    "SobolResult": "result",
    "analyze": "study",
    "converge": "convergence",
    "effect_curves": "effects",
    "sobol_indices": "sobol",
    "write_report": "report",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
