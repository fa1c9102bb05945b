"""Fewer rows for a fit: what moves the cell stays, readings between are left out."""

from dataclasses import replace

import numpy as np

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.measurement import Measurement

MOST_ROWS = 4000  # with which a fit still takes about a minute


def thinned(data: Measurement, most: int = MOST_ROWS) -> Measurement:
    """The measurement with at most about ``most`` rows.

    A sweep keeps every k-th row, the first of each cycle, and the turns of its voltage; equal pulses in a row become
    one pulse of their total length, which moves the cell as they do.

    Raises:
        DeviceError: pulses that differ from one to the next and are too many.
    """
    rows = len(data.voltage_v)
    if rows <= most:
        return data
    every = -(-rows // most)
    keep = np.zeros(rows, dtype=bool)
    keep[::every] = keep[-1] = True
    keep[list(data.cycles)] = True
    volts = data.voltage_v
    keep[[row for stay in data.limited for row in stay]] = True
    if data.kind == "iv":
        # The turns of the ramp: the extremes of the blocks in which the voltage turns.
        ends = volts[::every]
        for block in np.flatnonzero(np.diff(ends[:-1]) * np.diff(ends[1:]) <= 0):
            begin, end = block * every, min((block + 2) * every, rows)
            keep[begin + int(np.argmax(volts[begin:end]))] = keep[begin + int(np.argmin(volts[begin:end]))] = True
    else:
        change = np.flatnonzero((np.diff(volts) != 0) | (np.diff(data.duration_s) != 0))
        keep[change] = True
    if keep.sum() > 2 * most:
        raise DeviceError(
            f"{rows} pulses that differ from one to the next are too many for a fit, at most {most}: fit a part of them"
        )
    chosen = np.flatnonzero(keep)
    total = np.cumsum(data.duration_s)
    duration = np.diff(total[chosen], prepend=total[0] - data.duration_s[0])
    read_v = data.read_v if np.ndim(data.read_v) == 0 else data.read_v[chosen]  # type: ignore[index]
    return replace(
        data,
        voltage_v=data.voltage_v[chosen],
        duration_s=duration,
        current_a=data.current_a[chosen],
        read_v=read_v,
        limited=[tuple(np.searchsorted(chosen, stay).tolist()) for stay in data.limited],
        cycles=tuple(np.searchsorted(chosen, data.cycles).tolist()),
        notes=(*data.notes, f"{rows} rows are thinned to {len(chosen)} for the fit"),
    )
