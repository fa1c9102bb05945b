"""How much of a factor's cost goes through the cells' SET/RESET mismatch, and how much through their speed.

Shares are measured by intervention (trainings with that part of the effect undone), not by regression; see
docs/statistics.md, "Mediation by SET/RESET mismatch". Total and pure indirect effects are as in Robins, Greenland,
Epidemiology 3 (1992) 143.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.limits.pairs import MIN_PAIRS, Pairs
from vcm_sweep.analysis.records.metrics import read_output
from vcm_sweep.analysis.records.source import same_points
from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.moments import independent_moments
from vcm_sweep.analysis.statistics.replicates import check_output, replicated

if TYPE_CHECKING:
    from vcm_sweep.sweep.store.results import Results

Array = NDArray[np.float64]

ARMS = {"mismatch": ("matched", "mismatch_only"), "speed": ("speed_matched", "speed_only")}
"""For each way that a cost can go, its two arms (kinds of trainings): the disturbed cell with that part undone, and the
nominal cell with that part alone."""


@dataclass(frozen=True)
class Mediation:
    """How much of a factor's cost at an end of its range goes through mismatch, or through speed.

    Args:
        factor, end, level: as in `LimitCost`. through: ``mismatch`` or ``speed``.
        total: the total effect: the cost itself, in the metric's unit, over the seeds that have all arms.
        indirect: share of the cost that goes away when the disturbed cell's mismatch (or speed) is restored.
        pure: share of the cost that the mismatch (or speed) alone causes in the nominal cell.
        interaction: indirect minus pure: what the mismatch costs only together with the rest of the disturbance.
            indirect, pure and interaction are None where no share can be given.
        reason: why no share can be given; "" where there is one.
        pairs: number of seeds that have all arms.
    """

    factor: str
    end: str
    level: float
    through: str
    total: Index
    indirect: Index | None = None
    pure: Index | None = None
    interaction: Index | None = None
    reason: str = ""
    pairs: int = 0

    def words(self) -> str:
        """The share, or why there is none.

        >>> total = Index("l.d2d.sigma", 0.08, 0.07, 0.09)
        >>> share = Index("l.d2d.sigma", 0.91, 0.83, 0.99)
        >>> Mediation("l.d2d.sigma", "high", 0.1, "mismatch", total, share, share, share, pairs=32).words()
        '91 % [83, 99] goes through mismatch'
        """
        if self.indirect is None:
            return self.reason
        return f"{self.indirect.percent()} goes through {self.through}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        kinds = ("total", "indirect", "pure", "interaction")
        indices = {kind: index.to_dict() if (index := getattr(self, kind)) else None for kind in kinds}
        plain = {name: getattr(self, name) for name in ("factor", "end", "level", "through", "pairs", "reason")}
        return plain | indices


def mediate(
    pairs: Pairs, through: str, factor: str, end: str, level: float, total: Array, indirect: Array, pure: Array
) -> Mediation:
    """Shares of a cost from paired arms.

    Args:
        pairs: the resamples of the seeds.
        total: (n,) nominal minus disturbed output, by seed.
        indirect: (n,) output of the disturbed cell with the mediator (mismatch or speed) restored, minus disturbed.
        pure: (n,) nominal output minus that of the nominal cell with the mediator alone.
        All three are NaN where an arm has no result.
    """
    # All shares of one cost are over the same seeds: those that have a result in every arm.
    whole = np.isfinite(total) & np.isfinite(indirect) & np.isfinite(pure)
    x = np.where(whole[:, None], np.column_stack([total, indirect, pure]), np.nan)
    n = int(whole.sum())
    (effect, part, alone), draws = pairs.means(x)

    def mediation(reason: str, **shares: Index) -> Mediation:
        cost = pairs.index(factor, effect, draws[:, 0], n)
        return Mediation(factor, end, level, through, cost, reason=reason, pairs=n, **shares)

    if n < MIN_PAIRS:
        return mediation(
            f"no share: {n} seeds have all arms, and {MIN_PAIRS} or more are needed (vcm-sweep extend --to {MIN_PAIRS})"
        )
    error = float(np.std(total[whole], ddof=1)) / math.sqrt(n)
    if not effect > 2.0 * error:
        return mediation(f"no share: the cost {effect:.3g} is not above two standard errors, 2 x {error:.2g}")

    def share(value: float, drawn: Array) -> Index:
        with np.errstate(invalid="ignore", divide="ignore"):
            return pairs.index(factor, value / effect, drawn / draws[:, 0], n)

    return mediation(
        "",
        indirect=share(part, draws[:, 1]),
        pure=share(alone, draws[:, 2]),
        interaction=share(part - alone, draws[:, 1] - draws[:, 2]),
    )


@dataclass(frozen=True)
class VarianceMediation:
    """How much of a factor's total variance goes away when the cells' mismatch (or speed) is restored everywhere.

    Args:
        factor: name. through: ``mismatch`` or ``speed``.
        total: V_Ti, the total-effect variance without noise, in the metric's unit squared. matched: the same with the
            intervention. share: 1 - matched / total, or None where total is not above noise, as ``reason`` then says.
    """

    factor: str
    through: str
    total: Index
    matched: Index
    share: Index | None
    reason: str = ""


def variance_mediation(
    results: "Results",
    matched_results: "Results",
    metric: str = "accuracy",
    *,
    through: str = "mismatch",
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 1,
) -> tuple[VarianceMediation, ...]:
    """One share per factor, from two Sobol studies that differ by the intervention alone.

    Training noise is subtracted from both variances. Studies that differ by the intervention alone have the same
    points; the bootstrap then draws the same blocks from both, so that scatter that comes from the points cancels. A
    matched variance that comes out negative keeps its sign, so a share may exceed 1.

    Args:
        results: of the study. matched_results: of the same with ``[device.intervention] kind = "matched"``, or
            "speed_matched" with ``through="speed"``.
        metric: what varies; trainings that failed are refused.

    Raises:
        AnalysisError: the studies are no such pair, trainings failed or are missing, or there are no replicates.
    """
    if through not in ARMS:
        raise AnalysisError(f"through: {through!r} is not one of {', '.join(ARMS)}")
    names = _same_factors(results, matched_results)
    _check_intervened(results, matched_results, ARMS[through][0])
    resampling = Resampling(resamples, confidence, seed)
    plain = _total_variances(results, metric, len(names), resampling)
    paired = same_points(results, matched_results)
    apart = resampling if paired else replace(resampling, seed=seed + 1)
    other = _total_variances(matched_results, metric, len(names), apart)
    totals = resampling.indices(names, plain[0], plain[1])
    matched = resampling.indices(names, other[0], other[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = resampling.indices(names, 1.0 - other[0] / plain[0], 1.0 - other[1] / plain[1])
    return tuple(
        VarianceMediation(name, through, total, left, share)
        if total.low > 0.0
        else VarianceMediation(
            name, through, total, left, None,
            f"no share: the total variance {total.value:.3g} [{total.low:.2g}, {total.high:.2g}] is not above noise",
        )
        for name, total, left, share in zip(names, totals, matched, shares, strict=True)
    )  # fmt: skip


def _total_variances(results: "Results", metric: str, d: int, resampling: Resampling) -> tuple[Array, Array]:
    """(D,) total-effect variances V_Ti of the D factors or groups, and (K, D) those of the resamples."""
    if results.study.design.seeds != "independent":
        raise AnalysisError(
            f"{results.study.name}: seeds = 'common', which do not measure training noise, and shares of variance have "
            "it subtracted; use seeds = 'independent', or the costs of a limits design"
        )
    output = read_output(results, metric)
    if output.failed.any():
        raise AnalysisError(
            f"{results.study.name}: {int(output.failed.sum())} trainings have no {metric}; run them again with "
            "vcm-sweep run --retry, or narrow the ranges"
        )
    check_output(output.y, metric)
    y = output.y - output.y[:, :, 0].mean()
    moments = independent_moments(y, replicated(y, results.study.design.trainings), d)
    base = len(y)
    point = moments.estimate(np.full((1, base), 1.0 / base))
    draws = moments.estimate(resampling.weights(base))
    return (point.total * point.variance[:, None])[0], draws.total * draws.variance[:, None]


def _same_factors(one: "Results", other: "Results") -> list[str]:
    for results in (one, other):
        if results.study.design.method != "sobol":
            raise AnalysisError(f"{results.study.name}: shares of variance need [design] method = 'sobol'")
    if one.study.factors != other.study.factors:
        raise AnalysisError(
            "the two studies vary different factors or ranges: they may differ in [device.intervention] only"
        )
    names = [factor.name for factor in one.study.factors]
    groups = [results.study.design.grouped(names) if results.study.design.groups else {} for results in (one, other)]
    if groups[0] != groups[1]:
        raise AnalysisError("the two studies group their factors in different ways: they may not differ in that")
    return list(groups[0]) or names


def _check_intervened(plain: "Results", matched: "Results", kind: str) -> None:
    def found(results: "Results") -> Any:
        return results.study.device.get("intervention", {}).get("kind", "")

    if found(plain) or found(matched) != kind:
        raise AnalysisError(
            f"the second study must have [device.intervention] kind = {kind!r} and the first none; they have "
            f"{found(matched)!r} and {found(plain)!r}"
        )
