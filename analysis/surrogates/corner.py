"""Where a surrogate is wrong: the corner of the box in which its residuals are largest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

Array = NDArray[np.float64]

# A corner is made by two cuts and holds a twentieth of the points at least; it is none unless it holds twice its share.
_CUTS, _LEAST, _TIMES = 2, 0.05, 2.0


@dataclass(frozen=True)
class Corner:
    """A part of the box.

    Args:
        ranges: by factor, the low and the high end within its range, 0 to 1. size: share of the points in it.
        holds: share of the squared residuals that such a corner holds among points that did not choose it.
    """

    ranges: dict[str, tuple[float, float]]
    size: float
    holds: float

    def words(self) -> str:
        """The corner in a sentence's part.

        >>> Corner({"r.d2d.sigma": (0.75, 1.0)}, 0.25, 0.8).words()
        'r.d2d.sigma above its 75 % quantile: 25 % of the points with 80 % of it'
        """
        where = " and ".join(f"{name} {_quantiles(low, high)}" for name, (low, high) in self.ranges.items())
        return f"{where}: {100 * self.size:.0f} % of the points with {100 * self.holds:.0f} % of it"


def _quantiles(low: float, high: float) -> str:
    if low <= 0.0:
        return f"below its {100 * high:.0f} % quantile"
    if high >= 1.0:
        return f"above its {100 * low:.0f} % quantile"
    return f"between its {100 * low:.0f} and {100 * high:.0f} % quantiles"


def largest_residuals(u: Array, square: Array, blocks: NDArray[np.int64], factors: Sequence[str]) -> Corner | None:
    """The corner with the largest mean square; None where one half of the blocks does not find it in the other.

    Args:
        u: (n, D) in [0, 1]. square: (n,) squared residuals less their noise. blocks: (n,) which points belong together,
            numbered from 0.
    """
    # At random: every other Sobol point lies in one half of the box.
    half = np.random.default_rng(0).permutation(int(blocks.max()) + 1)[blocks] % 2 == 0
    found = [_inside(*_leaf(u[chosen], square[chosen]), u[~chosen]) for chosen in (half, ~half)]
    inside, others = np.concatenate(found), np.concatenate([square[~half], square[half]])
    holds = float(others[inside].sum() / others.sum()) if others.sum() > 0.0 else 0.0
    if not holds > _TIMES * inside.mean():
        return None
    low, high = _leaf(u, square)
    ends = zip(factors, low.tolist(), high.tolist(), strict=True)
    ranges = {name: (start, end) for name, start, end in ends if start > 0.0 or end < 1.0}
    return Corner(ranges, float(_inside(low, high, u).mean()), min(holds, 1.0))


def _leaf(u: Array, square: Array) -> tuple[Array, Array]:
    """The low and high ends, (D,) each, of the leaf of a regression tree with the largest mean."""
    tree = DecisionTreeRegressor(max_depth=_CUTS, min_samples_leaf=_LEAST, random_state=0).fit(u, square).tree_
    low, high = np.zeros(u.shape[1]), np.ones(u.shape[1])
    node = int(np.argmax(np.where(tree.children_left < 0, tree.value[:, 0, 0], -np.inf)))
    while node:
        above = int(np.flatnonzero((tree.children_left == node) | (tree.children_right == node))[0])
        j, cut = tree.feature[above], tree.threshold[above]
        if tree.children_left[above] == node:
            high[j] = min(high[j], cut)
        else:
            low[j] = max(low[j], cut)
        node = above
    return low, high


def _inside(low: Array, high: Array, u: Array) -> NDArray[np.bool_]:
    return np.asarray(((u >= low) & (u <= high)).all(axis=1))
