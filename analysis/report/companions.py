"""Studies that lie beside the results, in folders of their own: costs at the limits, and tolerances."""

from typing import TYPE_CHECKING, Any

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.sweep.errors import StoreError

if TYPE_CHECKING:
    from vcm_sweep.analysis.limit_result import Limits
    from vcm_sweep.analysis.tolerance import ToleranceAnswer


def read_limits(folder: Any, metric: str, policy: str) -> "tuple[Limits | None, str]":
    """The costs at the limits, or None and the sentence that says why; ("" where nobody ran them)."""
    if folder is None or not (folder / "limits").exists("study.toml"):
        return None, ""
    from vcm_sweep.analysis.limits import limit_costs
    from vcm_sweep.sweep.results import open_results

    try:
        return limit_costs(open_results(folder / "limits"), metric, policy=policy), ""
    except (AnalysisError, StoreError) as error:
        return None, str(error)


def read_tolerance_answers(folder: Any) -> "tuple[ToleranceAnswer, ...]":
    """The answers of tolerance studies; none where nobody asked."""
    if folder is None:
        return ()
    from vcm_sweep.analysis.tolerance import read_tolerances

    found: tuple[ToleranceAnswer, ...] = read_tolerances(folder)
    return found
