"""Polynomials for the logarithm, the sine and the cosine in Box and Muller's method, on a CPU as on a GPU.

Least squares at Chebyshev points, found at import: errors are a few units of the last place of single precision.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.polynomial import Polynomial


def _fit(function: Callable[[np.ndarray], np.ndarray], low: float, high: float, degree: int) -> tuple[np.float32, ...]:
    """The coefficients, from the constant up, of a polynomial that is close to the function from low to high."""
    x = (low + high) / 2 + (high - low) / 2 * np.cos((np.arange(400) + 0.5) * np.pi / 400)
    fitted = Polynomial.fit(x, function(x), degree).convert()
    return tuple(np.float32(coefficient) for coefficient in fitted.coef)


# ln(1 + f) = f - f^2/2 + f^3 L(f) for f from sqrt(1/2) - 1 to sqrt(2) - 1.
LOGARITHM = _fit(lambda f: (np.log1p(f) - f + f * f / 2) / f**3, math.sqrt(0.5) - 1, math.sqrt(2) - 1, 7)
# sin(pi t) = t S(t^2) and cos(pi t) = C(t^2) for t from -1/2 to 1/2.
SINE = _fit(lambda s: np.sin(np.pi * np.sqrt(s)) / np.sqrt(s), 0.0, 0.25, 4)
COSINE = _fit(lambda s: np.cos(np.pi * np.sqrt(s)), 0.0, 0.25, 5)

# The bits of sqrt(1/2) and of a fraction: the bits of a positive number order as the number does.
ROOT_HALF_BITS = int(np.float32(math.sqrt(0.5)).view(np.int32))
FRACTION_BITS = (1 << 23) - 1
