"""What the bounded estimator needs of a surrogate: its values and its parts at points, and the parts' variances."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.analysis.surrogates.legendre import Counts

Array = NDArray[np.float64]
Groups = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Parts:
    """A function less its mean, and the parts of it that belong to G groups of factors: at n points, or as variances.

    Each part is an orthogonal projection of the function; factors are independent and uniform in [0, 1].

    Args:
        whole: (n,) f - E f. first: (n, G) E[f | x in g] - E f, what group g does alone.
        total: (n, G) f - E[f | x outside g], what is gone when g is averaged out.
        second: (n, G, G) what two groups do together, beyond what each does alone; its diagonal means nothing.
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


class Surrogate(ABC):
    """A fitted function of the unit cube whose parts, and their variances, are known in closed form.

    Attributes:
        mean: of the function over the cube.
    """

    mean: float

    @abstractmethod
    def parts(self, u: Array, groups: Groups) -> Parts:
        """The parts at points; u: (n, D) in [0, 1], groups: the columns of each group, every column in one of them."""

    @abstractmethod
    def variances(self, groups: Groups) -> Parts:
        """The variance of every part over the cube."""

    @abstractmethod
    def coefficients(self, degrees: Counts) -> Array:
        """E of the function times each of P products of orthonormal Legendre polynomials; degrees: (P, D) -> (P,)."""

    def predict(self, u: Array) -> Array:
        """The function at points; u: (n, D) in [0, 1] -> (n,)."""
        return self.mean + self.parts(u, [range(u.shape[1])]).whole


Fit = Callable[[Array, Array, Array], Surrogate]
"""A way to fit a surrogate: points (n, D) in [0, 1], mean outputs (n,), and of how many trainings each mean is (n,)."""
