"""What a surrogate is: a sum of products of functions of one factor each, so that its parts are known in closed form.

With f'(x) = c + sum_i a_i prod_j g_ij(x_j) and m_ij = E g_ij, to average over a factor is to put m_ij for its g_ij.
So what is gone when j is averaged out is sum_i a_i (g_ij - m_ij) prod_k!=j g_ik, and what j does alone is the same with
m_ik in the product. Variances are the same sums once more, with E[g_ij g_lj] for g_ij, and m_ij m_lj for m_ij.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.surrogates.legendre import DEGREE, Counts, with_constant
from vcm_sweep.analysis.surrogates.quadrature import NODES, WEIGHTS

Array = NDArray[np.float64]
Groups = Sequence[Sequence[int]]

# Numbers that the functions of a piece of rows hold together: 16 MiB, which stays in a cache.
_PIECE = 2_000_000


@dataclass(frozen=True)
class Parts:
    """A function less its mean, and the parts of it that belong to G groups of factors: at n points, or as variances.

    Each part is an orthogonal projection of the function; factors are independent and uniform in [0, 1].

    Args:
        whole: (n,) f - E f. first: (n, G) E[f | x in g] - E f, what group g does alone.
        total: (n, G) f - E[f | x outside g], what is gone when g is averaged out.
        second: (n, G, G) what two groups do together, beyond what each does alone; its diagonal is 0.
            As variances, all of them have no first axis.
    """

    whole: Array
    first: Array
    total: Array
    second: Array

    def map(self, function: Callable[[Array], Array]) -> "Parts":
        """The same function of every field."""
        return Parts(*(function(getattr(self, field.name)) for field in fields(self)))


def joined(pieces: Sequence[Parts]) -> Parts:
    """The parts at all points, from those at some of them in turn."""
    return Parts(*(np.concatenate([getattr(piece, field.name) for piece in pieces]) for field in fields(Parts)))


class Functions(ABC):
    """I functions of each of D factors."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """D."""

    @abstractmethod
    def at(self, u: Array) -> Array:
        """Their values; u: (n, D) in [0, 1] -> (D, n, I)."""


@dataclass(frozen=True)
class Surrogate:
    """constant + sum_i weights_i prod_j g_ij(x_j); weights: (I,), functions: the g_ij."""

    constant: float
    weights: Array
    functions: Functions

    @cached_property
    def mean(self) -> float:
        """The mean over the cube."""
        return self.constant + float(self._means.prod(axis=0) @ self.weights)

    def predict(self, u: Array) -> Array:
        """The function at points; u: (n, D) in [0, 1] -> (n,)."""
        step = self._rows(u.shape[1])
        pieces = [self.functions.at(u[i : i + step]).prod(axis=0) @ self.weights for i in range(0, len(u), step)]
        return self.constant + np.concatenate(pieces)

    def parts(self, u: Array, groups: Groups) -> Parts:
        """The parts at points; u: (n, D) in [0, 1], groups: the columns of each group, every column in one of them."""
        step, one = self._rows(u.shape[1]), np.ones((u.shape[1], 1))
        return joined(
            [
                _projected(self.functions.at(u[i : i + step]), one, self._means, self.weights, groups)
                for i in range(0, len(u), step)
            ]
        )

    def variances(self, groups: Groups) -> Parts:
        """The variance of every part over the cube."""
        table, means, weights = self._table(), self._means, self.weights
        step = self._rows(len(table))
        pieces = []
        # A constant has no term, and one empty piece.
        for i in range(0, max(1, len(weights)), step):
            # The products of terms i and l are those of l and i: pairs with a later piece count twice.
            twice = weights[i:] * np.where(np.arange(len(weights) - i) < step, 1.0, 2.0)
            moments = np.matmul(table[:, i : i + step] * WEIGHTS, table[:, i:].transpose(0, 2, 1))
            pieces.append(_projected(moments, means[:, i : i + step], means[:, i:], twice, groups))
        return joined(pieces).map(lambda part: np.tensordot(weights, part, 1))

    def coefficients(self, degrees: Counts) -> Array:
        """E of the function times each of P products of orthonormal Legendre polynomials; degrees: (P, D) -> (P,)."""
        basis = with_constant(NODES, DEGREE) * WEIGHTS[:, None]
        moments = self._table() @ basis
        step = self._rows(1)
        pieces = []
        for start in range(0, len(degrees), step):
            product = np.ones((len(self.weights), len(degrees[start : start + step])))
            for moment, degree in zip(moments, degrees[start : start + step].T, strict=True):
                product *= moment[:, degree]
            pieces.append(self.weights @ product)
        return np.concatenate(pieces) + np.where(degrees.any(axis=1), 0.0, self.constant)

    def _table(self) -> Array:
        """The functions at the nodes of the quadrature: (D, I, Q). It is large, so nobody keeps it."""
        values = self.functions.at(np.repeat(NODES[:, None], self.functions.dimension, axis=1))
        return np.ascontiguousarray(values.transpose(0, 2, 1))

    @cached_property
    def _means(self) -> Array:
        """(D, I)."""
        return np.asarray(self._table() @ WEIGHTS)

    def _rows(self, d: int) -> int:
        return max(1, _PIECE // max(1, d * len(self.weights)))


@dataclass(frozen=True)
class _Together(Functions):
    """The functions of several surrogates, one after the other."""

    each: tuple[Functions, ...]

    @property
    def dimension(self) -> int:
        return self.each[0].dimension

    def at(self, u: Array) -> Array:
        return np.concatenate([functions.at(u) for functions in self.each], axis=2)


def mixture(surrogates: Sequence[Surrogate], shares: Sequence[float]) -> Surrogate:
    """The weighted sum of surrogates of the same factors, which is one, too."""
    weighed = list(zip(surrogates, shares, strict=True))
    return Surrogate(
        sum(share * one.constant for one, share in weighed),
        np.concatenate([share * one.weights for one, share in weighed]),
        _Together(tuple(one.functions for one in surrogates)),
    )


def _projected(values: Array, left: Array, right: Array, weights: Array, groups: Groups) -> Parts:
    """The parts of a sum of I products, as n linear functionals see them.

    A functional is a product, too: the value at a point, or the covariance with another term.

    Args:
        values: (D, n, I) what the functional's factor j makes of g_ij. left: (D, n) or (D, 1) what it makes of 1.
        right: (D, I) E g_ij. weights: (I,).
    """
    values, left, right = (
        np.stack([np.prod(each[list(group)], axis=0) for group in groups]) for each in (values, left, right)
    )
    centred = values - left[:, :, None] * right[:, None]
    others, left_others, right_others = (products_of_others(each) for each in (values, left, right))
    count = len(groups)
    second = np.zeros((values.shape[1], count, count))
    for g, h in combinations(range(count), 2):
        rest = [k for k in range(count) if k not in (g, h)]
        both = (centred[g] * centred[h]) @ (weights * right[rest].prod(axis=0))
        second[:, g, h] = second[:, h, g] = both * left[rest].prod(axis=0)
    return Parts(
        whole=(others[0] * values[0]) @ weights - left.prod(axis=0) * (right.prod(axis=0) @ weights),
        first=(np.einsum("gni,gi->gn", centred, weights * right_others) * left_others).T,
        total=((centred * others) @ weights).T,
        second=second,
    )


def products_of_others(factors: Array) -> Array:
    """For each of D arrays the product of the others; factors may be 0, so nothing is divided: (D, ...) -> (D, ...)."""
    product = np.empty_like(factors)
    product[0] = 1.0
    for j in range(1, len(factors)):
        np.multiply(product[j - 1], factors[j - 1], out=product[j])
    after = np.ones_like(factors[0])
    for j in range(len(factors) - 2, -1, -1):
        after *= factors[j + 1]
        product[j] *= after
    return product


Fit = Callable[[Array, Array, Array], Surrogate]
"""A way to fit a surrogate: points (n, D) in [0, 1], mean outputs (n,), and of how many trainings each mean is (n,)."""
