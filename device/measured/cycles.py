"""Where the cycles of a sweep begin."""

from collections.abc import Iterable, Sequence

import numpy as np

from vcm_sweep.device.measured.measurement import MIN_ROWS, Array

_NEAR_0 = 0.05  # of the largest voltage


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


def too_short(starts: Sequence[int], rows: int) -> float:
    """The median length of cycles that begin at these rows and the first, if that is none; 0 if most are long enough.

    >>> too_short([*range(1, 40)], 40), too_short([20], 40)
    (1.0, 0.0)
    """
    length = float(np.median(np.diff([0, *starts, rows])))
    return length if length < MIN_ROWS <= rows else 0.0


def _returns(volts: Array) -> list[int]:
    # Near 0 V noise has any sign.
    rows = np.flatnonzero(np.abs(volts) > _NEAR_0 * np.abs(volts).max(initial=0.0))
    if not len(rows):
        return []
    sign = np.sign(volts[rows])
    places = np.flatnonzero((sign[1:] == sign[0]) & (sign[:-1] == -sign[0]))
    # From the first row on that is no longer of the other sign.
    return [
        int(before) + 1 + int(np.argmax(volts[before + 1 : row + 1] * sign[0] >= 0))
        for before, row in zip(rows[places], rows[places + 1], strict=True)
    ]
