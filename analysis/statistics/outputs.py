"""The outputs of a design with their noise, which every method starts from, and how a method's result is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.results.index import Index
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.replicates import Replicated, replicated

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outputs:
    """The outputs of a design in the units that the bootstrap draws.

    Args:
        factors: names of what is ranked. metric: what was measured. seeds: ``independent`` or ``common``.
        unit: what the bootstrap draws, for example ``base blocks``.
        y: (units, rows, R) outputs minus ``origin``, NaN where a replicate was not run. No estimator depends on the
            origin; subtracting it keeps sums of squares accurate.
        rows: means and noise of the rows of ``y``. corrected: whether the noise is known and subtracted.
    """

    factors: tuple[str, ...]
    metric: str
    seeds: str
    unit: str
    y: Array
    origin: float
    rows: Replicated
    corrected: bool

    @property
    def everyone(self) -> Array:
        """(1, units) equal weights, which give the estimate itself."""
        return np.full((1, len(self.y)), 1.0 / len(self.y))

    @property
    def noise_variance(self) -> float:
        """Variance of one training at fixed factors; NaN when not measured."""
        return float(self.rows.noise_variance(self.everyone)[0])

    def sensitivity(
        self,
        method: str,
        kind: str,
        indices: Mapping[str, tuple[Index, ...]],
        draws: Array,
        resampling: Resampling,
        *,
        variance: float,
        luck: Index,
        remarks: tuple[str, ...],
        kept: NDArray[np.bool_] | None = None,
        mean: float | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> Sensitivity:
        """The result of a method, with the facts of these outputs filled in.

        Args:
            method: name of the method. kind: the kind of index that ranks. indices: indices of all kinds.
            draws: (K, D) resamples of the indices that rank. kept: (resamples,) which K of all resamples these are,
                where some have no index; their numbers let two studies of the same points be compared in pairs.
            variance: of the output without noise. luck: share of the seed in the variance of one training.
            mean: of the output minus the origin; by default that of the row means.
            groups: the factors in each group, where groups are ranked.
        """
        value = np.array([index.value for index in indices[kind]])
        everywhere = draws
        if kept is not None:
            everywhere = np.full((len(kept), draws.shape[1]), np.nan)
            everywhere[kept] = draws
        return Sensitivity(
            method=method,
            metric=self.metric,
            factors=self.factors,
            kind=kind,
            indices=indices,
            differences=resampling.differences(self.factors, value, draws),
            seeds=self.seeds,
            corrected=self.corrected,
            pooled=self.corrected and self.rows.pooled,
            remarks=remarks,
            luck=luck,
            mean=float(self.rows.mean.mean() if mean is None else mean) + self.origin,
            variance=variance,
            noise_variance=self.noise_variance,
            unit=self.unit,
            units=len(self.y),
            replicated_rows=self.rows.replicated_rows,
            confidence=resampling.confidence,
            resamples=resampling.resamples,
            draws=everywhere,
            groups={name: tuple(members) for name, members in (groups or {}).items()},
        )


def read_outputs(y: Array, factors: Sequence[str], *, metric: str, seeds: str, unit: str, trainings: int) -> Outputs:
    """The outputs of a design, with the noise that their replicates show; it is subtracted if seeds are independent.

    Args:
        y: (units, rows, R) outputs that `check_output` has accepted.
        trainings: number of consecutive replicates that share an array of cells.
    """
    origin = float(y[:, :, 0].mean())
    rows = replicated(y - origin, trainings)
    return Outputs(tuple(factors), metric, seeds, unit, y - origin, origin, rows, seeds == "independent")
