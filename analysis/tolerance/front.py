"""Pareto fronts of two objectives, and their hypervolume (the area of the plane that a front beats)."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def front_of(losses: Array) -> NDArray[np.intp]:
    """Numbers of the rows that no other row beats, ordered by their first loss; of equal rows only the first.

    Args:
        losses: (n, 2) float64, finite; smaller is better.

    >>> front_of(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.5, 0.5]])).tolist()
    [0, 3, 1]
    """
    order = np.lexsort((losses[:, 1], losses[:, 0]))
    second = losses[order, 1]
    best_before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]])
    return np.asarray(order[second < best_before])


def hypervolume(losses: Array, reference: Array) -> float:
    """The area of all points that some row beats, and that themselves beat the reference.

    Args:
        losses: (n, 2) float64; smaller is better. reference: (2,) float64; rows beyond it do not count.

    >>> hypervolume(np.array([[0.0, 0.5], [0.5, 0.0]]), np.array([1.0, 1.0]))
    0.75
    """
    inside = losses[(losses < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    front = inside[front_of(inside)]
    right = np.concatenate([front[1:, 0], reference[:1]])
    return float(((right - front[:, 0]) * (reference[1] - front[:, 1])).sum())


def history(losses: Array, counts: Array, steps: int = 40) -> tuple[tuple[int, float], ...]:
    """How the hypervolume grew: (trainings so far, hypervolume as a share of the box that all points span).

    Args:
        losses: (n, 2) float64 in the order in which the points came. counts: (n,) trainings of each point.
        steps: at most so many pairs are returned.
    """
    low, high = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    spent = np.cumsum(counts)
    ends = np.unique(np.linspace(1, len(losses), min(steps, len(losses))).round().astype(int))
    return tuple((int(spent[end - 1]), hypervolume(scaled[:end], np.ones(2))) for end in ends)
