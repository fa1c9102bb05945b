"""Studies that lie beside the results, in folders of their own: costs at the limits, and tolerances."""

import importlib
import importlib.util
from typing import Any

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.sweep.errors import StoreError


def read_limits(folder: Any, metric: str, policy: str) -> tuple[Any, str]:
    """The costs at the limits, or None and the sentence that says why; ("" where nobody ran them)."""
    if folder is None or not (folder / "limits").exists("study.toml"):
        return None, ""
    if importlib.util.find_spec("vcm_sweep.analysis.limits") is None:
        return None, ""
    from vcm_sweep.sweep.results import open_results

    try:
        return costs_of(open_results(folder / "limits"), metric, policy), ""
    except (AnalysisError, StoreError) as error:
        return None, str(error)


def costs_of(results: Any, metric: str, policy: str) -> Any:
    """The costs of a limits study."""
    return importlib.import_module("vcm_sweep.analysis.limits").limit_costs(results, metric, policy=policy)


def read_tolerance_answers(folder: Any) -> tuple[Any, ...]:
    """The answers of tolerance studies; none where nobody asked."""
    if folder is None or importlib.util.find_spec("vcm_sweep.analysis.tolerance") is None:
        return ()
    answers = importlib.import_module("vcm_sweep.analysis.tolerance").read_tolerances(folder)
    return tuple(answers)
