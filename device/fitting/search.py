"""A coarse search of a rough landscape by a population: the cross-entropy method with rank weights.

A measured SET is a jump between two rows. A small change of a parameter moves the jump within the gap between the rows,
which changes no row, so the misfit is a staircase and its derivatives are useless. A population of candidates is not
stopped by stairs, and its covariance adapts to the valleys of correlated parameters. Weights and covariance are those
of N. Hansen, arXiv 1604.00772, sections 2.2 and 3.2.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

POPULATION, ROUNDS = 64, 25
SPREAD = 0.1  # standard deviation of the first population
CLOSE = 2e-3  # the population has converged when no standard deviation is larger
_RENEWED = 0.7  # fraction of the covariance that each round replaces

Array: TypeAlias = NDArray[np.float64]


def search(misfit: Callable[[Array], Array], start: Array, bounds: tuple[Array, Array], seed: int = 1) -> Array:
    """A vector (k,) near the smallest misfit around ``start``.

    Args:
        misfit: function of vectors (k, candidates) that gives their misfit, (candidates,); NaN counts as worst.
        start: the centre of the first population, (k,).
        bounds: lowest and highest vector, (k,) each.
        seed: of the random numbers, so that equal problems give equal results.

    Example:
        >>> found = search(lambda x: np.abs(x - 0.2).sum(axis=0), np.zeros(2), (np.full(2, -1.0), np.ones(2)))
        >>> bool(np.allclose(found, 0.2, atol=0.02))
        True
    """
    random, low, high = np.random.default_rng(seed), bounds[0][:, None], bounds[1][:, None]
    best = POPULATION // 4
    weights = np.log(best + 0.5) - np.log(np.arange(1, best + 1))
    weights /= weights.sum()
    mean, covariance = start, np.diag(np.full(len(start), SPREAD**2))
    leader, least = start, np.inf
    for _ in range(ROUNDS):
        root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(start)))
        candidates = mean[:, None] + root @ random.standard_normal((len(start), POPULATION))
        candidates[:, 0] = mean
        candidates = np.clip(candidates, low, high)
        found = misfit(candidates)
        found = np.where(np.isfinite(found), found, np.inf)
        order = np.argsort(found)
        if found[order[0]] < least:
            leader, least = candidates[:, order[0]], found[order[0]]
        # Deviations from the old mean, not from the new one: so the population stretches in the direction it moves.
        steps = candidates[:, order[:best]] - mean[:, None]
        covariance = (1 - _RENEWED) * covariance + _RENEWED * (steps * weights) @ steps.T
        mean = mean + steps @ weights
        if np.sqrt(np.diag(covariance)).max() < CLOSE:
            break
    return leader
