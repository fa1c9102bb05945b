"""`ask`: finished records as a function of the factors that can be asked, with how wrong it may be, and no training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.asking.marginals import WEIGHTS, Marginals, read_marginals
from vcm_sweep.analysis.errors import TooFewError
from vcm_sweep.analysis.methods.shares import check_enough
from vcm_sweep.analysis.records.metrics import as_metric
from vcm_sweep.analysis.records.source import ResultsSource, opened
from vcm_sweep.analysis.results.index import two_digits
from vcm_sweep.analysis.statistics.linear import Estimated
from vcm_sweep.analysis.statistics.points import Points, read_points
from vcm_sweep.analysis.statistics.replicates import array_means, within_variance
from vcm_sweep.analysis.studies.analysis import prepare
from vcm_sweep.analysis.surrogates.cross_fitting import cross_fit
from vcm_sweep.analysis.surrogates.expansion import Expansion, expand, features

if TYPE_CHECKING:
    from vcm_sweep.sweep.study.factors import Factor

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """The mean output as a function f of D factors, from B blocks of m points, and what is known of its error.

    f' is a surrogate that was fitted without the block of the point at which it is asked, and r = f - f'.

    Args:
        metric: what the output is. factors: what varied. groups: of factors, as the study ranks them.
        points: the records; their factors are cumulative probabilities.
        fold: (B, m) of each point. expansion: the surrogates, by the fold that each did not see; of outputs less
            ``points.origin``. kind: of the surrogates.
        s2: (B, m) variance of one training at each point, NaN where it was trained once. runs: (B, m) how often it was.
        confidence: of every interval. n: of the design; B are those of its blocks that the policy keeps.
    """

    metric: str
    factors: "tuple[Factor, ...]"
    groups: Mapping[str, tuple[str, ...]]
    points: Points
    fold: NDArray[np.int64]
    expansion: Expansion
    kind: str
    s2: Array
    runs: Array
    confidence: float
    n: int

    @property
    def better(self) -> float:
        """1 where more of the output is better, else -1."""
        return 1.0 if as_metric(self.metric).more_is_better else -1.0

    def marginals(self, given: Mapping[str, Any] | None = None) -> Marginals:
        """How the factors vary in a question; arguments and errors as for `read_marginals`."""
        return read_marginals(self.factors, given or {}, self.groups)

    def averages(self, marginals: Marginals) -> tuple[Array, Array]:
        """Every factor's features averaged over its distribution, (D, Q + 1), and their products: (D, Q + 1, Q + 1)."""
        at = features(marginals.places)
        mean = np.einsum("n,nja->ja", WEIGHTS, at)
        return mean, np.einsum("n,nja,njb->jab", WEIGHTS, at, at, optimize=True)

    @cached_property
    def at_points(self) -> Array:
        """(B m, D, Q + 1) features of the points."""
        return features(self.points.u.reshape(-1, self.points.u.shape[2]))

    @cached_property
    def residual(self) -> Array:
        """(B, m) mean output minus the surrogate that did not see it."""
        return self.points.rows.mean - self.unseen(self.expansion.values(self.at_points))

    def predictions(self, u: Array) -> Array:
        """(K, n) what every fold's surrogate says of places (n, D) in the unit cube, less ``points.origin``."""
        return self.expansion.values(features(u))

    def unseen(self, values: Array) -> Array:
        """(B, m) of (K, B m) values at the points, that of the surrogate which did not see the point."""
        flat = self.fold.ravel()
        return np.asarray(values[flat, np.arange(len(flat))].reshape(self.fold.shape))

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of all answers, one sentence each."""
        missed = self.missed(np.ones_like(self.runs))
        sd, most = (float(np.sqrt(v)) for v in (missed.value[0], missed.value[0] + 1.645 * missed.error[0]))
        scale, unit = (100.0, " points") if as_metric(self.metric).share else (1.0, "")
        return (
            f"Answers are those of a {self.kind} that was fitted to {self.points.count} points, and of what it left at "
            f"points that it had not seen: {two_digits(scale * sd)}{unit} at a "
            f"typical setting, at most {two_digits(scale * most)}{unit}.",
            f"A part of the box smaller than {300.0 / len(self.points.u):.2g} % of it may have met no point (with a "
            "probability of 5 %); no method knows what happens there.",
        )

    def mean(self, values: Array, weights: Array) -> Estimated:
        """The weighted mean over points; values: (B, m, N), weights: (B, m)."""
        return Estimated.mean((weights[..., None] * values).mean(axis=1)) / Estimated.mean(
            weights.mean(axis=1)[:, None]
        )

    def missed(self, weights: Array) -> Estimated:
        """V(r) = E[(m - f')^2 - s2 / R] under weights (B, m), cut at 0."""
        square = self.mean(self.residual[..., None] ** 2, weights)
        if np.isfinite(self.s2).all():
            noise = self.mean((self.s2 / self.runs)[..., None], weights)
        else:
            noise = self.noise(weights) * self.mean(1.0 / self.runs[..., None], weights)
        return (square - noise).at_least(0.0)

    def noise(self, weights: Array) -> Estimated:
        """The variance of what a point's mean is of, under weights (B, m), by the points that were trained twice."""
        known = np.isfinite(self.s2)
        s2 = self.mean(np.where(known, self.s2, 0.0)[..., None], weights)
        return s2 / self.mean(known.astype(np.float64)[..., None], weights)


def respond(
    u: Array,
    y: Array,
    factors: "Sequence[Factor]",
    *,
    metric: str = "accuracy",
    groups: Mapping[str, tuple[str, ...]] | None = None,
    trainings: int = 1,
    confidence: float = 0.95,
) -> Response:
    """The response behind outputs at given points.

    Args:
        u: (B, m, D) cumulative probabilities of the factors, in B blocks of m rows that are alike. y: (B, m, R)
            outputs, NaN where a replicate was not run, never in replicate 0.
        trainings: consecutive replicates that share an array of cells. The others as for `ask`.

    Raises:
        AnalysisError: as `bounded_indices`.
    """
    blocks, size, d = u.shape
    place = np.repeat(np.arange(blocks), size)
    points = read_points(
        u.reshape(-1, d), y.reshape(blocks * size, -1), [factor.name for factor in factors],
        blocks=place if size > 1 else None, seeds="independent", metric=metric, fits_means=True, ranks=False,
        trainings=trainings,
    )  # fmt: skip
    check_enough(points)
    runs = np.isfinite(array_means(points.y, trainings)).sum(axis=2).astype(np.float64)
    each = [[j] for j in range(d)]
    fitted = cross_fit(points.u.reshape(-1, d), points.rows.mean.ravel(), runs.ravel(), place, each, seed=1)
    return Response(
        metric=metric, factors=tuple(factors), groups=dict(groups or {}), points=points,
        fold=fitted.fold.reshape(blocks, size), expansion=expand(fitted.surrogates, d), kind=fitted.kind,
        s2=within_variance(array_means(points.y, trainings)), runs=runs, confidence=confidence,
        n=blocks,
    )  # fmt: skip


def ask(
    results: ResultsSource, metric: str = "accuracy", *, policy: str = "fail", confidence: float = 0.95
) -> Response:
    """What a study's records say of any setting, range or limit inside the box that it sampled, without a training.

    Args:
        metric, policy: as `analyze` has them. confidence: of every interval.

    Raises:
        AnalysisError: as `analyze` with the method ``bounded``.

    Example::

        response = ask("runs/demo-1f0c2ab4")
        predict(response, {"r.d2d.sigma": 0.02}).mean
    """
    results = opened(results)
    prepared = prepare(results, metric, method="bounded", policy=policy)
    factors = results.study.factors
    groups = results.study.design.grouped([factor.name for factor in factors]) if results.study.design.groups else None
    try:
        response = respond(
            prepared.u, prepared.y, factors, metric=metric, groups=groups,
            trainings=prepared.trainings, confidence=confidence,
        )  # fmt: skip
    except TooFewError as error:
        raise prepared.advised(error) from None
    return replace(response, n=results.study.design.n)
