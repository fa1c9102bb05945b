# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Many cells at a time through a pulse of explicit Euler steps, as cpu/lanes/euler.py does it, which explains them."""

from vcm_sweep.device.kernels.gpu.equations import fit_at, fitted_along, kinetics
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton


@triton.jit
def _cut(n, low, high):
    """N within its bounds; the upper one where it is not a number."""
    return tl.where(n < high, tl.maximum(n, low), high)


@triton.jit
def euler_way(x, is_set, time, v, limit, low, high, steps, kept, cell):
    """(ln N after a pulse, the mean of |V I| in W) by ``steps`` equal steps of its time, with the explicit model.

    limit: N_max in SET, else N_min. low, high: what N is cut to, after every step where it is ``kept``, else after the
    last alone.
    """
    share = 1.0 / steps
    fit = fit_at(v)
    n, current = tl.exp(x), tl.zeros_like(x)
    for _step in range(steps):
        there = n > 0.0
        positive = tl.where(there, n, 1.0)
        i, i_x = fitted_along(positive, is_set, fit)
        rate, _slope = kinetics(i, i_x, positive, v, is_set, i < 0.0, cell)
        ratio = tl.where(is_set, positive / limit, limit / positive)
        square = ratio * ratio
        fourth = square * square
        # Beyond e^708 a number would be none.
        rate = tl.where(rate > 708.0, 708.0, tl.where(rate < -708.0, -708.0, rate))
        change = tl.exp(rate) * positive * (time * share) * (1.0 - fourth * fourth * square)
        n = tl.where(there, positive + tl.where(is_set, change, -change), float("nan"))
        n = tl.where(kept, _cut(n, low, high), n)
        current += i * share
    return tl.log(_cut(n, low, high)), current * v
