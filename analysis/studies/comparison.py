"""Two studies side by side: where do their rankings differ, and is the difference real?"""

import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.files import write_json, write_parquet
from vcm_sweep.analysis.records.source import ResultsSource, opened, ranges_of, same_points, told_apart
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.kinds import KINDS
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import joint_interval
from vcm_sweep.analysis.studies.analysis import GIVEN, Prepared, concluded, own_methods, prepare

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results
    from vcm_sweep.sweep.study.tables.correlation import Pairs


@dataclass(frozen=True)
class Shift:
    """A factor's ranking index in both studies.

    Args:
        one, other: the index in the first and in the second study. difference: second minus first, with an interval
            that holds for all factors at once.
        same_range: whether both studies vary it over the same range.
    """

    factor: str
    one: Index
    other: Index
    difference: Index
    same_range: bool

    @property
    def real(self) -> bool:
        """Whether the index really differs: the interval of the difference excludes 0."""
        return not self.difference.low <= 0.0 <= self.difference.high


@dataclass(frozen=True)
class Swap:
    """Two factors that the two studies rank in opposite order.

    Args:
        first, second: the order in the first study. told: in how many of the two studies (0 to 2) the data tell the
            order of the two; the rankings really differ only where it is 2.
    """

    first: str
    second: str
    told: int


@dataclass(frozen=True)
class Comparison:
    """Two studies, their common factors, and what differs.

    Args:
        names: of the studies. results: their analyses.
        shifts: one per common factor, in the order of the first study's ranking.
        swaps: pairs in opposite order; those whose order both studies tell come first.
        only: the factors that only the first, and only the second study varies.
        ranges: of both studies, by factor. remarks: what makes the studies hard to compare, one sentence each.
    """

    names: tuple[str, str]
    results: tuple[Sensitivity, Sensitivity]
    shifts: tuple[Shift, ...]
    swaps: tuple[Swap, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    ranges: dict[str, tuple[str, str]]
    remarks: tuple[str, ...]

    @property
    def share(self) -> bool:
        """Whether the index is a share of variance."""
        return KINDS[self.results[0].kind].share

    def text(self, index: Index) -> str:
        """An index as people read it."""
        return self.results[0].text(index)

    def difference(self, shift: Shift) -> str:
        """A difference as people read it, in points for a share, with as many decimals as its interval justifies."""
        return shift.difference.points() if self.share else shift.difference.number()

    def answer(self) -> tuple[str, ...]:
        """The conclusion in sentences, certainty included."""
        tops = [result.ranking()[0].factor for result in self.results]
        one, other = self.names
        label = KINDS[self.results[0].kind].label
        said = [
            f"Both studies put {tops[0]} first."
            if tops[0] == tops[1]
            else f"{one} puts {tops[0]} first, {other} puts {tops[1]} first."
        ]
        sure = [swap for swap in self.swaps if swap.told == 2]
        if sure:
            pairs = "; ".join(f"{swap.first} above {swap.second} in {one}, below it in {other}" for swap in sure)
            said.append(f"Their rankings really differ: {pairs}.")
        elif self.swaps:
            said.append(
                f"Their rankings differ in {len(self.swaps)} {'pair' if len(self.swaps) == 1 else 'pairs'} of factors, "
                "in none beyond what the intervals leave open."
            )
        else:
            said.append("They rank their common factors alike.")
        real = [shift for shift in self.shifts if shift.real]
        if real:
            most = max(real, key=lambda shift: abs(shift.difference.value))
            said.append(
                f"The {label} differs beyond its interval for {len(real)} of {len(self.shifts)} factors, most for "
                f"{most.factor}: {self.text(most.one)} against {self.text(most.other)}."
            )
        else:
            said.append(f"No factor's {label} differs beyond the interval of the difference.")
        return tuple(said)

    def lines(self) -> list[dict[str, Any]]:
        """Three plain lines per factor: its index in either study, and the difference."""
        return [
            {
                "factor": shift.factor,
                "of": of,
                "value": index.value,
                "low": index.low,
                "high": index.high,
                "real": ("yes" if shift.real else "open") if of == "difference" else None,
            }
            for shift in self.shifts
            for of, index in (*zip(self.names, (shift.one, shift.other), strict=True), ("difference", shift.difference))
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "studies": list(self.names),
            "metric": self.results[0].metric,
            "method": self.results[0].method,
            "kind": self.results[0].kind,
            "answer": list(self.answer()),
            "factors": [
                {
                    "factor": shift.factor,
                    "first": shift.one.to_dict(),
                    "second": shift.other.to_dict(),
                    "difference": shift.difference.to_dict(),
                    "real": shift.real,
                    "ranges": list(self.ranges[shift.factor]),
                    "same_range": shift.same_range,
                }
                for shift in self.shifts
            ],
            "swaps": [vars(swap) for swap in self.swaps],
            "only": [list(names) for names in self.only],
            "remarks": list(self.remarks),
        }

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """`to_dict` as a file."""
        write_json(path, self.to_dict())

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """`lines` as a file."""
        write_parquet(path, self.lines(), {"studies": json.dumps(self.names)})


def compare_studies(
    one: ResultsSource,
    other: ResultsSource,
    metric: str = "accuracy",
    *,
    method: str = "",
    policy: str = "fail",
    resamples: int | None = None,
    confidence: float = 0.95,
    seed: int = 1,
) -> Comparison:
    """What differs between two studies in the ranking index of the factors that they share.

    The intervals of the differences come from the differences of the resamples and hold for all factors at once, so
    that of 20 pairs of equal studies about one is said to differ anywhere, however many factors they have. Where both
    studies ran the same points, for example two models of one device, each resample draws the same blocks from both.
    Scatter that comes from the points then cancels where it moves both indices the same way, and adds up where it moves
    them opposite ways. Otherwise each study is resampled independently.

    Args:
        metric, method, policy, resamples, confidence: as for `analyze`; one method for both, by default the first of
            their designs' own that the outputs of both allow.

    Raises:
        AnalysisError: a study cannot be analysed, the designs have no common method, or there is no common factor.
    """
    options: dict[str, Any] = {} if resamples is None else {"resamples": resamples}
    one, other = opened(one), opened(other)
    names, outputs = told_apart(one, other), []
    for name, study in zip(names, (one, other), strict=True):
        with _said_of(name):
            outputs.append(prepare(study, metric, method=method, policy=policy))
    paired = same_points(one, other)
    if paired:
        # Both keep the same blocks, so that a resample draws the same ones from both.
        outputs = [output.among(outputs[0].keep & outputs[1].keep) for output in outputs]
        if not outputs[0].units:
            raise AnalysisError(
                "compare: in no block has every point a result in both studies; use --policy worst-case"
            )
    if not method:
        outputs = _alike(outputs)
    seeds = (seed, seed if paired else seed + 1)
    found = []
    for name, output, drawn in zip(names, outputs, seeds, strict=True):
        with _said_of(name):
            found.append(concluded(output, confidence=confidence, seed=drawn, **options))
    results = found[0], found[1]
    common = [index.factor for index in results[0].ranking() if index.factor in results[1].factors]
    if not common:
        raise AnalysisError(
            f"compare: {names[0]} ({', '.join(results[0].factors)}) and {names[1]} ({', '.join(results[1].factors)}) "
            "have no factor in common"
        )
    ranges = {factor: (_range(one, results[0], factor), _range(other, results[1], factor)) for factor in common}
    return Comparison(
        names=names,
        results=results,
        shifts=_shifts(results, common, ranges, confidence),
        swaps=_swaps(results, common),
        only=tuple(tuple(f for f in result.factors if f not in common) for result in results),  # type: ignore[arg-type]
        ranges=ranges,
        remarks=(
            *_same_trainings(one, other, paired),
            *_about_differences(paired, confidence),
            *_remarks((one, other), names, results, ranges),
        ),
    )


@contextmanager
def _said_of(name: str) -> Iterator[None]:
    """Put the study's name before the message of an AnalysisError that does not begin with it."""
    try:
        yield
    except AnalysisError as error:
        if str(error).startswith(name):
            raise
        raise type(error)(f"{name}: {error}") from None


def _alike(outputs: Sequence[Prepared]) -> list[Prepared]:
    """Both with one method of their designs' own."""
    offered = [output.offered() for output in outputs]
    if offered[0].method == offered[1].method:
        return offered
    one, other = (output.layout for output in offered)
    if one != other:
        names = [f"{output.results.study.name} is a {output.layout} design" for output in offered]
        raise AnalysisError(
            f"compare: {' and '.join(names)}, whose indices are of different kinds; name a method for any points: "
            f"--method {', '.join(GIVEN)}"
        )
    # What holds for correlated factors holds for independent ones, too.
    designs = sorted((output.results.study.design for output in outputs), key=lambda design: not design.correlation)
    last = own_methods(designs[0])[-1]
    return [replace(output, method=last) for output in offered]


def _shifts(
    results: tuple[Sensitivity, Sensitivity],
    common: Sequence[str],
    ranges: dict[str, tuple[str, str]],
    confidence: float,
) -> tuple[Shift, ...]:
    # Resample k of both stays a pair: one that either study lacks is left out of both.
    one, other = (result.draws[:, [result.factors.index(factor) for factor in common]] for result in results)
    moved = other - one
    moved = moved[np.isfinite(moved).all(axis=1)]
    found = [{index.factor: index for index in result[result.kind]} for result in results]
    value = np.array([found[1][factor].value - found[0][factor].value for factor in common])
    low, high = joint_interval(value, moved, confidence)
    (below, above), (other_below, other_above) = (result.spare for result in results)
    low, high = low - other_below - above, high + other_above + below
    return tuple(
        Shift(
            factor,
            found[0][factor],
            found[1][factor],
            Index(factor, float(value[i]), float(low[i]), float(high[i])),
            ranges[factor][0] == ranges[factor][1],
        )
        for i, factor in enumerate(common)
    )


def _swaps(results: tuple[Sensitivity, Sensitivity], common: Sequence[str]) -> tuple[Swap, ...]:
    """Pairs in opposite order: first those whose order both studies tell, then by the ranking of the first study."""
    order = [[index.factor for index in result.ranking() if index.factor in common] for result in results]
    told = [{frozenset((p.larger, p.smaller)): p.separated for p in result.differences} for result in results]
    swaps = [
        Swap(a, b, sum(separated[frozenset((a, b))] for separated in told))
        for i, a in enumerate(order[0])
        for b in order[0][i + 1 :]
        if order[1].index(a) > order[1].index(b)
    ]
    return tuple(sorted(swaps, key=lambda swap: -swap.told))


def _range(results: "Results", result: Sensitivity, factor: str) -> str:
    return ranges_of(results, factor, result.groups.get(factor, (factor,)))


def _same_trainings(one: "Results", other: "Results", paired: bool) -> tuple[str, ...]:
    """A sentence if one of the two studies is a copy of the other."""
    if not paired:
        return ()
    for column in ("accuracy", "loss"):
        first, second = (np.asarray(results.blocks(column), dtype=np.float64) for results in (one, other))
        if not np.array_equal(first, second, equal_nan=True):
            return ()
    return ("Both hold the same trainings, number by number, as copies of one study do: there is nothing to compare.",)


def _about_differences(paired: bool, confidence: float) -> tuple[str, ...]:
    said = "Both studies ran the same points, and are compared point by point. " if paired else ""
    return (
        f"{said}The intervals of the differences hold for all factors at once: of {1.0 / (1.0 - confidence):.3g} pairs "
        "of studies that do not differ, about one is said to differ in any factor.",
    )


def _remarks(
    studies: "tuple[Results, Results]",
    names: tuple[str, str],
    results: tuple[Sensitivity, Sensitivity],
    ranges: dict[str, tuple[str, str]],
) -> tuple[str, ...]:
    """What a reader must know before concluding that the devices differ."""
    said = []
    other = [factor for factor, (a, b) in ranges.items() if a != b]
    if other:
        said.append(
            f"Ranges differ for {', '.join(other)}: an index is a share over its ranges, so these and all others may "
            "differ for that reason alone."
        )
    for name, result, mate in ((names[0], results[0], results[1]), (names[1], results[1], results[0])):
        alone = [factor for factor in result.factors if factor not in mate.factors]
        if alone:
            said.append(f"Only {name} varies {', '.join(alone)}, which takes its part of the variance there.")
    if KINDS[results[0].kind].share and all(result.variance > 0 for result in results):
        spread = [f"{result.variance**0.5:.2g}" for result in results]
        said.append(
            f"Shares are of each study's own variance: the standard deviation of {results[0].metric} is {spread[0]} in "
            f"{names[0]} and {spread[1]} in {names[1]}, its mean {results[0].mean:.3g} and {results[1].mean:.3g}."
        )
    if not math.isnan(results[0].luck.value) and not math.isnan(results[1].luck.value):
        said.append(f"Luck is {results[0].luck.percent()} in {names[0]} and {results[1].luck.percent()} in {names[1]}.")
    policies = [study.study.design.seeds for study in studies]
    if policies[0] != policies[1]:
        said.append(f"Seeds are {policies[0]} in {names[0]} and {policies[1]} in {names[1]}.")
    said += _correlations([study.study.design.correlation for study in studies], names)
    for name, result in zip(names, results, strict=True):
        if result.failures is not None and result.failures.failed:
            said.append(f"{name}: {result.failures.words()}.")
    return tuple(said)


def _correlations(given: "Sequence[Pairs]", names: tuple[str, str]) -> list[str]:
    """A sentence if factors are correlated otherwise in one study than in the other."""
    one, other = ({(a, b): rho for a, others in pairs.items() for b, rho in others.items()} for pairs in given)
    apart = [
        f"{a} with {b} {one.get((a, b), 0.0):g} in {names[0]} and {other.get((a, b), 0.0):g} in {names[1]}"
        for a, b in sorted({*one, *other})
        if one.get((a, b), 0.0) != other.get((a, b), 0.0)
    ]
    if not apart:
        return []
    return [f"Correlations differ ({'; '.join(apart)}), so shares may differ for that reason alone."]
