"""Boosted trees: functions with steps along the axes, where a training fails or an effect sets in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor

from vcm_sweep.analysis.surrogates.quadrature import CUTS
from vcm_sweep.analysis.surrogates.surrogate import Functions, Surrogate

Array = NDArray[np.float64]
Cells = NDArray[np.int64]

_TREES, _RATE = 100, 0.1


@dataclass(frozen=True)
class Boxes(Functions):
    """1 inside and 0 outside of I intervals of each factor; low, high: (D, I) first cell, and the one after the end."""

    low: Cells
    high: Cells

    @property
    def dimension(self) -> int:
        return len(self.low)

    def at(self, u: Array) -> Array:
        cell = cells(u).T[:, :, None]
        return ((cell >= self.low[:, None]) & (cell < self.high[:, None])).astype(np.float64)


def cells(u: Array) -> Cells:
    """The cell between cuts in which each number is."""
    return np.searchsorted(CUTS, u, side="right")


def fit_boosted_trees(u: Array, y: Array, repeats: Array) -> Surrogate:
    """Trees of three cuts each, every one fitted to what those before it left on half of the points; see `Fit`.

    Friedman, Comput. Stat. Data Anal. 38 (2002) 367.
    """
    boosted = GradientBoostingRegressor(
        n_estimators=_TREES, learning_rate=_RATE, max_depth=3, subsample=0.5, min_samples_leaf=3, random_state=0
    ).fit(cells(u), y, sample_weight=repeats)
    low, high, value = [], [], []
    for (regressor,) in boosted.estimators_:
        tree = regressor.tree_
        stack = [(0, np.zeros(u.shape[1], dtype=np.int64), np.full(u.shape[1], len(CUTS) + 1))]
        while stack:
            node, start, stop = stack.pop()
            left, right = tree.children_left[node], tree.children_right[node]
            if left < 0:
                low.append(start)
                high.append(stop)
                value.append(_RATE * float(tree.value[node, 0, 0]))
                continue
            cut, above, below = int(tree.threshold[node]) + 1, start.copy(), stop.copy()
            above[tree.feature[node]] = below[tree.feature[node]] = cut
            stack += [(left, start, below), (right, above, stop)]
    return Surrogate(float(boosted.init_.constant_[0, 0]), np.array(value), Boxes(np.array(low).T, np.array(high).T))
