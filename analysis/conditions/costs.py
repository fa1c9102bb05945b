"""What each condition reaches and costs against the baseline in pairs, from the records of a study of conditions."""

import math
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.conditions.means import Moments, Tested, against, holm, mcnemar, mean_of, more_needed
from vcm_sweep.analysis.conditions.result import AGREES, DIFFERS, OPEN, ConditionResult, Conditions, Published
from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.limits.pairs import difference_of_shares, share_of_pairs
from vcm_sweep.analysis.records.metrics import Metric, Output, read_output
from vcm_sweep.analysis.records.policies import check_policy, fill_worst
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.results.failures import Failures, count_kinds
from vcm_sweep.analysis.results.index import Index

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.conditions import Condition

Array = NDArray[np.float64]

MARGIN = 0.01
"""Accuracies within one point are called equal."""


def condition_costs(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    policy: str = "fail",
    confidence: float = 0.95,
    margin: float = MARGIN,
) -> Conditions:
    """What each condition reaches, what it costs against the baseline, and whether it agrees with what was published.

    Replicate k of every condition has the same seeds, so costs are means of differences within pairs. A study that is
    not finished is analysed as far as it is.

    Args:
        results: of a study with ``method = "conditions"``.
        metric: one of `metrics.METRICS`; published values are accuracies.
        policy: ``fail`` gives no mean to a condition of which a training failed; ``drop-block`` leaves failed trainings
            and their pairs out; ``worst-case`` gives them the worst value that any other training had.
        margin: within which a published mean and ours are called equal, a share.

    Raises:
        AnalysisError: another design, or no training of the baseline.
    """
    results = opened(results)
    study = results.study
    if study.design.method != "conditions":
        raise AnalysisError(
            f"{study.name}: this needs a study with [design] method = 'conditions', and it has {study.design.method!r}"
        )
    check_policy(policy)
    output = read_output(results, metric, partly=True)
    y, failures = by_policy(output, policy)
    names = [condition.name for condition in study.conditions]
    ran = (output.status[:, 0] != "").sum(axis=1)
    base = names.index(study.design.baseline)
    if not ran[base]:
        raise AnalysisError(
            f"{study.name}: the baseline {study.design.baseline!r} has no training yet; vcm-sweep resume "
            f"{shlex.quote(str(results.folder))} goes on"
        )
    more = output.metric.more_is_better
    rows = []
    for k, condition in enumerate(study.conditions):
        if not ran[k]:
            continue
        cost = of_pairs(names[k], y[base], y[k], output.metric.binary, 1.0 if more else -1.0, confidence)
        rows.append(
            ConditionResult(
                name=names[k],
                trainings=int(ran[k]),
                failed=int(output.failed[k].sum()),
                ours=(ours := Moments.of(y[k][np.isfinite(y[k])])),
                mean=_mean(names[k], y[k], output.metric, confidence),
                cost=Index(names[k], math.nan, math.nan, math.nan) if k == base else cost.mean,
                p=math.nan if k == base else cost.p,
                left=share_of_pairs(names[k], _left(output, k), confidence),
                trained=_mean(names[k], y[k][_left(output, k) == 1.0], output.metric, confidence),
                published=_published(condition, ours, confidence) if output.metric.name == "accuracy" else None,
            )
        )
    adjusted = holm([row.p for row in rows])
    rows = [replace(row, p=p) for row, p in zip(rows, adjusted, strict=True)]
    rows = _judged(rows, margin, confidence)
    return Conditions(
        metric=output.metric.name,
        baseline=study.design.baseline,
        rows=tuple(rows),
        waiting=tuple(name for name, count in zip(names, ran, strict=True) if not count),
        margin=margin,
        confidence=confidence,
        failures=failures,
        remarks=_remarks(rows, study.design.replicates, failures.policy, margin, confidence),
    )


def by_policy(output: Output, policy: str) -> tuple[Array, Failures]:
    """(conditions, replicates) values, NaN where there is none, and what was done about failures."""
    y, failed = output.y[:, 0], output.failed[:, 0]
    done = "drop-block" if output.metric.given else policy
    failures = Failures(
        done, int((output.status != "").sum()), count_kinds(output.status), "conditions", len(y),
        int(failed.any(axis=1).sum()) if done == "drop-block" else 0,
    )  # fmt: skip
    if done == "worst-case" and failed.any():
        y, worst = fill_worst(y, failed, output.metric)
        return y, replace(failures, worst=worst)
    if done == "fail":
        y = np.where(failed.any(axis=1)[:, None], math.nan, y)
    return y, failures


def _left(output: Output, k: int) -> Array:
    """(replicates,) 1 where a training of a condition left the plateau, 0 where not, NaN where that is not known."""
    known = np.isin(output.status[k, 0], ("ok", "diverged"))
    return np.where(known, ~output.low[k, 0], math.nan).astype(np.float64)


def _mean(name: str, y: Array, metric: Metric, confidence: float) -> Index:
    """The mean over trainings; that of shares lies between 0 and 1, beyond which Student's interval reaches for few."""
    if metric.binary:
        return share_of_pairs(name, y, confidence)
    found = mean_of(name, y, confidence).mean
    if not metric.share:
        return found
    low, high = np.clip([found.low, found.high], 0.0, 1.0)
    return replace(found, low=float(low), high=float(high))


def of_pairs(name: str, base: Array, y: Array, binary: bool, sign: float, confidence: float) -> Tested:
    """Sign times (base - y) over pairs of trainings that share their seeds; of a share always y - base."""
    if not binary:
        return mean_of(name, sign * (base - y), confidence)
    return Tested(difference_of_shares(name, y, base, confidence), mcnemar(y, base))


def _published(condition: "Condition", ours: Moments, confidence: float) -> Published | None:
    if condition.published is None:
        return None
    sd = None if condition.published_sd is None else condition.published_sd / 100
    theirs = Moments(condition.published / 100, sd, condition.published_n)
    found = against(condition.name, ours, theirs, confidence)
    return Published(theirs, found.mean, found.p, OPEN, None)


def _judged(rows: list[ConditionResult], margin: float, confidence: float) -> list[ConditionResult]:
    """The rows with the verdict on each published value, all of which are asked together."""
    adjusted = holm([row.published.p if row.published else math.nan for row in rows])
    # To tell one more it must pass at the level that Holm's correction has for the smallest p of all.
    strict = 1 - (1 - confidence) / max(1, sum(map(math.isfinite, adjusted)))
    return [
        replace(row, published=_verdict(row.ours, row.published, p, margin, confidence, strict))
        if row.published
        else row
        for row, p in zip(rows, adjusted, strict=True)
    ]


def _verdict(ours: Moments, found: Published, p: float, margin: float, confidence: float, strict: float) -> Published:
    gap = found.difference
    if p < 1 - confidence:
        return replace(found, p=p, verdict=DIFFERS)
    if max(-gap.low, gap.high) < margin:  # not where the interval is not known
        return replace(found, p=p, verdict=AGREES)
    return replace(found, p=p, verdict=OPEN, more=more_needed(ours, found.theirs, margin, confidence, strict))


def _remarks(
    rows: list[ConditionResult], replicates: int, policy: str, margin: float, confidence: float
) -> tuple[str, ...]:
    said = [
        "Trainings of a pair share their seeds, so luck that a condition and the baseline share cancels.",
        "p values are adjusted by Holm's method: the chance of one false finding among all costs is below "
        f"{100 * (1 - confidence):.3g} %, and likewise among all published values. Intervals are of one condition "
        "each.",
    ]
    if replicates < 2:
        said.append("One training of each condition has no interval: vcm-sweep extend --replicates 5.")
    if any(row.published for row in rows):
        said.append(
            f"A published value agrees where the interval of the difference lies within +-{100 * margin:.3g} points, "
            "and differs where the difference is found; else the data cannot tell."
        )
    if alone := [row.name for row in rows if row.published and row.published.alone]:
        said.append(
            f"No spread was published of {', '.join(alone)}: ours is compared with the mean alone, as if it were exact."
        )
    if humps := [row.name for row in rows if row.plateau]:
        said.append(
            f"Some trainings of {', '.join(humps)} diverged or stayed on the plateau on which training begins: their "
            "mean is of two kinds, so read how many left it, and what those reach."
        )
    if policy == "fail" and (failed := [row.name for row in rows if row.failed]):
        said.append(
            f"{', '.join(failed)}: a training without a result, so no mean; vcm-sweep retry runs it again, or name a "
            "policy, drop-block or worst-case."
        )
    if policy == "drop-block" and (without := [row.name for row in rows if row.failed]):
        said.append(f"Trainings of {', '.join(without)} without a value are left out of the mean.")
    return tuple(said)
