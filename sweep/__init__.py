"""What a study is, how its trials are trained, and what it leaves behind."""

import importlib
from typing import Any

_EXPORTS = {
    "Design": "design",
    "Executor": "executor",
    "ExecutorError": "errors",
    "Factor": "factors",
    "InProcessExecutor": "executor",
    "LimitsDesign": "limits_design",
    "MorrisDesign": "sampled_designs",
    "Results": "results",
    "ShapleyDesign": "sampled_designs",
    "SobolDesign": "sampled_designs",
    "Store": "store",
    "StoreError": "errors",
    "Study": "study",
    "StudyError": "errors",
    "Trial": "trial",
    "TrialRecord": "trial",
    "build_design": "designs",
    "extend": "extension",
    "open_results": "results",
    "plan": "planning",
    "run": "running",
    "train": "training",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
