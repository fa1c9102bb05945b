"""From stored records to conclusions: indices with intervals, effect curves, pictures, the report."""

import importlib
from typing import Any

_EXPORTS = {
    "AnalysisError": "errors",
    "Budget": "until",
    "Comparison": "compare",
    "Difference": "index",
    "EffectCurve": "effects",
    "Ended": "until",
    "Enough": "enough",
    "Failures": "failures",
    "Index": "index",
    "LimitCost": "limit_result",
    "Limits": "limit_result",
    "LuckSplit": "luck",
    "Mediation": "mediation",
    "RankStability": "enough",
    "ResultsSource": "source",
    "Sensitivity": "result",
    "Stage": "until",
    "ToleranceAnswer": "tolerance.answer",
    "TooFewError": "errors",
    "VarianceMediation": "mediation",
    "analyze": "study",
    "compare_studies": "compare",
    "converge_results": "convergence",
    "delta_indices": "delta",
    "effect_curves": "effects",
    "find_tolerances": "tolerance.search",
    "hdmr_indices": "hdmr",
    "limit_costs": "limits",
    "morris_effects": "morris",
    "pawn_indices": "pawn",
    "rank_stability": "enough",
    "rbd_fast_indices": "rbd_fast",
    "read_tolerances": "tolerance.answer",
    "run_until": "until",
    "shapley_effects": "shapley",
    "sobol_indices": "sobol",
    "split_luck": "luck",
    "variance_mediation": "mediation",
    "write_comparison": "report.side_by_side",
    "write_report": "report",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
