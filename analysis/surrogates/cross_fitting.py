"""Cross-fitting: what a surrogate that never saw a point says of it, for all points, and the better of two kinds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.surrogates.gaussian_process import fit_gaussian_process
from vcm_sweep.analysis.surrogates.polynomial_chaos import fit_polynomial_chaos
from vcm_sweep.analysis.surrogates.surrogate import Array, Fit, Groups, Parts, Surrogate, joined

KINDS: dict[str, Fit] = {"Gaussian process": fit_gaussian_process, "polynomial chaos": fit_polynomial_chaos}
"""The kinds of surrogate that are tried."""

_FOLDS = 8
# A surrogate is fitted to so many points at most, drawn at random: a Gaussian process costs their number cubed.
_MOST = 4096
# A report analyses its records and then asks them: the last fit, by all that it depends on.
_LAST: "dict[tuple[object, ...], CrossFitted]" = {}


@dataclass(frozen=True)
class CrossFitted:
    """Surrogates of all folds but one each.

    Args:
        kind: of the surrogates. fold: (n,) of each point. surrogates: by the fold that each did not see.
        residual: (n,) mean output minus the surrogate that did not see the point.
        parts: of that surrogate, at each point. variances: mean over the surrogates.
    """

    kind: str
    fold: NDArray[np.int64]
    surrogates: tuple[Surrogate, ...]
    residual: Array
    parts: Parts
    variances: Parts

    @property
    def error(self) -> float:
        """Mean squared residual."""
        return float(np.mean(self.residual**2))


def cross_fit(
    u: Array, y: Array, repeats: Array, blocks: NDArray[np.int64], groups: Groups, *, seed: int
) -> CrossFitted:
    """The kind of surrogate that predicts points which it did not see best, from eight folds of whole blocks.

    The choice of kind sees every point, but is one of two only. Nothing else may pass from fold to fold: a search for
    hyperparameters that began where that of another fold had ended made the squared residuals up to a third too small.

    Args:
        u: (n, D) in [0, 1]. y: (n,) mean outputs. repeats: (n,) trainings of each mean.
        blocks: (n,) which points belong together, numbered from 0. groups: columns of each group.
        seed: of the assignment to folds.
    """
    asked = (*(array.tobytes() for array in (u, y, repeats, blocks)), repr(groups), seed, *KINDS.values())
    if asked not in _LAST:
        _LAST.clear()
        _LAST[asked] = _best(u, y, repeats, blocks, groups, seed)
    return _LAST[asked]


def _best(u: Array, y: Array, repeats: Array, blocks: NDArray[np.int64], groups: Groups, seed: int) -> CrossFitted:
    # At random: the numbers of Sobol points modulo 8 are parts of the cube.
    fold = np.random.default_rng(seed).permutation(int(blocks.max()) + 1)[blocks] % _FOLDS
    tried = [_cross_fit(kind, u, y, repeats, fold, groups) for kind in KINDS]
    return min(tried, key=lambda fitted: fitted.error)


def _cross_fit(kind: str, u: Array, y: Array, repeats: Array, fold: NDArray[np.int64], groups: Groups) -> CrossFitted:
    surrogates, parts, variances, residuals = [], [], [], []
    for k in range(_FOLDS):
        out = fold == k
        seen = np.random.default_rng(k).permutation(np.flatnonzero(~out))[:_MOST]
        surrogate = KINDS[kind](u[seen], y[seen], repeats[seen])
        surrogates.append(surrogate)
        parts.append(surrogate.parts(u[out], groups))
        residuals.append(y[out] - surrogate.mean - parts[-1].whole)
        variances.append(surrogate.variances(groups).map(lambda part: part[None]))
    # From the order of the folds back to that of the points.
    back = np.argsort(np.argsort(fold, kind="stable"), kind="stable")
    return CrossFitted(
        kind,
        fold,
        tuple(surrogates),
        np.concatenate(residuals)[back],
        joined(parts).map(lambda part: part[back]),
        joined(variances).map(lambda part: np.average(part, axis=0, weights=np.bincount(fold))),
    )
