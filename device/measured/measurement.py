"""`Measurement`: what was applied to one cell and what was read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.public import public

KINDS = ("iv", "pulses")
MIN_ROWS = 8

Array: TypeAlias = NDArray[np.float64]


@public
@dataclass(frozen=True, eq=False)
class Measurement:
    """What was applied to one cell and what was read, rows in the order of time.

    Attributes:
        kind: ``"iv"``: the current flows at the voltage of its row; ``"pulses"``: it is read after its row's pulse.
        voltage_v: (rows,) V, what was asked for; negative is SET.
        duration_s: (rows,) s. For ``"iv"`` the time since the row before, 0 in the first row; for ``"pulses"`` the
            width of the pulse.
        current_a: (rows,) A; NaN where there was no reading: the row then moves the cell, and is not compared.
        source: where the rows come from, shown in reports.
        read_v: V, a number or (rows,): the voltage at which pulses are read.
        compliance_a: the largest |I| that the instrument let flow at negative and at positive voltage, A.
        limited: first and last row of each stay at the compliance. The state in which a cell leaves it depends on how
            fast the instrument is, so it is taken from the currents of the rows after.
        cycles: the first row of each cycle; from the second on its state there is taken from the rows that follow.
        notes: one line for each thing that a reader assumed or left out.

    Raises:
        DeviceError: too few rows, shapes that differ, a value that is not finite, a negative duration.
    """

    kind: str
    voltage_v: Array
    duration_s: Array
    current_a: Array
    source: str = "a measurement"
    read_v: float | Array = READ_VOLTAGE_V
    compliance_a: tuple[float, float] = (np.inf, np.inf)
    limited: Sequence[tuple[int, int]] = ()
    cycles: Sequence[int] = (0,)
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DeviceError(f"kind = {self.kind!r} must be one of {', '.join(map(repr, KINDS))}")
        rows = len(self.voltage_v)
        for name in ("voltage_v", "duration_s", "current_a", "read_v"):
            given = getattr(self, name)
            if np.ndim(given) == 0:
                continue
            values = np.array(given, dtype=np.float64)
            if values.ndim != 1 or len(values) != rows:
                raise DeviceError(f"{name} must have one value for each of the {rows} rows")
            good = ~np.isinf(values) if name == "current_a" else np.isfinite(values)
            if not good.all():
                raise DeviceError(f"{name} of row {int(np.argmin(good)) + 1} must be finite: mend the row")
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if not np.isfinite(self.read_v).all() or not np.all(self.read_v):
            raise DeviceError("read_v must be finite and not 0 V: nothing flows there")
        readings = int(self.read.sum())
        if readings < MIN_ROWS:
            raise DeviceError(f"{readings} rows are too few: a measurement has at least {MIN_ROWS}")
        if (self.duration_s < 0).any() or not (self.duration_s > 0).any():
            raise DeviceError("duration_s must be at least 0 in every row, and above 0 in some")
        if not min(self.compliance_a) > 0:
            raise DeviceError(f"compliance_a = {self.compliance_a} must be above 0 A")

    @property
    def read(self) -> NDArray[np.bool_]:
        """(rows,), where there was a reading."""
        return ~np.isnan(self.current_a)

    def steps(self) -> tuple[Array, Array, Array]:
        """Voltage at the start and at the end of each row's step, V, and its duration, s; (rows,) each."""
        if self.kind == "pulses":
            return self.voltage_v, self.voltage_v, self.duration_s
        return np.concatenate((self.voltage_v[:1], self.voltage_v[:-1])), self.voltage_v, self.duration_s

    def at_v(self) -> float | Array:
        """The voltage at which each row's current flows, V."""
        return self.voltage_v if self.kind == "iv" else self.read_v

    def part(self, begin: int, end: int) -> "Measurement":
        """The rows from ``begin`` to before ``end`` by themselves; a sweep's first row then takes no time."""
        duration = self.duration_s[begin:end].copy()
        if self.kind == "iv":
            duration[0] = 0.0
        return replace(
            self,
            voltage_v=self.voltage_v[begin:end],
            duration_s=duration,
            current_a=self.current_a[begin:end],
            read_v=self.read_v[begin:end] if isinstance(self.read_v, np.ndarray) else self.read_v,
            limited=[(first - begin, last - begin) for first, last in self.limited if begin <= first and last < end],
            cycles=(0,),
        )
