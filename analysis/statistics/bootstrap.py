"""The bootstrap by weights: one matrix product gives all resamples of a statistic that is a mean over units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import AnalysisError, NoiseError
from vcm_sweep.analysis.results.index import Difference, Index

Array = NDArray[np.float64]

# For the quantile of the largest of correlated normals, to 1 %.
_NORMALS = 20_000


@dataclass(frozen=True)
class Resampling:
    """How intervals are made: percentiles of a bootstrap over units.

    Args:
        resamples: how many, 100 or more. confidence: of all intervals, in [0.5, 1). seed: of the draws.

    Raises:
        AnalysisError: a number outside its range.

    >>> Resampling(resamples=1000, confidence=0.95, seed=1).weights(64).shape
    (1000, 64)
    """

    resamples: int
    confidence: float
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.resamples, Integral) or self.resamples < 100:
            raise AnalysisError(f"resamples: {self.resamples!r} must be a whole number of at least 100")
        if not isinstance(self.confidence, Real) or not 0.5 <= self.confidence < 1.0:
            raise AnalysisError(f"confidence: {self.confidence!r} must be in [0.5, 1), for example 0.95")
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise AnalysisError(f"seed: {self.seed!r} must be a whole number, 0 or more")

    def weights(self, units: int) -> Array:
        """Multinomial weights of a bootstrap over units: (resamples, units), rows summing to 1."""
        rng = np.random.default_rng(self.seed)
        weights = np.empty((self.resamples, units))
        # Drawing units and counting them is a multinomial draw, and ten times as fast as numpy's multinomial.
        for row in weights:
            row[:] = np.bincount(rng.integers(units, size=units), minlength=units)
        weights /= units
        return weights

    def indices(
        self,
        names: Sequence[str],
        value: Array,
        draws: Array,
        *,
        partners: Sequence[str] | None = None,
        floor: Array | None = None,
    ) -> tuple[Index, ...]:
        """One `Index` per column; value: (D,) estimates, draws: (K, D) their resamples, floor: (D,)."""
        low, high = interval(draws, self.confidence)
        partners = [""] * len(names) if partners is None else partners
        floors = np.zeros(len(names)) if floor is None else floor
        return tuple(
            Index(name, float(v), float(a), float(b), partner, float(f))
            for name, v, a, b, partner, f in zip(names, value, low, high, partners, floors, strict=True)
        )

    def differences(self, names: Sequence[str], value: Array, draws: Array) -> tuple[Difference, ...]:
        """The difference of every pair, higher minus lower estimate; value: (D,), draws: (K, D)."""
        pairs = [(i, j) if value[i] >= value[j] else (j, i) for i, j in combinations(range(len(names)), 2)]
        if not pairs:
            return ()
        big, small = np.array(pairs).T
        low, high = interval(draws[:, big] - draws[:, small], self.confidence)
        gap = value[big] - value[small]
        return tuple(
            Difference(names[i], names[j], float(v), float(a), float(b))
            for i, j, v, a, b in zip(big, small, gap, low, high, strict=True)
        )

    def usable(self, variance: Array, metric: str) -> NDArray[np.bool_]:
        """(K,) which resamples have a positive variance; the others have no index, since it is a ratio, and must be
        few.

        Raises:
            AnalysisError: there are more of these others than the interval leaves outside on one side.
        """
        keep = np.asarray(variance > 0.0)
        if np.mean(~keep) > (1.0 - self.confidence) / 2.0:
            raise NoiseError(
                f"{metric}: in {np.sum(~keep)} of {keep.size} bootstrap resamples the output varies no more "
                f"than training noise, so the indices have no {100 * self.confidence:g} % interval; add base rows "
                "(vcm-sweep extend) or replicates, or widen the ranges"
            )
        return keep


def interval(draws: Array, confidence: float) -> tuple[Array, Array]:
    """The low and the high end of the percentile interval along the first axis."""
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail], axis=0)
    return low, high


def joint_interval(value: Array, draws: Array, confidence: float) -> tuple[Array, Array]:
    """Intervals that hold all at once: percentile intervals, each stretched about its value by one common factor.

    The factor is the quantile of the largest of correlated standard normals over that of one (single-step, Hothorn,
    Bretz and Westfall, Biom. J. 50 (2008) 346). The quantiles of the largest resample itself would need many thousand
    resamples, and are too narrow with fewer.

    Args:
        value: (D,) estimates. draws: (K, D) their resamples.

    >>> draws = np.random.default_rng(1).normal(size=(2000, 10))
    >>> low, high = joint_interval(np.zeros(10), draws, 0.95)
    >>> bool(2.6 < (high - low).mean() / 2 < 2.9)  # 2.80 for ten independent normals, and 1.96 for one
    True
    """
    low, high = interval(draws, confidence)
    moving = draws.std(axis=0) > 0.0
    if moving.sum() < 2:
        return low, high
    together = np.linalg.eigh(np.corrcoef(draws[:, moving].T))
    root = together.eigenvectors * np.sqrt(np.clip(together.eigenvalues, 0.0, None))
    normals = np.random.default_rng(0).normal(size=(_NORMALS, root.shape[0])) @ root.T
    stretch = np.quantile(np.abs(normals).max(axis=1), confidence) / stats.norm.ppf(0.5 + confidence / 2.0)
    return value - stretch * (value - low), value + stretch * (high - value)


def check_factors(names: Sequence[str], seeds: str) -> None:
    """Raise AnalysisError for factor names or a seeds policy that no method can work with."""
    if not names or len(set(names)) != len(names):
        raise AnalysisError(f"factors: {list(names)} must be one or more distinct names")
    if seeds not in ("independent", "common"):
        raise AnalysisError(f"seeds: {seeds!r} is not one of independent, common")


def grouped(factors: Sequence[str], groups: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """The factors of each group; each factor by itself where ``groups`` is None.

    Raises:
        AnalysisError: groups that do not hold every factor exactly once.
    """
    given = {name: [name] for name in factors} if groups is None else groups
    sets = {name: tuple(members) for name, members in given.items()}
    if sorted(member for members in sets.values() for member in members) != sorted(factors):
        raise AnalysisError(f"groups: {dict(sets)} must hold every factor once: {', '.join(factors)}")
    return sets
