"""Where the cycles of a sweep begin."""

from collections.abc import Iterable

import numpy as np

from vcm_sweep.device.measured.measurement import MIN_ROWS, Array


def cycles_of(voltage_v: Array, number: Array | None, breaks: Iterable[int]) -> tuple[int, ...]:
    """The first row of each cycle.

    Args:
        voltage_v: (rows,) V.
        number: the file's own number of the cycle, (rows,), if it has one.
        breaks: rows before which a clock starts again or words stand. Without either, a cycle begins where the voltage
            comes back to the sign with which the sweep began.
    """
    if number is not None:
        starts = [int(row) + 1 for row in np.flatnonzero(np.diff(number) != 0)]
    else:
        starts = sorted(set(breaks)) or _returns(voltage_v)
    kept = [0]
    for start in starts:
        if start - kept[-1] >= MIN_ROWS and len(voltage_v) - start >= MIN_ROWS:
            kept.append(int(start))
    return tuple(kept)


def _returns(volts: Array) -> list[int]:
    sign = np.sign(volts)
    rows = np.flatnonzero(sign)
    if not len(rows):
        return []
    first = sign[rows[0]]
    again = rows[1:][(sign[rows[1:]] == first) & (sign[rows[:-1]] == -first)]
    # The row at 0 V before belongs to the new cycle.
    return [int(row) - 1 if sign[row - 1] == 0 else int(row) for row in again]
