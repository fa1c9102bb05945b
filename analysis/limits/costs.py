"""What each factor costs at the ends of its range, against the nominal device, in pairs with the same seeds."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.limits.mediation import ARMS, Mediation, mediate
from vcm_sweep.analysis.limits.pairs import (
    MIN_PAIRS,
    Pairs,
    difference_of_shares,
    expanded,
    share_of_pairs,
    with_rare_losses,
)
from vcm_sweep.analysis.limits.result import LimitCost, Limits, name_of
from vcm_sweep.analysis.records.chance import check_chance
from vcm_sweep.analysis.records.metrics import Output, read_output
from vcm_sweep.analysis.records.policies import check_policy, fill_worst, refusal
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.results.failures import Failures, count_kinds
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.bootstrap import Resampling, check_factors

if TYPE_CHECKING:
    from vcm_sweep.sweep.designs.limits import LimitsDesign

__all__ = ["LimitCost", "Limits", "limit_costs"]

Array = NDArray[np.float64]

_Places: TypeAlias = dict[tuple[str, str, str], int]  # column of a factor, end and arm


def limit_costs(
    results: ResultsSource,
    metric: str = "accuracy",
    *,
    policy: str = "fail",
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 1,
) -> Limits:
    """What each factor costs at the ends of its range, and through what, from the records of a limits design.

    Trainings are compared in pairs of the same seed: it gives the nominal device and every other row of its block the
    same cells, first weights and order of samples, so the luck that both share cancels. Intervals come from a bootstrap
    over seeds (with expanded percentiles, because pairs are few); for probabilities they are Wilson's and Newcombe's.

    Args:
        results: of a study with ``method = "limits"``.
        metric: one of `metrics.METRICS`.
        policy: as for `analyze`. ``drop-block`` leaves out each pair of trainings of which one has no result, and keeps
            the other pairs of that seed. So does a metric that only trainings that ended have.

    Raises:
        AnalysisError: another design, unfinished or failed trainings, fewer than 8 pairs, or a constant output.
    """
    results = opened(results)
    if (method := results.study.design.method) != "limits":
        raise AnalysisError(
            f"{results.study.name}: costs need a study with [design] method = 'limits', and this one has {method!r}: "
            "vcm-sweep limits makes such a study from it"
        )
    check_policy(policy)
    rows = cast("LimitsDesign", results.design).rows
    check_factors([factor.name for factor in results.study.factors], "common")
    resampling = Resampling(resamples, confidence, seed)
    output = read_output(results, metric)
    ended = output.status[:, 0] == "ok"
    if ended.any() and output.low[:, 0][ended].all():  # where the nominal device trained, chance is a factor's cost
        check_chance(results, output, 0.0)
    y, failures = _by_policy(output, policy, results.study.name)
    _check(y, output, metric)
    sign = 1.0 if output.metric.more_is_better else -1.0
    pairs = Pairs.drawn(len(y), resampling)
    diverged = (output.status[:, :, 0] == "diverged").astype(np.float64)
    at = {(row.factor, row.end, row.arm): k for k, row in enumerate(rows)}
    units = {factor.name: factor.unit for factor in results.study.factors}
    binary = output.metric.binary

    def mean(name: str, x: Array) -> Index:
        if binary:
            return share_of_pairs(name, x, confidence)
        value, draws = pairs.means(x[:, None])
        return pairs.index(name, float(value[0]), draws[:, 0], int(np.isfinite(x).sum()))

    nominal = mean("nominal", y[:, 0])
    ends = [row for row in rows if row.factor and not row.arm]
    gaps = np.column_stack([sign * (y[:, 0] - y[:, at[row.factor, row.end, ""]]) for row in ends])
    values, draws = pairs.means(gaps)

    def cost(k: int, column: int, level: float) -> tuple[Index, float]:
        """A cost with its interval at a level of confidence, and what pairs at chance that were not seen may add."""
        name = ends[k].factor
        if binary:
            return difference_of_shares(name, y[:, column], y[:, 0], level), 0.0
        count = int(np.isfinite(gaps[:, k]).sum())
        plain = replace(pairs, confidence=level).index(name, values[k], draws[:, k], count)
        if not output.metric.meets_chance or count < 2:
            return plain, 0.0
        there = np.isfinite(gaps[:, k])
        lost = output.low[:, column, 0] & ~output.low[:, 0, 0] & there
        share = share_of_pairs(name, lost[there].astype(np.float64), level)
        if not lost.any():
            return plain, share.high * max(0.0, nominal.value - values[k])
        others = np.where(lost, np.nan, gaps[:, k])
        value, drawn = pairs.means(others[:, None])
        left = replace(pairs, confidence=level).index(name, float(value[0]), drawn[:, 0], count - int(lost.sum()))
        return with_rare_losses(plain, left, share, float(gaps[lost, k].mean())), 0.0

    columns = [at[row.factor, row.end, ""] for row in ends]
    found = [cost(k, column, confidence) for k, column in enumerate(columns)]
    costs = tuple(
        LimitCost(
            row.factor, row.end, row.level, units[row.factor], found[k][0],
            mean(row.factor, y[:, column]),
            share_of_pairs(row.factor, diverged[:, column], confidence),
            int(np.isfinite(gaps[:, k]).sum()),
            found[k][1],
        )
        for k, (row, column) in enumerate(zip(ends, columns, strict=True))
    )  # fmt: skip
    measured = np.flatnonzero([np.isfinite(one.cost.low) for one in costs])
    known = draws[np.isfinite(draws[:, measured]).all(axis=1)][:, measured]
    names = [name_of(costs[k], costs) for k in measured]
    # As wide as Student's t: plain percentiles of few pairs would call equal costs different.
    few = replace(
        resampling, confidence=expanded(confidence, max(2, min((costs[k].pairs for k in measured), default=2)))
    )
    largest = Index("", float("nan"), float("nan"), float("nan"))
    if len(measured):
        # Bonferroni: the largest of so many was chosen for being large.
        top = int(measured[np.argmax(values[measured])])
        largest, _ = cost(top, columns[top], 1.0 - (1.0 - confidence) / len(measured))
    return Limits(
        metric=output.metric.name,
        nominal=nominal,
        costs=costs,
        largest=largest,
        mediations=tuple(_mediations(pairs, sign * y, ends, at)),
        differences=few.differences(names, values[measured], known) if len(known) else (),
        pairs=len(y),
        remarks=_remarks(costs, nominal.value, confidence, ends, at, results.study.design.arms),
        failures=failures,
        confidence=confidence,
        resamples=resamples,
    )


def _mediations(pairs: Pairs, y: Array, ends: Sequence[Any], at: _Places) -> list[Mediation]:
    """Two per end that was also trained with interventions (arms); y: (n, rows), where more is better."""
    found = []
    for row in ends:
        arms = {arm: y[:, k] for (factor, end, arm), k in at.items() if (factor, end) == (row.factor, row.end)}
        if len(arms) == 1:
            continue
        with_factor = arms[""]
        for through, (without, alone) in ARMS.items():
            effects = y[:, 0] - with_factor, arms[without] - with_factor, y[:, 0] - arms[alone]
            found.append(mediate(pairs, through, row.factor, row.end, row.level, *effects))
    return found


def _by_policy(output: Output, policy: str, name: str) -> tuple[Array, Failures]:
    """(n, rows) values, NaN where a pair is to be left out, and what was done about failures."""
    gaps = output.failed.any()
    done = "drop-block" if output.metric.given else policy
    dropped = int(output.failed.any(axis=(1, 2)).sum()) if done == "drop-block" else 0
    failures = Failures(
        done, int((output.status != "").sum()), count_kinds(output.status), "seeds", len(output.y), dropped
    )
    if not gaps or done == "drop-block":
        return output.y[:, :, 0], failures
    if done == "worst-case":
        y, worst = fill_worst(output.y, output.failed, output.metric)
        return y[:, :, 0], Failures(
            done, failures.trainings, failures.kinds, failures.unit, failures.units, worst=worst
        )
    raise refusal(name, failures, "costs")


def _check(y: Array, output: Output, metric: str) -> None:
    """Refuse an output from which no cost can be computed."""
    if len(y) < MIN_PAIRS:
        raise AnalysisError(
            f"n: {len(y)} pairs are too few for an interval; {MIN_PAIRS} or more are needed, 32 for most costs "
            "(vcm-sweep extend --to 32)"
        )
    if np.isinf(y).any():
        raise AnalysisError(
            f"{metric}: {int(np.isinf(y).sum())} values are infinite; run those again (vcm-sweep retry)"
        )
    if not np.isfinite(y[:, 0]).any():
        raise AnalysisError(
            f"{metric}: the nominal device has no result in any of {len(y)} pairs, so nothing can be compared with it; "
            "look at whether the network trains at all"
        )
    low, high = float(np.nanmin(y)), float(np.nanmax(y))
    if not output.metric.binary and high - low <= 1e-12 * max(abs(low), abs(high)):
        raise AnalysisError(
            f"{metric}: all trainings gave {high:g}, so no factor costs anything; widen the ranges, or look at whether "
            "the network trains at all"
        )


def _remarks(
    costs: Sequence[LimitCost], nominal: float, confidence: float, ends: Sequence[Any], at: _Places, arms: str
) -> tuple[str, ...]:
    said = [
        "Costs are of each factor alone at an end of its range, all others nominal; what two do together is not in "
        "them.",
        "Trainings of a pair share their seed, so luck that both have cancels.",
    ]
    if arms == "mediation":
        without = dict.fromkeys(row.factor for row in ends if (row.factor, row.end, "matched") not in at)
        if without:
            said.append(
                f"No step of a pulse depends on {', '.join(without)}: none of what they cost goes through mismatch or "
                "speed."
            )
    unseen = max(costs, key=lambda cost: cost.unseen)
    if unseen.unseen > 0.0:
        up_to = share_of_pairs("", np.zeros(unseen.pairs), confidence).high
        said.append(
            f"A cost is that of trainings like those seen. Where none of {unseen.pairs} ended at chance, up to "
            f"{100 * up_to:.0f} % may, and at up to {100 * nominal:.0f} points each the mean cost would be up to "
            f"{100 * unseen.unseen:.0f} points higher: more pairs (vcm-sweep extend --to {2 * unseen.pairs}) bound it "
            "closer."
        )
    least = min(cost.pairs for cost in costs)
    if least < MIN_PAIRS:
        few = [name_of(cost, costs) for cost in costs if cost.pairs < MIN_PAIRS]
        said.append(f"Fewer than {MIN_PAIRS} pairs have a result for {', '.join(few)}: read no cost of it.")
    return tuple(said)
