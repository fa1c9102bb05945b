"""The work space of cells that are computed side by side: a lane for each cell, a row for each quantity.

It is one flat array. A row's place in it is a constant, so that the compiler knows that rows do not overlap, and makes
vector instructions of a loop over lanes.
"""

import numpy as np

from vcm_sweep.device.kernels.layout import PARAMETERS

LANES = 16

# Rows, after one for each parameter of the cells and one for each of the nominal cell. Of a pulse:
NOMINAL = PARAMETERS
(X, VOLTAGE, AMPLITUDE, SECONDS, LASTS, TIME, STOP, BOUND, BEND, BEFORE, AFTER, POWER,
 # of the last solution, which is that at the ln N of AT:
 AT, CURRENT, SMALL, CURRENT_X, BARRIER, BARRIER_X, RATE, SLOPE,
 # of the solution before it, and of the circuit.
 RATE_BEFORE, SLOPE_BEFORE, AT_KINK, N, LINEAR, SERIES, CUBIC, DISC, THERMAL, LOWERING, W_00, AREA,
 # of Euler's steps: the ends that N is cut to, the bound of F, and the fit of the current at the voltage.
 LOWEST, HIGHEST, LIMIT, FIT_A, FIT_B, FIT_C, FIT_D, FIT_F,
 ROWS) = range(2 * PARAMETERS, 2 * PARAMETERS + 41)  # fmt: skip


def work_space(nominal: np.ndarray) -> np.ndarray:
    """(ROWS * LANES,) float64: a work space whose cells are all nominal; nominal: (PARAMETERS,)."""
    rows = np.ones((ROWS, LANES))
    rows[:PARAMETERS] = rows[NOMINAL : NOMINAL + PARAMETERS] = nominal[:, None]
    return rows.reshape(-1)
