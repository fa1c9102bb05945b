"""Two studies of conditions side by side: in which conditions do they differ, and is the difference real?"""

import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.conditions.costs import by_policy, condition_costs, of_pairs
from vcm_sweep.analysis.conditions.means import Moments, Tested, against, fisher, holm
from vcm_sweep.analysis.conditions.result import ConditionResult, Conditions
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.files import write_parquet
from vcm_sweep.analysis.limits.pairs import difference_of_samples
from vcm_sweep.analysis.records.metrics import find_metric, read_output
from vcm_sweep.analysis.records.source import told_apart
from vcm_sweep.analysis.results.index import Index

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results


@dataclass(frozen=True)
class ConditionShift:
    """A condition in both studies: second minus first; p is adjusted by Holm for all conditions.

    Of pairs where the studies share their seeds. Else by Welch's test; a share, such as p_chance, by Fisher's, with
    Newcombe's interval.
    """

    one: ConditionResult
    other: ConditionResult
    difference: Index
    p: float

    @property
    def name(self) -> str:
        """Of the condition."""
        return self.one.name


@dataclass(frozen=True, kw_only=True)
class ConditionsComparison:
    """Two studies of conditions, by the names that both have.

    Args:
        names: of the two. results: their analyses. shifts: common conditions, in the order of the first study.
        only: names that one of them has alone, by study. paired: whether the trainings of both share their seeds.
    """

    names: tuple[str, str]
    results: tuple[Conditions, Conditions]
    shifts: tuple[ConditionShift, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    paired: bool

    @property
    def metric(self) -> str:
        """What was measured."""
        return self.results[0].metric

    def real(self, shift: ConditionShift) -> bool:
        """Whether the data tell that a condition differs."""
        return shift.p < self.results[0].level

    def answer(self) -> tuple[str, ...]:
        """The conclusion in a sentence or two."""
        one, other = self.names
        found = sorted(filter(self.real, self.shifts), key=lambda shift: -abs(shift.difference.value))
        said = f"{len(found)} of {len(self.shifts)} common conditions are found to differ in {self.metric}"
        if not found:
            return (f"{said}.",)
        top = found[0]
        change = find_metric(self.metric).change(top.difference)
        return (f"{said}; most {top.name}, {change} from {one} to {other}.",)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader must know, one sentence each."""
        tests = ("McNemar's exact", "the paired t") if self.paired else ("Fisher's exact", "Welch's")
        test = tests[not find_metric(self.metric).binary]
        said = [f"Differences by {test} test, whose p values are adjusted by Holm's method for all common conditions."]
        if self.paired:
            said.append(
                "Both studies have the same seeds, so training k of one is compared with training k of the other."
            )
        for name, alone in zip(self.names, self.only, strict=True):
            said += [f"Only {name} has {', '.join(alone)}."] if alone else []
        return (*said, *dict.fromkeys(note for result in self.results for note in result.notes()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "names": list(self.names),
            "metric": self.metric,
            "answer": list(self.answer()),
            "conditions": self.lines(),
            "only": {name: list(alone) for name, alone in zip(self.names, self.only, strict=True)},
            "remarks": list(self.remarks),
        }

    def lines(self) -> list[dict[str, Any]]:
        """One plain line per common condition."""
        return [
            {"condition": shift.name, "one": shift.one.ours.mean, "other": shift.other.ours.mean}
            | {name: _known(getattr(shift.difference, name)) for name in ("value", "low", "high")}
            | {"p_holm": _known(shift.p), "real": "yes" if self.real(shift) else "open"}
            for shift in self.shifts
        ]

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """`lines` as a file."""
        write_parquet(path, self.lines(), {"method": "conditions", "metric": self.metric})


def compare_conditions(
    one: "Results", other: "Results", metric: str = "accuracy", *, policy: str = "fail", confidence: float = 0.95
) -> ConditionsComparison:
    """Two studies of conditions by the names of their conditions.

    Raises:
        AnalysisError: a study of another design, or no name that both have.
    """
    results = tuple(condition_costs(own, metric, policy=policy, confidence=confidence) for own in (one, other))
    first, second = ({row.name: row for row in result.rows} for result in results)
    if not first.keys() & second.keys():
        raise AnalysisError(
            f"compare: {one.study.name} and {other.study.name} have no condition of one name: rename some"
        )
    paired = _same_seeds(one, other)
    trainings = [_trainings(own, metric, policy) for own in (one, other)] if paired else []
    binary, shifts = find_metric(metric).binary, []
    for name in (name for name in first if name in second):
        if paired:
            pairs = min(len(own[name]) for own in trainings)
            base, y = (own[name][:pairs] for own in trainings)
            found = of_pairs(name, base, y, binary, -1.0, confidence)
        else:
            found = _shift(name, second[name].ours, first[name].ours, confidence, binary)
        shifts.append(ConditionShift(first[name], second[name], found.mean, found.p))
    adjusted = holm([shift.p for shift in shifts])
    return ConditionsComparison(
        names=told_apart(one, other),
        results=(results[0], results[1]),
        shifts=tuple(replace(shift, p=p) for shift, p in zip(shifts, adjusted, strict=True)),
        only=(tuple(n for n in first if n not in second), tuple(n for n in second if n not in first)),
        paired=paired,
    )


def _same_seeds(one: "Results", other: "Results") -> bool:
    """Whether training k of every condition draws the same numbers in both: then samples are not independent."""
    designs = (one.study.design, other.study.design)
    return one.study.seed == other.study.seed and designs[0].trainings == designs[1].trainings


def _trainings(results: "Results", metric: str, policy: str) -> dict[str, NDArray[np.float64]]:
    """(replicates,) outputs by the name of the condition, NaN where there is none."""
    y, _ = by_policy(read_output(results, metric, partly=True), policy)
    return {condition.name: row for condition, row in zip(results.study.conditions, y, strict=True)}


def _shift(name: str, ours: Moments, theirs: Moments, confidence: float, binary: bool) -> Tested:
    if not binary:
        return against(name, ours, theirs, confidence)
    one, other = _outcomes(ours), _outcomes(theirs)
    return Tested(difference_of_samples(name, one, other, confidence), fisher(one, other))


def _outcomes(share: Moments) -> NDArray[np.float64]:
    """The outcomes, 0 or 1, of which a share is the mean."""
    n = share.n or 0
    return (np.arange(n) < round(share.mean * n if n else 0.0)).astype(np.float64)


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number
