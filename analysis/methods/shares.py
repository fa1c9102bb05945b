"""What a surrogate explains of a variance, and the part of any size up to all the rest that an index may have besides.

Bounded indices and bounded Shapley effects are such shares: they differ in what is explained, not in its bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vcm_sweep.analysis.errors import NoiseError, TooFewError
from vcm_sweep.analysis.results.index import Difference, Index, two_digits
from vcm_sweep.analysis.results.sensitivity import Sensitivity
from vcm_sweep.analysis.statistics.bootstrap import Resampling
from vcm_sweep.analysis.statistics.linear import Bounds, Estimated
from vcm_sweep.analysis.statistics.points import Points
from vcm_sweep.analysis.statistics.replicates import Replicated, array_means, noise_remark, noise_sentence
from vcm_sweep.analysis.surrogates.corner import largest_residuals

Array = NDArray[np.float64]
Pairs = NDArray[np.int64]

# With fewer points too much of the box may hold none; with fewer blocks, or points with replicates, standard errors are
# not known well enough.
_POINTS, _BLOCKS, _REPLICATED = 256, 32, 32
# A surrogate that leaves more than this share unexplained misses something that can be looked for.
_MISSED = 0.1


@dataclass(frozen=True)
class Shares:
    """The variance of a mean output, and what of it a surrogate misses.

    Attributes:
        points: the points and outputs. residual: (B, m) outputs less a surrogate that has not seen them.
        variance, missed, noise: (1,) V(f); V(r), what the surrogate misses of it; the variance of one training.
        resampling: of blocks. weights: theirs. drawn: V(f) of each. kept: which are usable.
    """

    points: Points
    residual: Array
    variance: Estimated
    missed: Estimated
    noise: Estimated
    resampling: Resampling
    weights: Array
    drawn: Array
    kept: NDArray[np.bool_]

    @classmethod
    def of(cls, points: Points, residual: Array, whole: Estimated, resampling: Resampling, metric: str) -> "Shares":
        """``whole``: (1,) what the surrogate explains of the variance, E f' not taken out.

        Raises:
            NoiseError: the variance may be nothing but noise.
        """
        missed = _missed_variance(points, residual)
        mean = Estimated.mean(residual.mean(axis=1, keepdims=True))
        variance, noise = whole + missed - mean * mean, _training_noise(points.rows)
        check_varies(variance, noise, resampling.confidence, metric)
        weights = resampling.weights(len(residual))
        drawn = variance.draws(weights)[:, 0]
        return cls(
            points, residual, variance, missed, noise, resampling, weights, drawn, resampling.usable(drawn, metric)
        )

    def indices(
        self, explained: Estimated, names: Sequence[str], pairs: Pairs | None = None, single: bool = False
    ) -> tuple[Index, ...]:
        """What is explained, (N,), as shares with the interval of both bounds; ``single``: of a training's variance."""
        of = self.variance + self.noise if single else self.variance
        bounds = Bounds(explained / of, (explained + self.missed) / of)
        return _bounded_index(bounds, self.resampling.confidence, names, pairs)

    def sensitivity(
        self,
        points: Points,
        method: str,
        kind: str,
        indices: Mapping[str, tuple[Index, ...]],
        ranked: Estimated,
        factors: Sequence[str],
        remarks: tuple[str, ...],
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> Sensitivity:
        """The result of a method.

        Args:
            points: as they are described, of the same blocks. method: its name. kind: of ``indices``, that ranks.
            ranked: (N,) what is explained of the variance by what is ranked. factors: of the points.
            remarks: what else to say.
        """
        confidence, names = self.resampling.confidence, points.factors
        share = self.missed / self.variance
        (unexplained,) = _bounded_index(Bounds(share, share), confidence, ("unexplained",))
        pairs = pairs_of(names)
        apart = ranked[pairs[:, 0]] - ranked[pairs[:, 1]]
        differences = Bounds((apart - self.missed) / self.variance, (apart + self.missed) / self.variance)
        variance = float(self.variance.value[0])
        result = points.sensitivity(
            method,
            kind,
            {**indices, "unexplained": (unexplained,)},
            (ranked / self.variance).draws(self.weights[self.kept]),
            self.resampling,
            variance=variance,
            luck=self.points.luck(variance, self.drawn, self.weights, self.resampling),
            kept=self.kept,
            remarks=(*remarks, noise_remark(points.rows, corrected=True)),
            groups=groups,
        )
        return replace(
            result,
            differences=_bounded_differences(differences, confidence, names, pairs),
            spare=(0.0, max(0.0, unexplained.high)),
            misses=_misses_words(points, self.residual, factors, unexplained),
        )


def pairs_of(names: Sequence[str]) -> Pairs:
    """(P, 2) places of all pairs."""
    return np.array(list(combinations(range(len(names)), 2)), dtype=np.int64).reshape(-1, 2)


def too_few(points: int, blocks: int, replicated: int) -> TooFewError | None:
    """What points in so many blocks, so many of them trained twice, lack for an interval; None if nothing."""
    if points < _POINTS:
        return TooFewError(
            f"n: {points} points are too few for a verdict, since {_unseen(points)} of the box may hold none of them "
            f"(with a probability of 5 %); {_POINTS} or more are needed",
            _POINTS, TooFewError.n_for(_POINTS, points, blocks),
        )  # fmt: skip
    if blocks < _BLOCKS:
        return TooFewError(
            f"n: {blocks} base blocks are too few for an interval; {_BLOCKS} or more are needed", to=_BLOCKS
        )
    if replicated < _REPLICATED:
        return TooFewError(
            f"replicates: {replicated} points were trained twice, and {_REPLICATED} or more are needed to tell what "
            "the surrogate leaves unexplained from training noise; vcm-sweep extend --replicates 2 runs every row once "
            "more (what is finished is kept)"
        )
    return None


def check_enough(points: Points) -> None:
    """Refuse points that are too few, or too seldom trained twice: TooFewError says what to run."""
    if lacking := too_few(points.count, len(points.u), points.rows.replicated_rows):
        raise lacking


def check_varies(variance: Estimated, noise: Estimated, confidence: float, metric: str) -> None:
    """Refuse a variance of the mean output that may be 0, (1,), beside that of one training: NoiseError."""
    # One point that fell off a cliff may be all that varies; and the squares of a single failure and of its noise are
    # equal, so that the variance is nearly 0, and its error, too. Less than a hundredth of the noise is never measured.
    two_sided = float(stats.norm.ppf(0.5 + confidence / 2.0))
    if not variance.value[0] > max(two_sided * variance.error[0], 1e-2 * noise.value[0]):
        raise NoiseError(noise_sentence(metric, float(variance.value[0]), corrected=True))


def _training_noise(rows: Replicated) -> Estimated:
    """The variance of one training at fixed factors."""
    noise = Estimated.mean(rows.s2_sum[:, None]) / Estimated.mean(rows.s2_count[:, None])
    if not rows.inner_count.any():
        return noise
    return noise + Estimated.mean(rows.inner_sum[:, None]) / Estimated.mean(rows.inner_count[:, None])


def _missed_variance(points: Points, residual: Array) -> Estimated:
    """V(r) = E[(m - f')^2 - s2 / R], cut at 0; residual: (B, m)."""
    rows = points.rows
    noise = Estimated.mean(rows.noise.mean(axis=1, keepdims=True))
    if rows.pooled:
        noise = noise * (Estimated.mean(rows.s2_sum[:, None]) / Estimated.mean(rows.s2_count[:, None]))
    return (Estimated.mean((residual**2).mean(axis=1, keepdims=True)) - noise).at_least(0.0)


def _bounded_index(
    bounds: Bounds, confidence: float, names: Sequence[str], pairs: NDArray[np.int64] | None = None
) -> tuple[Index, ...]:
    """The lower bound of each factor or pair, with the interval of both."""
    named = [(name, "") for name in names] if pairs is None else [(names[i], names[j]) for i, j in pairs]
    value, (low, high) = bounds.low.value, bounds.interval(confidence)
    # Without anything unexplained the interval would be even about the value.
    missed = np.maximum(0.0, high - (2.0 * value - low)) * (bounds.high.value > value)
    numbers = np.column_stack([value, low, high, missed]).tolist()
    return tuple(
        Index(name, own, below, above, partner, missed=more)
        for (name, partner), (own, below, above, more) in zip(named, numbers, strict=True)
    )


def _bounded_differences(
    bounds: Bounds, confidence: float, names: Sequence[str], pairs: NDArray[np.int64]
) -> tuple[Difference, ...]:
    """What each pair differs by, the larger minus the smaller."""
    return tuple(
        Difference(names[i], names[j], float(value), float(low), float(high))
        if value >= 0.0
        else Difference(names[j], names[i], float(-value), float(-high), float(-low))
        for (i, j), value, low, high in zip(
            pairs, (bounds.low.value + bounds.high.value) / 2.0, *bounds.interval(confidence), strict=True
        )
    )


def repeats(points: Points, trainings: int) -> Array:
    """(n,) how many independent trainings, or arrays of several, each mean is of."""
    return np.isfinite(array_means(points.y, trainings)).sum(axis=2).ravel().astype(np.float64)


def _unseen(points: int) -> str:
    # (1 - p)^n = 0.05 for p = 3 / n.
    return f"{two_digits(300.0 / points)} %"


def _misses_words(points: Points, residual: Array, factors: Sequence[str], unexplained: Index) -> str:
    """What the surrogate leaves unexplained and, if that is much, where."""
    share = f"{two_digits(100.0 * unexplained.value)} % of the variance"
    most = f"at most {two_digits(100.0 * max(0.0, unexplained.high))} %"
    if unexplained.value <= _MISSED:
        return (
            f"The model leaves {share} unexplained, {most}: it may be any factor's, and every interval holds all of it."
        )
    blocks, size, d = points.u.shape
    square = (residual**2 - points.row_noise()).ravel()
    corner = largest_residuals(points.u.reshape(-1, d), square, np.repeat(np.arange(blocks), size), factors)
    where = f"it is largest with {corner.words()}" if corner else "it is spread over the whole box"
    return (
        f"The model misses something, {share}, {most}: {where}. It may be any factor's, and every interval holds all "
        "of it."
    )


def unseen_words(units: int) -> str:
    return (
        f"A part of the box smaller than {_unseen(units)} of it may have met no point (with a probability of 5 %); "
        "no method knows what happens there."
    )
