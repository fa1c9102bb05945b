"""Residuals of a fit and their derivatives, as functions of the vector that least squares varies."""

import math
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from vcm_sweep.device.dynamics.trajectory import trajectory
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.measured.measurement import Measurement
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.parameters import CellParameters

START = "n_start"
FLOOR = 1e-3  # the default floor relative to the largest current: the three decades below that count
START_STATES = 64  # how many values are tried for the concentration before the first row
_STEP = 1e-4  # the step of central differences
_NO_EFFECT = 1e-6  # smallest relative change of the currents per relative change of a parameter worth fitting
_AFTER = 8  # rows after a compliance or the start of a cycle, from which the state there is taken
_NODES = 65  # of ln N, between which ln of the current is linear to a thousandth
_BELOW = (("l", "l_cell"), ("N_min", "N_max"))

Array: TypeAlias = NDArray[np.float64]


class Problem:
    """One measurement, the keys to vary (parameters and perhaps ``n_start``) and where they start.

    Least squares varies a vector with one entry per key: the logarithm of a positive value, and otherwise the value
    in units of its start. The arguments and errors are those of :func:`vcm_sweep.device.fit`.

    Attributes:
        names, model: the parameters that are fitted, and the current model.
        keys: (k,), the names of the values that are varied.
        bounds: lowest and highest vector, (k,) each.
        floor_a: current below which residuals are linear, A.
    """

    def __init__(
        self,
        measurement: Measurement,
        names: tuple[str, ...],
        cell: CellParameters,
        model: str,
        n_start: float | None,
        floor_a: float | None,
    ) -> None:
        current_function(model)
        _check_names(names, cell)
        n_low, n_high = float(cell.N_min), float(cell.N_max)
        if n_start is not None and not n_low <= n_start <= n_high:
            raise DeviceError(f"n_start = {n_start:g} must be from N_min = {n_low:g} to N_max = {n_high:g} (1e26/m3)")
        _check_conductance(measurement, names, cell)
        self._read = measurement.read
        self._shown = _shown(measurement)
        largest = float(np.abs(measurement.current_a[self._read]).max())
        floor = FLOOR * largest if floor_a is None else floor_a
        if not 0 < floor < largest:
            raise DeviceError(f"floor = {floor:g} A must be above 0 and below the largest current, {largest:g} A")
        self.keys = (*names, START) if n_start is None else names
        rows = int(self._read.sum())
        if rows < len(self.keys) + 2:
            raise DeviceError(f"{rows} rows are too few for {len(self.keys)} unknowns: measure more or fit fewer")
        self.names, self._cell, self.model, self._n_start = names, cell, model, n_start
        self._measurement, self.floor_a = measurement, floor
        self._target = np.arcsinh(measurement.current_a[self._read] / (2 * floor))
        self._ends = np.array([self._allowed(key) for key in self.keys]).T
        self._log = np.array([key == START or _positive(key) for key in self.keys])
        self._unit = np.array([1.0 if log else _unit(key, cell) for key, log in zip(self.keys, self._log, strict=True)])
        self.bounds = (self._forward(self._ends[0]), self._forward(self._ends[1]))

    def start(self) -> Array:
        """The vector of the given cell, (k,), with the concentration that fits best with it."""
        nominal = [math.nan if key == START else float(getattr(self._cell, key)) for key in self.keys]
        x = self._forward(np.clip(nominal, *self._ends))
        if START in self.keys:
            # Only states inside the range are tried: at a bound the rate is 0, and so is every derivative.
            low, high = (math.log(float(getattr(self._cell, name))) for name in ("N_min", "N_max"))
            trials = np.repeat(x[:, None], START_STATES, axis=1)
            trials[-1] = low + (high - low) * (np.arange(START_STATES) + 0.5) / START_STATES
            misfit = np.sum(self._differences(trials) ** 2, axis=0)
            x = trials[:, np.argmin(np.where(np.isfinite(misfit), misfit, np.inf))]
        if not np.isfinite(self.residuals(x)).all():
            raise DeviceError(
                "the model has no finite current or rate at the start of the fit (|gamma| >= 1: the field is beyond "
                "the hopping model): check the units of the data, or start from a cell with larger r or dW_A"
            )
        effect = np.linalg.norm(self.jacobian(x), axis=0) / math.sqrt(len(self._target))
        for key, size in zip(self.keys, effect, strict=True):
            if size < _NO_EFFECT and key != START:
                raise DeviceError(f"{key} has no effect on this measurement with model {self.model!r}: leave it out")
        return x

    def values(self, x: Array) -> dict[str, float]:
        """The values that a vector stands for, by key, in the units of the parameters."""
        return dict(zip(self.keys, self._backward(x[:, None])[:, 0].tolist(), strict=True))

    def slopes(self, x: Array) -> Array:
        """Derivative of each value with respect to its entry of the vector, (k,)."""
        return np.where(self._log, self._backward(x[:, None])[:, 0], self._unit)

    def residuals(self, x: Array) -> Array:
        """The residuals of the rows with a reading, (readings,), at a vector (k,)."""
        return self._differences(x[:, None])[:, 0]

    def jacobian(self, x: Array) -> Array:
        """Derivatives of the residuals, (readings, k), by central differences, one-sided at a bound.

        All shifted vectors are simulated together.
        """
        k = len(x)
        moved = np.concatenate((x[:, None] + _STEP * np.eye(k), x[:, None] - _STEP * np.eye(k)), axis=1)
        moved = np.clip(moved, self.bounds[0][:, None], self.bounds[1][:, None])
        far = self._differences(moved)
        jacobian: Array = (far[:, :k] - far[:, k:]) / np.diag(moved[:, :k] - moved[:, k:])
        if not np.isfinite(jacobian).all():
            raise DeviceError(
                "the fit went where the field is beyond the hopping model (|gamma| >= 1): start from a cell that is "
                "closer, or fit fewer parameters"
            )
        return jacobian

    def shown_states(self, x: Array) -> Array:
        """Derivatives of the residuals, (readings, states), with respect to ln N of the states that the data show.

        They are as uncertain as the rows that show them, which the errors of the other values have to take in.
        """
        count = len(self._shown)
        if not count:
            return np.zeros((int(self._read.sum()), 0))
        shifts = _STEP * np.concatenate((np.eye(count), -np.eye(count)), axis=1)
        far = self._differences(np.repeat(x[:, None], 2 * count, axis=1), shifts=shifts)
        derivatives: Array = (far[:, :count] - far[:, count:]) / (2 * _STEP)
        return derivatives

    def coarse_misfit(self, x: Array) -> Array:
        """Mean |residual|, (cells,), of each vector in (k, cells), with a coarser table that is eight times faster."""
        return np.abs(self._differences(x, nodes=97, knot_v=20e-3)).mean(axis=0)

    def simulate(self, x: Array, shifts: Array | None = None, **resolution: Any) -> tuple[Array, Array]:
        """N (1e26/m3) and current (A) at the rows of the measurement, (rows, cells) each, for vectors (k, cells).

        ``shifts``: (states, cells), what is added to ln N of the states that the data show.
        """
        values = dict(zip(self.keys, self._backward(x), strict=True))
        start = np.broadcast_to(values.pop(START, self._n_start), x.shape[1:]).astype(np.float64)
        cells = self._cell.replace(**{name: torch.from_numpy(value) for name, value in values.items()})
        data = self._measurement
        known = self._known(cells, x.shape[1])
        if known is not None and shifts is not None:
            known = known[0], known[1] * np.exp(shifts)
        begin, end, duration = data.steps()
        n = trajectory(
            start, begin, end, duration, cells, self.model, compliance_a=data.compliance_a, known_n=known, **resolution
        )
        amperes = np.where(np.isfinite(n), self._current(data.at_v(), np.nan_to_num(n, nan=1.0), cells), np.nan)
        if data.kind == "iv":
            amperes = np.clip(amperes, -data.compliance_a[0], data.compliance_a[1])
        return n, amperes

    def _current(self, volts: float | Array, n: Array, cells: CellParameters) -> Array:
        """The current in A at the voltage of each row, for N (rows, ..., cells)."""
        per_row = np.reshape(volts, (-1,) + (1,) * (n.ndim - 1))
        with torch.no_grad():
            found = current_function(self.model)(
                torch.from_numpy(np.broadcast_to(per_row, n.shape).copy()), torch.from_numpy(n), cells
            )
        amperes: Array = found.numpy()
        return amperes

    def _known(self, cells: CellParameters, count: int) -> tuple[NDArray[np.int64], Array] | None:
        """Where the data say the state: after a compliance, and at the start of each further cycle.

        It is the N at which a cell carries the currents of the next rows.
        """
        rows, states = [], []
        low, high = (np.broadcast_to(np.log(np.asarray(getattr(cells, k))), (count,)) for k in ("N_min", "N_max"))
        nodes = low + np.linspace(0.0, 1.0, _NODES)[:, None] * (high - low)
        volts = np.broadcast_to(self._measurement.at_v(), self._read.shape)
        for row, shown in self._shown:
            n = np.broadcast_to(np.exp(nodes), (len(shown), *nodes.shape)).copy()
            carried = np.log(np.abs(self._current(volts[shown], n, cells)))
            wanted = np.log(np.abs(self._measurement.current_a[shown]))
            found = [
                [np.interp(wanted[k], carried[k, :, cell], nodes[:, cell]) for cell in range(count)]
                for k in range(len(shown))
            ]
            rows.append(row)
            states.append(np.exp(np.mean(found, axis=0)))
        return (np.array(rows), np.array(states)) if rows else None

    def at_the_end(self, x: Array) -> dict[str, str]:
        """A line for each value at an end of its allowed range, by key."""
        found = {}
        for key, value, low, high in zip(self.keys, self.values(x).values(), *self._ends, strict=True):
            for name, end in (("lowest", low), ("highest", high)):
                if math.isfinite(end) and abs(value - end) <= 1e-5 * abs(end):
                    found[key] = (
                        f"{key} = {value:.4g} is at the {name} allowed value, and the data would take it further: fix "
                        "it, or check the data and the model"
                    )
        return found

    def _differences(self, x: Array, **resolution: Any) -> Array:
        return np.arcsinh(self.simulate(x, **resolution)[1][self._read] / (2 * self.floor_a)) - self._target[:, None]

    def _allowed(self, key: str) -> tuple[float, float]:
        """The range of a value, narrowed so that l stays below l_cell and N_min below N_max."""
        if key == START:
            # The widest range that the bounds can have during the fit; a state past a bound is moved to the bound.
            low = self._allowed("N_min")[0] if "N_min" in self.names else float(self._cell.N_min)
            return low, self._allowed("N_max")[1] if "N_max" in self.names else float(self._cell.N_max)
        low, high = CellParameters.bounds(key)
        for small, large in _BELOW:
            a, b = float(getattr(self._cell, small)), float(getattr(self._cell, large))
            if key == small:
                high = min(high, (math.sqrt(a * b) if large in self.names else b) * (1 - 1e-9))
            if key == large:
                low = max(low, (math.sqrt(a * b) if small in self.names else a) * (1 + 1e-9))
        return low, high

    def _forward(self, values: Array) -> Array:
        with np.errstate(divide="ignore"):
            return np.where(self._log, np.log(np.where(self._log, values, 1.0)), values / self._unit)

    def _backward(self, x: Array) -> Array:
        log = self._log[:, None]
        values = np.where(log, np.exp(np.where(log, x, 0.0)), x * self._unit[:, None])
        return np.clip(values, self._ends[0][:, None], self._ends[1][:, None])


def _shown(data: Measurement) -> list[tuple[int, NDArray[np.int64]]]:
    """Rows after which the data show the state, and the rows that show it: of one polarity, and from 0 V on."""
    found = []
    ends = [last for _, last in data.limited]
    if data.kind == "pulses":
        found += [(start, np.array([start])) for start in data.cycles[1:] if data.read[start]]
    else:
        ends += data.cycles[1:]
    for row in sorted(set(ends)):
        after = np.arange(row + 1, min(row + 1 + _AFTER, len(data.voltage_v)))
        after = after[data.read[after] & (data.voltage_v[after] * data.current_a[after] > 0)]
        after = after[np.sign(data.voltage_v[after]) == np.sign(data.voltage_v[after[:1]])]
        if len(after):
            found.append((row, after))
    return found


def _positive(name: str) -> bool:
    """Whether a parameter is always above 0, so that its logarithm can be varied."""
    low, _ = CellParameters.bounds(name)
    return low > 0 or name in ("eps_phiB", "r_nominal")


def _unit(name: str, cell: CellParameters) -> float:
    """The scale of a parameter that may be 0 in the vector: its value in ``cell``, or if that is 0 the default's."""
    return float(getattr(cell, name)) or float(getattr(CellParameters(), name))


def _check_names(names: tuple[str, ...], cell: CellParameters) -> None:
    if not names:
        raise DeviceError(f"no parameter to fit: name some of {', '.join(CellParameters.names())}")
    for name in names:
        if name not in CellParameters.names():
            raise DeviceError(f"unknown cell parameter {name!r}: one of {', '.join(CellParameters.names())}")
        if names.count(name) > 1:
            raise DeviceError(f"parameter {name!r} is named {names.count(name)} times: name it once")
    for name in CellParameters.names():
        value = getattr(cell, name)
        if isinstance(value, torch.Tensor) and value.numel() != 1:
            raise DeviceError(f"{name} has {value.numel()} values: a fit starts from one cell, give one number")


def _check_conductance(measurement: Measurement, names: tuple[str, ...], cell: CellParameters) -> None:
    """Refuse currents that the resistances in series would not let flow in a cell of no resistance itself."""
    series = float(cell.R_TiOx) + float(cell.R_0)
    if series <= 0 or {"R_TiOx", "R_0"} & set(names):
        return
    volts = np.broadcast_to(np.abs(measurement.at_v()), measurement.current_a.shape)
    size = np.abs(np.nan_to_num(measurement.current_a))
    beyond = size > 1.1 * volts / series
    if beyond.sum() > 0.02 * len(size) and size[beyond].max() > 0.05 * size.max():
        row = int(np.argmax(np.where(beyond, size, 0.0)))
        raise DeviceError(
            f"current_a of {size[row]:.3g} A at {volts[row]:.3g} V is more than R_TiOx + R_0 = {series:.4g} Ohm let "
            f"flow ({volts[row] / series:.3g} A), as in {int(beyond.sum())} of {len(size)} rows: in another unit? "
            "(--columns current_a=NAME:mA or :uA); or fit R_TiOx too, or start from a cell with less"
        )
