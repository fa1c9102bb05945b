"""Cross-fitting: what surrogates that never saw a point say of it, for all points, mixed by how well they do."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from threadpoolctl import threadpool_limits

from vcm_sweep.analysis.surrogates.gaussian_process import fit_anova_process, fit_matern_process
from vcm_sweep.analysis.surrogates.polynomial_chaos import fit_polynomial_chaos
from vcm_sweep.analysis.surrogates.surrogate import Array, Fit, Groups, Parts, Surrogate, joined, mixture
from vcm_sweep.analysis.surrogates.trees import fit_boosted_trees

KINDS: dict[str, Fit] = {
    "Gaussian process of polynomials": fit_anova_process,
    "Gaussian process with a Matérn kernel": fit_matern_process,
    "polynomial chaos": fit_polynomial_chaos,
    "boosted trees": fit_boosted_trees,
}
"""The kinds of surrogate that are mixed."""

_FOLDS = 8
# A surrogate is fitted to so many points at most, drawn at random: a Gaussian process costs their number cubed.
_MOST = 4096
# A report analyses its records and then asks them: the last fit, by all that it depends on.
_LAST: "dict[tuple[object, ...], CrossFitted]" = {}
# A kind with a smaller share than this costs more time than it explains.
_LEAST = 0.05


@dataclass(frozen=True)
class CrossFitted:
    """Surrogates of all folds but one each.

    Args:
        shares: of each kind, mean over the surrogates. fold: (n,) of each point.
        surrogates: by the fold that each did not see.
        residual: (n,) mean output minus the surrogate that did not see the point.
        parts: of that surrogate, at each point. variances: mean over the surrogates.
    """

    shares: dict[str, float]
    fold: NDArray[np.int64]
    surrogates: tuple[Surrogate, ...]
    residual: Array
    parts: Parts
    variances: Parts

    @property
    def kind(self) -> str:
        """What predicts, in a sentence's part."""
        largest = sorted(self.shares.items(), key=lambda kind: -kind[1])
        words = [f"{100 * share:.0f} % {kind}" for kind, share in largest if share >= 0.005]
        return f"mixture of {', '.join(words)}" if len(words) > 1 else largest[0][0]

    @property
    def error(self) -> float:
        """Mean squared residual."""
        return float(np.mean(self.residual**2))


def cross_fit(
    u: Array, y: Array, repeats: Array, blocks: NDArray[np.int64], groups: Groups, *, seed: int
) -> CrossFitted:
    """Mixtures of all kinds of surrogate, from eight folds of whole blocks, that predict points they did not see.

    Shares of the kinds are those with the smallest squared error at the points of the other folds, whose surrogates
    have seen this fold: the covariance of what is said of a point with its noise was 0.002 +- 0.002 of the noise's
    variance. Nothing else may pass from fold to fold: a search for hyperparameters that began where that of another
    fold had ended made the squared residuals up to a third too small.

    Args:
        u: (n, D) in [0, 1]. y: (n,) mean outputs. repeats: (n,) trainings of each mean.
        blocks: (n,) which points belong together, numbered from 0. groups: columns of each group.
        seed: of the assignment to folds.
    """
    asked = (*(array.tobytes() for array in (u, y, repeats, blocks)), repr(groups), seed, *KINDS.values())
    fitted = _LAST.get(asked)
    if fitted is None:
        # Matrices are small: threads of the linear algebra would wait for each other, on a busy machine for minutes.
        with threadpool_limits(1):
            fitted = _fitted(u, y, repeats, blocks, groups, seed)
        _LAST.clear()
        _LAST[asked] = fitted
    return fitted


def _fitted(u: Array, y: Array, repeats: Array, blocks: NDArray[np.int64], groups: Groups, seed: int) -> CrossFitted:
    # At random: the numbers of Sobol points modulo 8 are parts of the cube.
    fold = np.random.default_rng(seed).permutation(int(blocks.max()) + 1)[blocks] % _FOLDS
    fitted: list[list[Surrogate]] = []
    predicted = np.empty((len(KINDS), len(y)))
    for k in range(_FOLDS):
        out = fold == k
        seen = np.random.default_rng(k).permutation(np.flatnonzero(~out))[:_MOST]
        fitted.append([fit(u[seen], y[seen], repeats[seen]) for fit in KINDS.values()])
        predicted[:, out] = [surrogate.predict(u[out]) for surrogate in fitted[-1]]
    shares = np.array([_shares(predicted[:, fold != k], y[fold != k]) for k in range(_FOLDS)])
    mixed = [_mixed(kinds, share) for kinds, share in zip(fitted, shares, strict=True)]
    # From the order of the folds back to that of the points.
    back = np.argsort(np.argsort(fold, kind="stable"), kind="stable")
    parts = joined([surrogate.parts(u[fold == k], groups) for k, surrogate in enumerate(mixed)]).map(
        lambda part: part[back]
    )
    variances = joined([surrogate.variances(groups).map(lambda part: part[None]) for surrogate in mixed])
    whole = float(variances.whole.mean())
    sizes = np.bincount(fold)
    return CrossFitted(
        dict(zip(KINDS, np.average(shares, axis=0, weights=sizes).tolist(), strict=True)),
        fold,
        tuple(mixed),
        y - np.array([surrogate.mean for surrogate in mixed])[fold] - parts.whole,
        parts.map(partial(_without_rounding, least=1e-12 * whole)),
        variances.map(lambda part: np.average(_without_rounding(part, 1e-24 * whole**2), axis=0, weights=sizes)),
    )


def _without_rounding(part: Array, least: float) -> Array:
    """0 where no value has a square above ``least``, as for a factor that has no part: rounding errors have a sign."""
    return np.where(np.square(part).max(axis=0) > least, part, 0.0)


def _shares(predicted: Array, y: Array) -> Array:
    """The shares, none negative and their sum 1, with the smallest squared error; predicted: (K, n)."""
    # The sum is one more equation, of a weight beside which the others' do not count.
    much = 1e4 * np.sqrt(len(y)) * (float(np.std(y)) or 1.0)
    center = y.mean()
    matrix = np.concatenate([(predicted - center).T, np.full((1, len(predicted)), much)])
    share, _ = optimize.nnls(matrix, np.append(y - center, much))
    share[share < min(_LEAST, share.max())] = 0.0
    return np.asarray(share / share.sum())


def _mixed(kinds: Sequence[Surrogate], shares: Array) -> Surrogate:
    used = np.flatnonzero(shares).tolist()
    return mixture([kinds[i] for i in used], shares[used].tolist())
