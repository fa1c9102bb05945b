"""Voltages as functions of time: piecewise linear, with jumps."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.reading import columns_in
from vcm_sweep.device.public import public


class Segment(NamedTuple):
    """A piece of a waveform: the voltage is linear and does not change its sign; it is longer than 0 s."""

    start_s: float
    end_s: float
    start_v: float
    end_v: float


@public
@dataclass(frozen=True)
class Waveform:
    """A voltage that is linear between points; two points at the same time are a jump.

    ``times_s``: s, finite, in ascending order. ``volts``: V, finite, one per time; negative is SET. There must be at
    least two points at different times.

    Raises:
        DeviceError: the points break one of these rules; the message names the first that does.

    Example:
        >>> ramp = Waveform((0.0, 1e-3), (0.0, -0.4))
        >>> Waveform.pulse_train(-0.342, 1e-6, count=2, gap_s=1e-6).duration_s
        3e-06
        >>> Waveform((0.0, 1.0, 0.5), (0.0, 0.1, 0.2))
        Traceback (most recent call last):
        ...
        vcm_sweep.device.DeviceError: times_s[2] = 0.5 must be at least times_s[1] = 1: put the points in order
    """

    times_s: Sequence[float]
    volts: Sequence[float]

    def __post_init__(self) -> None:
        for name in ("times_s", "volts"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if len(self.times_s) != len(self.volts):
            raise DeviceError(
                f"times_s has {len(self.times_s)} values and volts {len(self.volts)}: give one voltage per time"
            )
        _check_points(self.times_s, self.volts, [f"[{i}]" for i in range(len(self.volts))], ("times_s", "volts"))

    @classmethod
    def pulse_train(cls, voltage_v: float, width_s: float, count: int, gap_s: float = 1e-6) -> "Waveform":
        """``count`` equal rectangular pulses with ``gap_s`` at 0 V between them; it ends with the last pulse."""
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise DeviceError(f"count = {count!r} must be a whole number, at least 1")
        width, gap = _above("width_s", width_s, "s", 0.0), _above("gap_s", gap_s, "s", 0.0, at_least=True)
        times: list[float] = []
        volts: list[float] = []
        for start in (i * (width + gap) for i in range(count)):
            if times and gap:
                times += [times[-1], start]
                volts += [0.0, 0.0]
            times += [start, start + width]
            volts += [voltage_v, voltage_v]
        if not gap:
            times, volts = [0.0, count * width], [voltage_v, voltage_v]
        return cls(times, volts)

    @classmethod
    def triangle(cls, v_set: float, v_reset: float, ramp_v_per_s: float, cycles: int = 1) -> "Waveform":
        """Sweeps 0, ``v_set`` (< 0), 0, ``v_reset`` (> 0), 0 V at a constant ramp, as for a quasi-static I-V curve."""
        if isinstance(cycles, bool) or not isinstance(cycles, int) or cycles < 1:
            raise DeviceError(f"cycles = {cycles!r} must be a whole number, at least 1")
        if not isinstance(v_set, (int, float)) or not -math.inf < v_set < 0:
            raise DeviceError(f"v_set = {v_set!r} must be a finite number below 0 V: SET is a negative voltage")
        down, up = -float(v_set), _above("v_reset", v_reset, "V", 0.0)
        ramp = _above("ramp_v_per_s", ramp_v_per_s, "V/s", 0.0)
        times, volts = [0.0], [0.0]
        for cycle in range(cycles):
            begin = cycle * 2 * (down + up)
            times += [(begin + x) / ramp for x in (down, 2 * down, 2 * down + up, 2 * (down + up))]
            volts += [-down, 0.0, up, 0.0]
        return cls(times, volts)

    @classmethod
    def from_csv(cls, path: str | Path, columns: Mapping[str, str] | None = None) -> "Waveform":
        """The waveform in a text file with times and voltages, as a program or an oscilloscope writes it.

        Separators, names and units are recognised as by :func:`vcm_sweep.device.read_measurement`, or given by
        ``columns``. Two rows with the same time are a jump.

        Raises:
            DeviceError: the file cannot be read or a row is wrong; the message gives the row's line number.
        """
        try:
            lines, values = columns_in(path, ("time_s", "voltage_v"), columns or {})
            if len(lines) < 2:
                raise DeviceError(f"it has {len(lines)} rows after its header and must have at least 2: add rows")
            times, volts = (found.tolist() for found in values)
            _check_points(times, volts, [f" in line {line}" for line in lines], ("time_s", "voltage_v"))
        except DeviceError as error:
            raise DeviceError(f"{path}: {error}") from None
        return cls(times, volts)

    @property
    def duration_s(self) -> float:
        """Time from the first point to the last, s."""
        return self.times_s[-1] - self.times_s[0]

    def segments(self) -> list[Segment]:
        """The pieces between points, in order, cut where the voltage changes its sign; jumps lie between pieces.

        >>> [s.end_v for s in Waveform((0.0, 1.0), (-1.0, 1.0)).segments()]
        [0.0, 1.0]
        """
        pieces: list[Segment] = []
        points = zip(self.times_s, self.volts, strict=True)
        for (start_s, start_v), (end_s, end_v) in itertools.pairwise(points):
            middle_s, middle_v = end_s, end_v
            if min(start_v, end_v) < 0 < max(start_v, end_v):
                middle_s, middle_v = start_s + (end_s - start_s) * (start_v / (start_v - end_v)), 0.0
            pieces.append(Segment(start_s, middle_s, start_v, middle_v))
            pieces.append(Segment(middle_s, end_s, middle_v, end_v))
        return [piece for piece in pieces if piece.end_s > piece.start_s]


def _numbers(name: str, values: object) -> tuple[float, ...]:
    try:
        return tuple(float(x) for x in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise DeviceError(f"{name} must be a sequence of numbers") from None


def _check_points(times: Sequence[float], volts: Sequence[float], where: Sequence[str], names: tuple[str, str]) -> None:
    time, volt = names
    for i, (t, v) in enumerate(zip(times, volts, strict=True)):
        for name, x in ((time, t), (volt, v)):
            if not math.isfinite(x):
                raise DeviceError(f"{name}{where[i]} = {x} must be finite: correct or remove it")
        if i and t < times[i - 1]:
            raise DeviceError(
                f"{time}{where[i]} = {t:g} must be at least {time}{where[i - 1]} = {times[i - 1]:g}: "
                "put the points in order"
            )
        if i > 1 and t == times[i - 2]:
            raise DeviceError(
                f"{time}{where[i]} = {t:g} is the third point at this time, and a jump has two: remove one, or "
                "give the times of a clock that is not coarser than the points"
            )
    if len(times) < 2 or times[-1] <= times[0]:
        raise DeviceError(f"{time} must have at least 2 points at different times: add points")


def _above(name: str, value: float, unit: str, low: float, *, at_least: bool = False) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < low or (value == low and not at_least):
        limit = f"{'of at least' if at_least else 'above'} {low:g} {unit}"
        raise DeviceError(f"{name} = {value!r} must be a finite number {limit}")
    return float(value)
