"""Compiled: sixteen cells through a pulse of explicit Euler steps, as in the code published with arXiv 2403.06746.

That code (rpu_JART_v1b_device.cpp of IBM/aihwkit) cuts N to its bounds only after the pulse. A step of a fast cell can
lead past N_min; the factor F of equation (4) is then negative and large, and throws the cell far up, or N is negative
and its powers are no numbers. Both end at the upper bound, as the published minimum of NaN and a bound is the bound.
"""

import math

from vcm_sweep.device.kernels.cpu.compiling import kernel, lane
from vcm_sweep.device.kernels.cpu.equations import (
    ALPHA_LINE,
    DW_A,
    HOP,
    L_CELL,
    MU_N,
    N_PLUG,
    NU_0,
    R_0,
    R_NOMINAL,
    R_TH0,
    R_TH_LINE,
    R_THEFF,
    R_TIOX,
    T_0,
    L,
    R,
    fit_at,
    fitted_along,
    kinetics,
)
from vcm_sweep.device.kernels.cpu.functions import exp, log
from vcm_sweep.device.kernels.cpu.lanes.rows import (
    AFTER,
    FIT_A,
    FIT_B,
    FIT_C,
    FIT_D,
    FIT_F,
    HIGHEST,
    LANES,
    LIMIT,
    LOWEST,
    POWER,
    TIME,
    VOLTAGE,
    N,
    X,
)


@lane
def _step(
    n, dt, limit, v, is_set, a, b, c, d, f, t_0, mu_n, n_plug, hop, nu_0, dw_a, r_th0, r, r_nominal, l_cell, length,
    r_theff, r_tiox, r_0, r_th_line, alpha,
):  # fmt: skip
    """(N after a step of ``dt``, |I| before it); NaN where N is not above 0. limit: N_max in SET, else N_min."""
    there = n > 0.0
    n = n if there else 1.0
    i, i_x = fitted_along(n, is_set, a, b, c, d, f)
    rate, _ = kinetics(
        i, i_x, n, v, is_set, False, t_0, mu_n, n_plug, hop, nu_0, dw_a, r_th0, r, r_nominal, l_cell, length, r_theff,
        r_tiox, r_0, r_th_line, alpha,
    )  # fmt: skip
    ratio = n / limit if is_set else limit / n
    square = ratio * ratio
    fourth = square * square
    change = exp(rate) * n * dt * (1.0 - fourth * fourth * square)
    new = n + change if is_set else n - change
    # exp cuts its argument, and would make a number of a rate that is none.
    return new if there & (rate == rate) else math.nan, i


@lane
def _cut(n, low, high):
    """N within its bounds; the upper one where it is not a number."""
    return max(n, low) if n < high else high


@kernel
def _steps(rows, is_set, steps, kept):
    for k in range(LANES):
        a, b, c, d, f = fit_at(rows[VOLTAGE * LANES + k], is_set)
        rows[FIT_A * LANES + k], rows[FIT_B * LANES + k], rows[FIT_C * LANES + k] = a, b, c
        rows[FIT_D * LANES + k], rows[FIT_F * LANES + k] = d, f
        rows[N * LANES + k], rows[POWER * LANES + k] = exp(rows[X * LANES + k]), 0.0
    share = 1.0 / steps
    for _ in range(steps):
        for k in range(LANES):
            n, i = _step(
                rows[N * LANES + k], rows[TIME * LANES + k] * share, rows[LIMIT * LANES + k],
                rows[VOLTAGE * LANES + k], is_set, rows[FIT_A * LANES + k], rows[FIT_B * LANES + k],
                rows[FIT_C * LANES + k], rows[FIT_D * LANES + k], rows[FIT_F * LANES + k], rows[T_0 * LANES + k],
                rows[MU_N * LANES + k], rows[N_PLUG * LANES + k], rows[HOP * LANES + k], rows[NU_0 * LANES + k],
                rows[DW_A * LANES + k], rows[R_TH0 * LANES + k], rows[R * LANES + k], rows[R_NOMINAL * LANES + k],
                rows[L_CELL * LANES + k], rows[L * LANES + k], rows[R_THEFF * LANES + k], rows[R_TIOX * LANES + k],
                rows[R_0 * LANES + k], rows[R_TH_LINE * LANES + k], rows[ALPHA_LINE * LANES + k],
            )  # fmt: skip
            rows[N * LANES + k] = _cut(n, rows[LOWEST * LANES + k], rows[HIGHEST * LANES + k]) if kept else n
            rows[POWER * LANES + k] += i * share
    for k in range(LANES):
        n = _cut(rows[N * LANES + k], rows[LOWEST * LANES + k], rows[HIGHEST * LANES + k])
        rows[AFTER * LANES + k], rows[TIME * LANES + k] = log(n), 0.0
        rows[POWER * LANES + k] *= rows[VOLTAGE * LANES + k]


@kernel
def euler_ways(rows, is_set, steps, kept):
    """AFTER, ln N after each lane's pulse from X, and POWER, the mean of |V I| in W, by equal steps of its TIME.

    kept: N is cut to LOWEST and HIGHEST after every step, not after the last alone. Of the explicit model.
    """
    # Called with constants, so that the compiler makes a loop without branches for each.
    if is_set:
        if kept:
            _steps(rows, True, steps, True)
        else:
            _steps(rows, True, steps, False)
    elif kept:
        _steps(rows, False, steps, True)
    else:
        _steps(rows, False, steps, False)


@kernel
def euler_alone(x, is_set, time, v, low, high, steps, kept, p):
    """ln N after a pulse of one cell: :func:`euler_ways` for it alone. low, high: of N; p: its parameters."""
    a, b, c, d, f = fit_at(v, is_set)
    n, limit = math.exp(x), high if is_set else low
    for _ in range(steps):
        n, _ = _step(
            n, time / steps, limit, v, is_set, a, b, c, d, f, p[T_0], p[MU_N], p[N_PLUG], p[HOP], p[NU_0], p[DW_A],
            p[R_TH0], p[R], p[R_NOMINAL], p[L_CELL], p[L], p[R_THEFF], p[R_TIOX], p[R_0], p[R_TH_LINE], p[ALPHA_LINE],
        )  # fmt: skip
        if kept:
            n = _cut(n, low, high)
    return math.log(_cut(n, low, high))
