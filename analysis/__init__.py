"""From stored records to conclusions: indices with intervals, effect curves, pictures, the report."""

import importlib
from typing import Any

_EXPORTS = {
    "AnalysisError": "errors",
    "Difference": "index",
    "EffectCurve": "effects",
    "Failures": "failures",
    "Index": "index",
    "LuckSplit": "luck",
    "ResultsSource": "source",
    "Sensitivity": "result",
    "ToleranceAnswer": "tolerance.answer",
    "analyze": "study",
    "converge": "convergence",
    "delta_indices": "delta",
    "effect_curves": "effects",
    "find_tolerances": "tolerance.search",
    "hdmr_indices": "hdmr",
    "morris_effects": "morris",
    "pawn_indices": "pawn",
    "read_tolerances": "tolerance.answer",
    "rbd_fast_indices": "rbd_fast",
    "shapley_effects": "shapley",
    "sobol_indices": "sobol",
    "split_luck": "luck",
    "write_report": "report",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
