"""Kernels of Gaussian processes that are products over factors, of which a posterior mean is a sum of products, too."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from vcm_sweep.analysis.surrogates.legendre import DEGREE, orthonormal
from vcm_sweep.analysis.surrogates.surrogate import Functions

Array = NDArray[np.float64]


class Kernel(ABC):
    """prod_j kappa_j(x_j, x'_j), with hyperparameters (H,) that a search may change.

    Attributes:
        starts: hyperparameters to begin a search from. bounds: the low and high end of each.
    """

    starts: list[Array]
    bounds: list[tuple[float, float]]

    @abstractmethod
    def prepared(self, u: Array) -> Array:
        """What is needed of points (n, D), whatever the hyperparameters are: (D, n, ...)."""

    @abstractmethod
    def each(self, left: Array, right: Array, given: Array) -> Iterator[Array]:
        """kappa_j between prepared points, one factor after the other: (n, m) each."""

    def factors(self, left: Array, right: Array, given: Array) -> Array:
        """All of them: (D, n, m)."""
        kappas = np.empty((len(left), left.shape[1], right.shape[1]))
        for out, kappa in zip(kappas, self.each(left, right, given), strict=True):
            out[...] = kappa
        return kappas

    @abstractmethod
    def slopes(self, points: Array, given: Array, by_factor: Array) -> Array:
        """Derivatives by the hyperparameters, (H,), of a number whose derivatives by the factors are (D, n, n)."""


class Anova(Kernel):
    """kappa = 1 + theta sum_q r_q phi_q(x) phi_q(x'), orthonormal polynomials whose weights fall with their degree.

    Weights are r_q = rho^q / sum rho^q; the hyperparameters are the logarithms of theta, (D,), and of rho, (D,).
    Kernels of this kind: Durrande, Ginsbourger, Roustant, Carraro, J. Multivar. Anal. 115 (2013) 57.
    """

    def __init__(self, dimension: int) -> None:
        # A steep and a flat fall of the weights: one finds products of three factors, the other several periods.
        self.starts = [np.log(np.repeat([0.1, fall], dimension)) for fall in (0.3, 0.7)]
        self.bounds = [(-12.0, 6.0)] * dimension + [(-3.0, -0.05)] * dimension

    def prepared(self, u: Array) -> Array:
        return orthonormal(u.T, DEGREE)

    def each(self, left: Array, right: Array, given: Array) -> Iterator[Array]:
        for one, other, weights in zip(left, right, self._weights(given), strict=True):
            kappa = (one * weights) @ other.T
            kappa += 1.0
            yield kappa

    def slopes(self, points: Array, given: Array, by_factor: Array) -> Array:
        by_weight = np.sum(np.matmul(by_factor, points) * points, axis=1)
        weights, degree = self._weights(given), np.arange(DEGREE)
        from_mean = degree - (weights / weights.sum(axis=1, keepdims=True)) @ degree[:, None]
        return np.concatenate([np.sum(by_weight * weights, axis=1), np.sum(by_weight * weights * from_mean, axis=1)])

    def _weights(self, given: Array) -> Array:
        """theta_j r_jq: (D, Q)."""
        theta, rho = given.reshape(2, -1, 1)
        return np.asarray(np.exp(theta) * special.softmax(np.arange(DEGREE) * rho, axis=1))


class Matern(Kernel):
    """kappa = (1 + a + a^2 / 3) exp(-a), a = sqrt(5) |x - x'| / length: twice differentiable, and no smoother.

    The hyperparameters are the logarithms of the lengths, (D,). Rasmussen, Williams, Gaussian Processes for Machine
    Learning (2006), equation 4.17.
    """

    def __init__(self, dimension: int) -> None:
        self.starts = [np.zeros(dimension)]
        self.bounds = [(-4.0, 5.0)] * dimension

    def prepared(self, u: Array) -> Array:
        return np.asarray(np.sqrt(5.0) * u.T)

    def each(self, left: Array, right: Array, given: Array) -> Iterator[Array]:
        for a in self._distances(left, right, given):
            yield (1.0 + a * (1.0 + a / 3.0)) * np.exp(-a)

    def slopes(self, points: Array, given: Array, by_factor: Array) -> Array:
        each = zip(by_factor, self._distances(points, points, given), strict=True)
        return np.array([np.vdot(slope, a**2 * (1.0 + a) * np.exp(-a)) / 3.0 for slope, a in each])

    def _distances(self, left: Array, right: Array, given: Array) -> Iterator[Array]:
        for one, other, length in zip(left, right, np.exp(given), strict=True):
            yield np.abs(one[:, None] - other) / length


@dataclass(frozen=True)
class Centred(Functions):
    """kappa_j(x_j, x_ij) as functions of x_j; centres: I prepared points x_i."""

    kernel: Kernel
    centres: Array
    given: Array

    @property
    def dimension(self) -> int:
        return len(self.centres)

    def at(self, u: Array) -> Array:
        return self.kernel.factors(self.kernel.prepared(u), self.centres, self.given)
