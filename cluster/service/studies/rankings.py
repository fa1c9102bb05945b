"""The ranking of a study, as it forms."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from vcm_sweep.analysis.conditions.costs import condition_costs
from vcm_sweep.analysis.conditions.result import Conditions
from vcm_sweep.analysis.conditions.two_studies import ConditionsComparison, compare_conditions
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.limits.costs import limit_costs
from vcm_sweep.analysis.limits.result import Limits
from vcm_sweep.analysis.report.write import write_report
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.studies.analysis import analyze
from vcm_sweep.analysis.studies.comparison import Comparison, compare_studies
from vcm_sweep.cluster.service.studies.view import StudyFile, Views
from vcm_sweep.device.errors import VcmSweepError
from vcm_sweep.sweep.store.results import Results

_MOST_HELD = 64
# While a study runs, a ranking is made anew after so many seconds, or so many times what it took, whichever is longer.
_AGE_S, _AGE_FACTOR = 10.0, 20.0


@dataclass(frozen=True)
class _Ranked:
    stamp: object
    made: float
    took_s: float
    result: dict[str, Any] | VcmSweepError


class Rankings:
    """Analyses studies, one at a time, however many ask.

    Args:
        views: by which studies are read.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._one = threading.Lock()
        self._held: OrderedDict[tuple[str, ...], _Ranked] = OrderedDict()

    def ranking(self, study: str, metric: str = "accuracy", method: str = "", policy: str = "") -> dict[str, Any]:
        """What ``vcm-sweep analyze --json`` prints, with ``answer``, sentences for people.

        Args:
            metric, method: as ``analyze``.
            policy: as ``analyze``; "": blocks without all of their records are left out as long as some are missing,
                and after that failures are refused.

        Raises:
            AnalysisError: the records cannot be analysed (yet). NotFoundError: no such study.
        """
        asked = (study, metric, method, policy)
        stamp = self._views.stamp(study)
        with self._one:
            held = self._held.get(asked)
            if held is None or not _holds(held, stamp):
                held = self._made(asked, stamp)
                self._held[asked] = held
                self._held.move_to_end(asked)
                while len(self._held) > _MOST_HELD:
                    self._held.popitem(last=False)
        if isinstance(held.result, VcmSweepError):
            raise held.result.with_traceback(None)
        return held.result

    def comparison(
        self, one: str, other: str, metric: str = "accuracy", method: str = "", policy: str = "fail"
    ) -> dict[str, Any]:
        """What ``vcm-sweep compare --json`` prints of two studies, with ``answer``, sentences for people.

        Raises:
            AnalysisError: they cannot be compared. NotFoundError: there is no such study.
        """
        if one == other:
            raise AnalysisError(f"{one} and {other} are one study: name two to compare")
        first, second = self._views.results(one), self._views.results(other)
        with self._one:
            found: Comparison | ConditionsComparison
            if first.study.conditions and second.study.conditions:
                found = compare_conditions(first, second, metric, policy=policy)
            else:
                found = compare_studies(first, second, metric, method=method, policy=policy)
        return found.to_dict() | {"answer": list(found.answer())}

    def report(self, study: str, metric: str = "accuracy", method: str = "", policy: str = "fail") -> StudyFile:
        """Write the report into a study's folder, in place of the one before; errors as :meth:`ranking`."""
        results = self._views.results(study)
        with self._one:
            page = write_report(results, results.folder.path, metric, method=method, policy=policy)
        return StudyFile(page.name, page.stat().st_size)

    def _made(self, asked: tuple[str, str, str, str], stamp: object) -> _Ranked:
        study, metric, method, policy = asked
        began = time.monotonic()
        result: dict[str, Any] | VcmSweepError
        try:
            results = self._views.results(study)
            missing = self._views.counts(study).get("missing", 0)
            result = _analysed(results, metric, method, policy or ("drop-block" if missing else "fail"))
            result["missing"] = missing
        except VcmSweepError as error:
            result = error
        now = time.monotonic()
        return _Ranked(stamp, now, now - began, result)


def _holds(held: _Ranked, stamp: object) -> bool:
    return held.stamp == stamp or time.monotonic() - held.made < max(_AGE_S, _AGE_FACTOR * held.took_s)


def _analysed(results: Results, metric: str, method: str, policy: str) -> dict[str, Any]:
    found: Sensitivity | Limits | Conditions
    if results.study.design.method == "limits":
        found = limit_costs(results, metric, policy=policy)
    elif results.study.conditions:
        found = condition_costs(results, metric, policy=policy)
    else:
        found = analyze(results, metric, method=method, policy=policy)
    return found.to_dict() | {"answer": list(found.answer())}
