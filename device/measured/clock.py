"""The time of each row, from clocks that tick too coarsely or start again with each cycle."""

from collections.abc import Sequence

import numpy as np

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.measurement import Array

_DAY_S = 86400.0


def durations_of(time: Array, lines: Sequence[int], notes: list[str]) -> tuple[Array, list[int]]:
    """Time since the row before (rows,), s, 0 in the first row; and the rows at which the clock starts again.

    A clock that falls back to where it began starts again: its first row follows the row before it by one usual step.
    Rows that share a tick are spread: evenly over the whole cycle if that is within a tick of the clock, else between
    the ticks.

    Raises:
        DeviceError: a time below that of the row before that is no start.
    """
    step = np.diff(time)
    rising = step[step > 0]
    if not len(rising):
        raise DeviceError("time_s never rises: the clock is too coarse, give the speed of the ramp (--ramp, V/s)")
    usual = float(np.median(rising))
    # A time of the day falls by a day at midnight, but for the step that the rows took.
    midnight = np.flatnonzero((step < 0) & (step + _DAY_S >= 0) & (step + _DAY_S <= 10 * usual)) + 1
    if len(midnight) and time.min() >= 0.0 and time.max() < _DAY_S:
        for row in midnight.tolist():
            time = np.concatenate([time[:row], time[row:] + _DAY_S])
        step = np.diff(time)
        notes.append(f"the clock passes midnight at line {lines[midnight[0]]}")
    starts = [0]
    for row in (np.flatnonzero(step < 0) + 1).tolist():
        if time[row] - min(time[starts[-1]], time[0]) > usual or time[row - 1] - time[row] < 3 * usual:
            raise DeviceError(
                f"line {lines[row]}: time_s = {time[row]:g} must be at least {time[row - 1]:g} of the row before: put "
                "the rows in the order of time"
            )
        starts.append(row)
    duration = np.zeros(len(time))
    spread = 0
    for begin, end in zip(starts, [*starts[1:], len(time)], strict=True):
        own = time[begin:end]
        spread += int((np.diff(own) == 0).sum())
        duration[begin + 1 : end] = np.diff(_spread(own))
    typical = float(np.median(duration[duration > 0]))
    duration[starts[1:]] = typical
    if spread:
        notes.append(
            f"{spread} rows have the time of the row before: the clock is coarser than the rows, which are spread "
            "evenly between its ticks"
        )
    if len(starts) > 1:
        notes.append(f"the clock starts again {len(starts) - 1} times (first at line {lines[starts[1]]})")
    return duration, starts[1:]


def _spread(time: Array) -> Array:
    """Times that rise from row to row, where ticks hold several rows."""
    if len(time) < 2 or (np.diff(time) > 0).all():
        return time
    row = np.arange(len(time))
    tick = float(np.median(np.diff(np.unique(time)))) if time[-1] > time[0] else 0.0
    if tick == 0.0:
        raise DeviceError("time_s is the same in a whole cycle: give the speed of the ramp instead (--ramp, V/s)")
    slope, start = np.polyfit(row, time, 1)
    if np.abs(start + slope * row - time).max() <= 1.01 * tick:
        even: Array = start + slope * row
        return even
    # The middle of the rows of a tick has its time; the first and the last rows go on as their neighbours do.
    ticks, first, count = np.unique(time, return_index=True, return_counts=True)
    middle = first + 0.5 * (count - 1)
    ends = (ticks[1] - ticks[0]) / (middle[1] - middle[0]), (ticks[-1] - ticks[-2]) / (middle[-1] - middle[-2])
    inside: Array = np.interp(row, middle, ticks)
    inside += np.minimum(row - middle[0], 0.0) * ends[0] + np.maximum(row - middle[-1], 0.0) * ends[1]
    return inside
