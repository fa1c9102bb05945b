"""Compiled: the equations of sixteen cells at once, one in each lane of a work space.

The loops over lanes call nothing and do not branch, so that the compiler makes vector instructions of them: a pulse of
a cell with all its own parameters then costs about what a look-up in a table of one or two parameters does.
"""

import math

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.equations import (
    ALPHA_LINE,
    DW_A,
    EPS,
    EPS_PHIB,
    HOP,
    L_CELL,
    MU_N,
    N_PLUG,
    NU_0,
    PHI_BN0,
    PHI_N,
    R_0,
    R_NOMINAL,
    R_TH0,
    R_TH_LINE,
    R_THEFF,
    R_TIOX,
    T_0,
    L,
    R,
    balance,
    circuit_of,
    current_of,
    explicit_along,
    kinetics,
    newton_in_drop,
)
from vcm_sweep.device.kernels.cpu.functions import exp
from vcm_sweep.device.kernels.cpu.lanes.rows import (
    AMPLITUDE,
    AREA,
    AT,
    BARRIER,
    BARRIER_X,
    CUBIC,
    CURRENT,
    CURRENT_X,
    DISC,
    LANES,
    LINEAR,
    LOWERING,
    NOMINAL,
    RATE,
    RATE_BEFORE,
    SERIES,
    SLOPE,
    SLOPE_BEFORE,
    SMALL,
    THERMAL,
    VOLTAGE,
    W_00,
    N,
)
from vcm_sweep.device.kernels.cpu.reading import of_cell
from vcm_sweep.device.kernels.cpu.starts import about_log_drop
from vcm_sweep.device.kernels.layout import LENGTH, MAX_STEPS, RADIUS


@inlined
def gather(rows, lane, cells, cell, physics):
    """Write a cell's parameters into its lane."""
    varied = cells.varied
    for i in range(varied.shape[0]):
        if physics.places[i] >= 0:
            rows[physics.places[i] * LANES + lane] = varied[i, cell if varied.shape[1] > 1 else 0]
    rows[R * LANES + lane] = of_cell(cells.walked[RADIUS], cell)
    rows[L * LANES + lane] = of_cell(cells.walked[LENGTH], cell)


@kernel
def _prepare(rows, is_set, first):
    """The circuit of each lane at its AT."""
    for k in range(LANES):
        n = exp(rows[AT * LANES + k])
        linear, series, cubic, disc, thermal, lowering, w_00, area = circuit_of(
            n, is_set,
            rows[(first + EPS) * LANES + k], rows[(first + EPS_PHIB) * LANES + k], rows[(first + MU_N) * LANES + k],
            rows[(first + N_PLUG) * LANES + k], rows[(first + R_TH0) * LANES + k], rows[(first + R) * LANES + k],
            rows[(first + R_NOMINAL) * LANES + k], rows[(first + L_CELL) * LANES + k], rows[(first + L) * LANES + k],
            rows[(first + R_THEFF) * LANES + k], rows[(first + R_TIOX) * LANES + k], rows[(first + R_0) * LANES + k],
            rows[(first + R_TH_LINE) * LANES + k], rows[(first + ALPHA_LINE) * LANES + k],
        )  # fmt: skip
        rows[N * LANES + k], rows[SMALL * LANES + k] = n, 0.0
        rows[LINEAR * LANES + k], rows[SERIES * LANES + k], rows[CUBIC * LANES + k] = linear, series, cubic
        rows[DISC * LANES + k], rows[THERMAL * LANES + k], rows[LOWERING * LANES + k] = disc, thermal, lowering
        rows[W_00 * LANES + k], rows[AREA * LANES + k] = w_00, area


@kernel
def _guess(rows, which, first, starts):
    """About the current in each lane; see ``Starts``."""
    for k in range(LANES):
        rows[CURRENT * LANES + k] = about_log_drop(
            which, rows[AT * LANES + k], rows[AMPLITUDE * LANES + k], starts, rows[first * LANES + k :],
            rows[NOMINAL * LANES + k :], LANES,
        )  # fmt: skip
    for k in range(LANES):
        rest = rows[VOLTAGE * LANES + k] - exp(rows[CURRENT * LANES + k])
        rows[CURRENT * LANES + k] = current_of(rest, rows[LINEAR * LANES + k], rows[CUBIC * LANES + k])


@kernel
def _newton(rows, is_set, first):
    """One step of Newton's method in each lane that is not at its end."""
    for k in range(LANES):
        j, v, before = rows[CURRENT * LANES + k], rows[VOLTAGE * LANES + k], rows[SMALL * LANES + k]
        circuit = (
            rows[LINEAR * LANES + k], rows[SERIES * LANES + k], rows[CUBIC * LANES + k], rows[DISC * LANES + k],
            rows[THERMAL * LANES + k], rows[LOWERING * LANES + k], rows[W_00 * LANES + k], rows[AREA * LANES + k],
        )  # fmt: skip
        barrier_0 = rows[(first + PHI_BN0) * LANES + k]
        phi = barrier_0 - rows[(first + PHI_N) * LANES + k]
        g, dg, g_x, u, raw, raw_j, raw_x = balance(
            j, v, is_set, circuit, rows[(first + T_0) * LANES + k], barrier_0, phi
        )
        new, small = newton_in_drop(j, v, g, dg, u, is_set, phi)
        j_x = -g_x / dg
        # A lane at its end keeps what it has, so that its result does not depend on the other lanes.
        under_way = before == 0.0
        rows[CURRENT * LANES + k] = new if under_way else j
        rows[SMALL * LANES + k] = small if under_way else before
        rows[CURRENT_X * LANES + k] = j_x / j if under_way else rows[CURRENT_X * LANES + k]
        rows[BARRIER * LANES + k] = raw if under_way else rows[BARRIER * LANES + k]
        rows[BARRIER_X * LANES + k] = raw_x + raw_j * j_x if under_way else rows[BARRIER_X * LANES + k]


@kernel
def _explicit(rows, is_set):
    for k in range(LANES):
        n = exp(rows[AT * LANES + k])
        i, i_x = explicit_along(rows[VOLTAGE * LANES + k], n, is_set)
        rows[N * LANES + k], rows[CURRENT * LANES + k], rows[CURRENT_X * LANES + k] = n, i, i_x
        rows[SMALL * LANES + k], rows[BARRIER * LANES + k], rows[BARRIER_X * LANES + k] = 1.0, 1.0, 0.0


@kernel
def solve_lanes(count, rows, which, full, first, starts):
    """CURRENT at AT and VOLTAGE in the first ``count`` lanes, its slope, and the barrier; SMALL: 1 where it was found.

    which: 0 SET, 1 RESET, 2 read. first: the parameters of the cells are in the rows from there, 0 or NOMINAL. starts:
    of the cells, with AMPLITUDE, the change of the voltage relative to the one they were made for.
    """
    is_set = which == 0
    # Here and below the loops are called with constants, so that the compiler makes one without branches for each.
    if not full:
        if is_set:
            _explicit(rows, True)
        else:
            _explicit(rows, False)
        return
    if is_set:
        _prepare(rows, True, first)
    else:
        _prepare(rows, False, first)
    _guess(rows, which, first, starts)
    for k in range(count, LANES):
        rows[SMALL * LANES + k] = -1.0
    for _ in range(MAX_STEPS):
        if is_set:
            _newton(rows, True, first)
        else:
            _newton(rows, False, first)
        under_way = 0.0
        for k in range(LANES):
            under_way += 1.0 if rows[SMALL * LANES + k] == 0.0 else 0.0
        if under_way == 0.0:
            return


@kernel
def _rates(rows, is_set, full):
    for k in range(LANES):
        rows[RATE_BEFORE * LANES + k], rows[SLOPE_BEFORE * LANES + k] = (
            rows[RATE * LANES + k],
            rows[SLOPE * LANES + k],
        )
        rate, slope = kinetics(
            rows[CURRENT * LANES + k], rows[CURRENT_X * LANES + k], rows[N * LANES + k], rows[VOLTAGE * LANES + k],
            is_set, full, rows[T_0 * LANES + k], rows[MU_N * LANES + k], rows[N_PLUG * LANES + k],
            rows[HOP * LANES + k], rows[NU_0 * LANES + k], rows[DW_A * LANES + k], rows[R_TH0 * LANES + k],
            rows[R * LANES + k], rows[R_NOMINAL * LANES + k], rows[L_CELL * LANES + k], rows[L * LANES + k],
            rows[R_THEFF * LANES + k], rows[R_TIOX * LANES + k], rows[R_0 * LANES + k], rows[R_TH_LINE * LANES + k],
            rows[ALPHA_LINE * LANES + k],
        )  # fmt: skip
        rows[RATE * LANES + k] = rate if rows[SMALL * LANES + k] > 0.0 else math.nan
        rows[SLOPE * LANES + k] = slope * (1.0 if is_set else -1.0)


@kernel
def rates_in_lanes(rows, is_set, full):
    """RATE, ln of (|dN/dt| / N), and SLOPE, its slope along the way of the pulse, after :func:`solve_lanes`."""
    if is_set:
        if full:
            _rates(rows, True, True)
        else:
            _rates(rows, True, False)
    elif full:
        _rates(rows, False, True)
    else:
        _rates(rows, False, False)
