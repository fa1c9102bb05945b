"""Whether a fit can be believed: its residuals against the noise of the data, and what the data cannot tell."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CORRELATED = 0.95  # two values are reported as correlated if their correlation is larger in magnitude
UNDETERMINED = 0.5  # a value is reported as undetermined if its relative standard error is larger
TIMES_NOISE = 3.0  # residuals may be this many times the noise of the data
SMALL = 0.02  # and residuals below 2 % are good whatever the noise
_KEPT, _OF_KEPT = 0.95, 0.871  # the rms of the smallest 95 % of normal numbers is 0.871 of that of all

Array: TypeAlias = NDArray[np.float64]


def noise_of(residuals: Array) -> float:
    """Standard deviation of what is independent from row to row in residuals.

    Second differences see noise and not what varies slowly, which is a misfit. The largest twentieth of them, at jumps
    of the current, is left out.

    >>> rows = np.arange(1000.0)
    >>> noise = 0.01 * np.random.default_rng(1).standard_normal(1000)
    >>> bool(abs(noise_of(noise + np.sin(rows / 40)) / 0.01 - 1) < 0.1)
    True
    """
    second = np.sort(np.abs(residuals[:-2] - 2 * residuals[1:-1] + residuals[2:]))
    kept = second[: max(int(_KEPT * len(second)), 1)]
    return float(np.sqrt(np.mean(kept**2) / 6.0) / _OF_KEPT)


def dependence(residuals: Array) -> float:
    """By how much standard errors grow because neighbouring residuals are alike: sqrt((1 + c) / (1 - c)), at least 1.

    c is the correlation between neighbours.
    """
    power = float(residuals @ residuals)
    if power == 0.0:
        return 1.0
    c = min(max(float(residuals[1:] @ residuals[:-1]) / power, 0.0), 0.99)
    return float(np.sqrt((1 + c) / (1 - c)))


def misfit(rms: float, noise: float) -> list[str]:
    """The doubt that residuals larger than the noise raise, if they do."""
    if rms <= max(TIMES_NOISE * noise, SMALL):
        return []
    times = f"{rms / max(noise, 1e-12):.2g} times the noise of these data ({noise:.2g})"
    return [
        f"the residual rms of {rms:.2g} is {times}: a cell with these parameters is not what was measured, and values "
        "and errors say nothing; look at fit.png, check units, signs and ramp, fit other parameters too"
    ]


def undetermined(values: Mapping[str, float], errors: Mapping[str, float]) -> dict[str, str]:
    """A line for each value that the data do not determine."""
    return {
        key: f"{key} is not determined by these data (error {errors[key]:.2g}): fix it or measure more"
        for key in values
        if errors[key] > UNDETERMINED * abs(values[key])
    }


def correlated(keys: Sequence[str], correlation: Array) -> list[str]:
    """A line for each pair of values that the data hardly tell apart."""
    return [
        f"{keys[j]} and {keys[i]} are correlated ({correlation[i, j]:+.3f}): the data determine their combination "
        "better than each; fix one, or add other voltages"
        for i in range(len(keys))
        for j in range(i)
        if abs(correlation[i, j]) > CORRELATED
    ]
