"""Companion studies, in folders of their own inside the results folder: costs at the limits, and tolerances.

Where a companion is there but cannot be used, the report says so; a reader must not think that nobody ran it.
"""

from typing import TYPE_CHECKING

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.study.study import Study

if TYPE_CHECKING:
    from vcm_sweep.analysis.limits.result import Limits
    from vcm_sweep.analysis.tolerance import ToleranceAnswer


def read_limits(folder: Folder, metric: str, policy: str) -> "tuple[Limits | None, str]":
    """The costs at the limits, or None; and a sentence that says why there are none ("" where nobody ran them)."""
    if not folder.exists("limits"):
        return None, ""
    from vcm_sweep.analysis.limits.costs import limit_costs
    from vcm_sweep.sweep.store.results import open_results

    try:
        results = open_results(folder / "limits")
        _refuse_foreign(folder, "limits", results.study)
        return limit_costs(results, metric, policy=policy), ""
    except VcmSweepError as error:
        return None, f"{folder / 'limits'} is there, but gives no costs: {error}"


def read_tolerance_answers(folder: Folder) -> "tuple[tuple[ToleranceAnswer, ...], str]":
    """The answers of tolerance studies, and a sentence that says why there are none ("" where nobody asked)."""
    if not folder.exists("tolerance"):
        return (), ""
    from vcm_sweep.analysis.tolerance import read_tolerances
    from vcm_sweep.sweep.store import Store, holds_study

    try:
        if holds_study(folder / "tolerance"):
            _refuse_foreign(folder, "tolerance", Store.open(folder / "tolerance").study)
        found: tuple[ToleranceAnswer, ...] = read_tolerances(folder)
    except VcmSweepError as error:
        return (), f"{folder / 'tolerance'} is there, but gives no answer: {error}"
    if not found:
        return (), (
            f"{folder / 'tolerance'} is there, but holds no answer yet: run vcm-sweep tolerance again, and it goes on "
            "where it stopped"
        )
    return found, ""


def _refuse_foreign(folder: Folder, name: str, held: Study) -> None:
    from vcm_sweep.sweep.running.limits_study import same_but_design
    from vcm_sweep.sweep.store import Store

    if not same_but_design(held, Store.open(folder).study):
        raise AnalysisError(
            f"{name}: it holds another study (network, device, factors or seed differ); move it out of the way, and "
            f"run vcm-sweep {name} again"
        )
