"""The ranking of a study, as it forms."""

from pathlib import Path
from typing import Any

from vcm_sweep.analysis.conditions.costs import condition_costs
from vcm_sweep.analysis.conditions.result import Conditions
from vcm_sweep.analysis.conditions.two_studies import ConditionsComparison, compare_conditions
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.limits.costs import limit_costs
from vcm_sweep.analysis.limits.result import Limits
from vcm_sweep.analysis.report.conditions_compared import conditions_comparison_page
from vcm_sweep.analysis.report.content.parts import Page
from vcm_sweep.analysis.report.side_by_side import comparison_page
from vcm_sweep.analysis.report.write import write_report
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import analyze
from vcm_sweep.analysis.studies.comparison import Comparison, compare_studies
from vcm_sweep.cluster.service.aside import Aside
from vcm_sweep.cluster.service.studies.in_turn import InTurn
from vcm_sweep.cluster.service.studies.view import StudyFile, Views
from vcm_sweep.sweep.folder import Folder
from vcm_sweep.sweep.store.results import Results, open_results

# While a study runs, what is made of it is made anew after so many seconds, or so many times what it took, whichever is
# longer.
_AGE_S, _AGE_FACTOR = 10.0, 20.0
_WAIT_S = 20.0
_WRITTEN_S, _LONGEST_S = 30.0, 3600.0


report_aside = Aside(idle_s=60.0, longest_s=_LONGEST_S, wait_s=_LONGEST_S)
"""Where reports are written: they say what pulses of the cell do, which is simulated. One takes longer than a check."""


class Rankings:
    """Analyses studies, one at a time, however many ask.

    Each is made while whoever asked waits, ``wait_s`` seconds at most: BusyError says that it goes on being made.

    Args:
        views: by which studies are read.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._in_turn = InTurn()

    def ranking(
        self, study: str, metric: str = "accuracy", method: str = "", policy: str = "", wait_s: float = _WAIT_S
    ) -> dict[str, Any]:
        """What ``vcm-sweep analyze --json`` prints, with ``answer``, sentences for people.

        Args:
            metric, method: as ``analyze``.
            policy: as ``analyze``; "": blocks without all of their records are left out as long as some are missing,
                and after that failures are refused.

        Raises:
            AnalysisError: the records cannot be analysed (yet). NotFoundError: no such study. BusyError.
        """

        def made() -> dict[str, Any]:
            results = self._views.results(study)
            missing = self._views.counts(study).get("missing", 0)
            found = _analysed(results, metric, method, policy or ("drop-block" if missing else "fail"))
            return found | {"missing": missing}

        what, stamp = ("ranking", study, metric, method, policy), self._views.stamp(study)
        return self._in_turn(what, stamp, made, wait_s, _AGE_S, _AGE_FACTOR, or_older=True)

    def comparison(
        self, one: str, other: str, metric: str = "accuracy", method: str = "", policy: str = "fail"
    ) -> dict[str, Any]:
        """What ``vcm-sweep compare --json`` prints of two studies, with ``answer``, sentences for people.

        Raises:
            AnalysisError: they cannot be compared. NotFoundError: there is no such study. BusyError.
        """

        def made() -> dict[str, Any]:
            found = _compared(*self._both(one, other), metric, method, policy)
            return found.to_dict() | {"answer": list(found.answer())}

        what = ("comparison", one, other, metric, method, policy)
        return self._in_turn(what, self._stamp_of(one, other), made, _WAIT_S, _AGE_S, _AGE_FACTOR, or_older=True)

    def side_by_side(self, one: str, other: str, wait_s: float = _WAIT_S) -> Page:
        """What a page shows of two studies; blocks without all of their records are left out, as while a study runs.

        Raises:
            AnalysisError, NotFoundError, BusyError: as :meth:`comparison`.
        """

        def made() -> Page:
            found = _compared(*self._both(one, other), policy="drop-block")
            return (
                conditions_comparison_page(found) if isinstance(found, ConditionsComparison) else comparison_page(found)
            )

        what = ("side by side", one, other)
        return self._in_turn(what, self._stamp_of(one, other), made, wait_s, _AGE_S, _AGE_FACTOR, or_older=True)

    def report(
        self, study: str, metric: str = "accuracy", method: str = "", policy: str = "fail", wait_s: float = _WAIT_S
    ) -> StudyFile:
        """Write the report into a study's folder, in place of the one before; errors as :meth:`ranking`."""

        def made() -> StudyFile:
            folder = Path(self._views.results(study).folder.path)
            return report_aside(_written, folder, metric, method, policy)

        # Whoever was told to ask again finds what was written then, also while the study runs.
        what = ("report", study, metric, method, policy)
        return self._in_turn(what, self._views.stamp(study), made, wait_s, age_s=_WRITTEN_S)

    def _stamp_of(self, one: str, other: str) -> object:
        if one == other:
            raise AnalysisError(f"{one} and {other} are one study: name two to compare")
        return self._views.stamp(one), self._views.stamp(other)

    def _both(self, one: str, other: str) -> tuple[Results, Results]:
        return self._views.results(one), self._views.results(other)


def _written(folder: Path, metric: str, method: str, policy: str) -> StudyFile:
    results = open_results(Folder(folder, links=False))
    results.folder.refuse_links()
    page = write_report(results, folder, metric, method=method, policy=policy)
    return StudyFile(page.name, page.stat().st_size)


def _compared(
    one: Results, other: Results, metric: str = "accuracy", method: str = "", policy: str = "fail"
) -> Comparison | ConditionsComparison:
    if one.study.conditions and other.study.conditions:
        return compare_conditions(one, other, metric, policy=policy)
    return compare_studies(one, other, metric, method=method, policy=policy)


def _analysed(results: Results, metric: str, method: str, policy: str) -> dict[str, Any]:
    found: Sensitivity | Limits | Conditions
    if results.study.design.method == "limits":
        found = limit_costs(results, metric, policy=policy)
    elif results.study.conditions:
        found = condition_costs(results, metric, policy=policy)
    else:
        found = analyze(results, metric, method=method, policy=policy)
    return found.to_dict() | {"answer": list(found.answer())}
