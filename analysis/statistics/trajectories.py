"""Trajectories that change one factor, or group, per step: which step changed which, and by how much."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.errors import AnalysisError
from vcm_sweep.analysis.statistics.bootstrap import grouped

Array = NDArray[np.float64]


def read_steps(
    x: Array, factors: Sequence[str], groups: Mapping[str, Sequence[str]] | None
) -> tuple[tuple[str, ...], NDArray[np.int64], Array]:
    """The names that are ranked, the row before each one's step in every trajectory, and the size of the step.

    Args:
        x: (T, G + 1, D) points of T trajectories. factors: D names.
        groups: factors by group; None ranks factors one by one.

    Returns:
        names: G of them. before: (T, G) int64, the row from which factor or group g steps to the next one.
        step: (T, G) change of the factor; of a group the mean size of its factors' changes, since they may go
        either way.

    Raises:
        AnalysisError: shapes that do not fit, groups that do not hold every factor exactly once, a step that changes
            none or several, or a trajectory that leaves one out.
    """
    sets = grouped(factors, groups)
    names, g = tuple(sets), len(sets)
    if x.ndim != 3 or x.shape[1:] != (g + 1, len(factors)):
        raise AnalysisError(f"x: shape {x.shape} must be (trajectories, {g + 1}, {len(factors)})")
    member = np.array([[name in members for name in factors] for members in sets.values()])
    change = np.diff(x, axis=1)
    # (T, step, G): whether any factor of the group changed in that step.
    moved = (change != 0.0) @ member.T > 0
    if (moved.sum(axis=2) != 1).any() or (moved.sum(axis=1) != 1).any():
        trajectory = int(np.argmax((moved.sum(axis=2) != 1).any(axis=1) | (moved.sum(axis=1) != 1).any(axis=1)))
        raise AnalysisError(
            f"x: trajectory {trajectory} does not change every {'group' if groups else 'factor'} exactly once, one "
            "per step; analyse the rows of the design as it was made, in its order"
        )
    before = moved.argmax(axis=1)
    steps = np.take_along_axis(change, before[..., None], axis=1)
    size = np.empty(before.shape)
    for k, members in enumerate(member):
        moves = steps[:, k, members]
        size[:, k] = moves[:, 0] if members.sum() == 1 else np.abs(moves).mean(axis=1)
    return names, before, size


def at(values: Array, rows: NDArray[np.int64]) -> Array:
    """The values of some rows of each trajectory; values: (T, G + 1), rows: (T, G) row numbers -> (T, G)."""
    return np.take_along_axis(values, rows, axis=1)
