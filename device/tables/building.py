"""Building the tables of a device: nodes are added until the measured error is small enough."""

import math

import numpy as np
import torch

from vcm_sweep.device.doing import Doing
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.kernels.layout import MAX_AXES
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.currents import current_function
from vcm_sweep.device.physics.full_current import barrier_above_zero, full_current
from vcm_sweep.device.physics.kinetics import log_speed
from vcm_sweep.device.physics.parameters import CellParameters
from vcm_sweep.device.tables.axes import AMPLITUDE, axis_names
from vcm_sweep.device.tables.error import measured
from vcm_sweep.device.tables.jumps import refuse_jumps
from vcm_sweep.device.tables.tables import TOLERANCE, WEIGHT_TOLERANCE, Axis, Curves, Points, RateTables, positions
from vcm_sweep.device.vcm_device import VCMDevice

_MAX_NODES = 1 << 19  # of one table; with more, building takes too long
_MARGIN = 0.02  # ln N by which the tables reach beyond the N at which the cells on the nodes stop


def build_tables(device: VCMDevice) -> RateTables:
    """The tables of an array, over all parameters that its cells can have.

    Raises:
        DeviceError: more than three axes, a rate that is not finite somewhere in the range, a current that jumps as N
            changes within the window, or no table of reasonable size is accurate enough.

    Example:
        >>> tables = build_tables(VCMDevice(model="full"))
        >>> tables.axes, tables.error <= TOLERANCE
        ((), True)
    """
    names = axis_names(device)
    if len(names) > MAX_AXES:
        raise DeviceError(
            f"{', '.join(names)} differ between cells or pulses: tables have at most {MAX_AXES} axes besides N; "
            "use method = 'direct' or let fewer vary"
        )
    with Doing("making the tables of the cell") as told:
        return _accurate(device, tuple(_axis(device, name) for name in names), told)


def _accurate(device: VCMDevice, axes: tuple[Axis, ...], told: Doing) -> RateTables:
    """Tables over these axes, made with more and more nodes until they are accurate; ``told`` hears how far that is."""
    finer, attempt, reached = 1.0, 1, ""
    while True:
        told(f"attempt {attempt}{reached}: read")
        read = _read_curves(device, axes if device.reads_cell and device.model == "full" else (), finer)
        x_range = _x_range(device, read)
        pulses = []
        for pulse, voltage in (("SET", device.set_voltage_v), ("RESET", device.reset_voltage_v)):
            told(f"attempt {attempt}{reached}: {pulse}")
            pulses.append(_pulse_curves(device, axes, x_range, voltage, finer))
        told(f"attempt {attempt}{reached}: checks")
        _refuse_jumps(device, axes, x_range, read, pulses[0], pulses[1])
        error = max(c.error for c in pulses)
        if error <= TOLERANCE and read.error <= WEIGHT_TOLERANCE:
            return RateTables(axes, pulses[0], pulses[1], read)
        reached = f" (error {max(error / TOLERANCE, read.error / WEIGHT_TOLERANCE):.2g} times what is allowed)"
        finer, attempt = finer * math.sqrt(2), attempt + 1
        axes = tuple(Axis(a.name, a.first, a.last, math.ceil(a.count * 1.35)) for a in axes)
        if max(c.values.size for c in (*pulses, read)) > _MAX_NODES:
            ranges = ", ".join(f"{a.name} = {a.first:.3g}..{a.last:.3g}" for a in axes) or "the nominal cell"
            raise DeviceError(
                f"no table is accurate to {TOLERANCE:g} over {ranges}: narrow the ranges (clip) or use "
                "method = 'direct'"
            )


def _refuse_jumps(
    device: VCMDevice, axes: tuple[Axis, ...], x_range: tuple[float, float], read: Curves, up: Curves, down: Curves
) -> None:
    """Raise DeviceError if a current jumps as N changes, at any node of the parameters and within the window."""
    if device.model != "full":
        return
    dark, slope = device.map.line
    points = _grid(axes)
    for voltage, curves in ((READ_VOLTAGE_V, read), (device.set_voltage_v, up), (device.reset_voltage_v, down)):
        own = points if curves.kink.shape[0] > 1 else {}
        x = curves.x()
        i = torch.from_numpy((curves.values - dark) / slope if curves is read else curves.power / abs(voltage))

        reading = curves is read

        def log_i(
            at: torch.Tensor, column: torch.Tensor, voltage: float = voltage, own: Points = own, read: bool = reading
        ) -> torch.Tensor:
            here = {name: values[column] for name, values in own.items() if not (read and name == AMPLITUDE)}
            v, n, cells = _at(device, here, at, voltage)
            found = torch.log(current_function(device.model)(v, n, cells).abs())
            # ``i`` above is power over the nominal voltage, but the power was computed at the pulse's own voltage.
            return found if read else found + torch.log(v.abs() / abs(voltage))

        within = (x.amin(1) <= x_range[1]) & (x.amax(1) >= x_range[0])
        refuse_jumps(voltage, x[within], torch.log(i[within]), log_i)


def _axis(device: VCMDevice, name: str) -> Axis:
    """The axis of one parameter, with as many nodes as a quarter of the tolerance needs at each of four values of N."""
    if name == AMPLITUDE:
        first, last = device.variability.pulse.limits(AMPLITUDE)
    else:
        first, last = device.variability.limits(name, device.parameters)
    low, high = device.log_n_range
    x = torch.linspace(max(low, math.log(0.03)), min(high, math.log(3.0)), 4, dtype=torch.float64)
    coarse, refined = 7, 6
    axis = Axis(name, first, last, refined * (coarse - 1) + 1)
    lines = torch.cat([_log_rate(device, (axis,), x, v)[0] for v in (device.set_voltage_v, device.reset_voltage_v)])
    # The error of cubic interpolation is proportional to the fourth power of the step.
    needed = (_cubic_error(lines, refined) / (TOLERANCE / 4)) ** 0.25
    return Axis(name, first, last, min(max(math.ceil((coarse - 1) * needed), 3), 40) + 1)


def _cubic_error(lines: torch.Tensor, step: int) -> float:
    """Largest error of cubic interpolation from every ``step``-th point of each line; ``lines``: (lines, points)."""
    nodes = lines[:, ::step]
    t = torch.arange(lines.shape[1], dtype=torch.float64) / step
    j = (t.long() - 1).clamp(0, nodes.shape[1] - 4)
    a = t - j
    b, c, d = a - 1, a - 2, a - 3
    weights = (-b * c * d / 6, a * c * d / 2, -a * b * d / 2, a * b * c / 6)
    cubic = torch.stack([w * nodes[:, j + i] for i, w in enumerate(weights)]).sum(0)
    return float((cubic - lines).abs().max())


def _grid(axes: tuple[Axis, ...]) -> dict[str, torch.Tensor]:
    """The value of each axis at every node of the grid, flattened: (P,) by name."""
    mesh = torch.meshgrid(*(axis.nodes() for axis in axes), indexing="ij") if axes else ()
    return {axis.name: values.reshape(-1) for axis, values in zip(axes, mesh, strict=True)}


def _cells(device: VCMDevice, points: Points) -> tuple[CellParameters, torch.Tensor | float]:
    """Cell parameters, and the factor on the pulse's voltage, at some points of the axes."""
    physical = {name: values for name, values in points.items() if name != AMPLITUDE}
    return device.parameters.replace_unchecked(**physical), points.get(AMPLITUDE, 1.0)


def _at(
    device: VCMDevice, points: Points, x: torch.Tensor, voltage_v: float
) -> tuple[torch.Tensor, torch.Tensor, CellParameters]:
    cells, factor = _cells(device, points)
    v = torch.as_tensor(voltage_v * factor, dtype=torch.float64)
    n = torch.exp(x)
    v, n = torch.broadcast_tensors(v, n)
    return v, n, cells


def _log_rate(
    device: VCMDevice, axes: tuple[Axis, ...], x: torch.Tensor, voltage_v: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """ln(|dN/dt| / N) and |V I| in W, (X, P) each, at nodes ``x`` ((X,) or (X, P)) and all P nodes of the axes."""
    x = x[:, None] if x.dim() == 1 else x
    points = _grid(axes)
    p = math.prod(axis.count for axis in axes)
    v, n, cells = _at(device, points, x.expand(x.shape[0], p), voltage_v)
    i = _current_on_lines(device, v, n, cells)
    g = log_speed(v, n, cells, device.model, i) - x
    _check_finite(g, points, voltage_v)
    return g, (v * i).abs()


def _current_on_lines(device: VCMDevice, v: torch.Tensor, n: torch.Tensor, cells: CellParameters) -> torch.Tensor:
    """I in A along lines of N, (X, P): every fourth is solved from scratch and gives first guesses for the others."""
    solve = current_function(device.model)
    if device.model != "full" or n.shape[0] < 16:
        return solve(v, n, cells)
    rows = torch.unique(torch.cat([torch.arange(0, n.shape[0], 4), torch.tensor([n.shape[0] - 1])]))
    log_i = torch.log(solve(v[rows], n[rows], cells).abs())
    after = torch.searchsorted(rows, torch.arange(n.shape[0])).clamp_min(1)
    part = ((torch.arange(n.shape[0]) - rows[after - 1]) / (rows[after] - rows[after - 1])).to(n.dtype)[:, None]
    return full_current(v, n, cells, torch.exp(torch.lerp(log_i[after - 1], log_i[after], part)))


def _check_finite(g: torch.Tensor, points: Points, voltage_v: float) -> None:
    bad = ~torch.isfinite(g)
    if not bool(bad.any()):
        return
    column = int(bad.any(0).nonzero()[0, 0])
    where = ", ".join(f"{name} = {values[column].item():.3g}" for name, values in points.items()) or "the nominal cell"
    raise DeviceError(
        f"the rate is not finite at {where}, {voltage_v} V (|gamma| >= 1: the field is beyond the hopping model): "
        "lower |voltage| or narrow the ranges (clip)"
    )


def _pulse_curves(
    device: VCMDevice, axes: tuple[Axis, ...], x_range: tuple[float, float], voltage_v: float, finer: float
) -> Curves:
    points = _grid(axes)
    kink, found = _kinks(device, points, x_range, voltage_v)
    x_first, x_last = x_range
    if found:
        x_first, x_last = min(x_first, float(kink.min()) - 0.1), max(x_last, float(kink.max()) + 0.1)
    else:
        kink = torch.full_like(kink, x_first)
    x, below = _nodes(x_first, x_last, kink, 0.022 / finer)
    values, power = _log_rate(device, axes, x, voltage_v)
    curves = Curves(x_first, x_last, below, kink.numpy(), values.numpy(), power.numpy(), math.nan)

    def exact(drawn: Points, at: torch.Tensor) -> torch.Tensor:
        v, n, cells = _at(device, drawn, at, voltage_v)
        return log_speed(v, n, cells, device.model) - at

    return measured(curves, axes, exact, linear=True)


def _read_curves(device: VCMDevice, axes: tuple[Axis, ...], finer: float) -> Curves:
    """The table of the weight that the periphery reads, over all N that cells can have."""
    points = {name: values for name, values in _grid(axes).items() if name != AMPLITUDE}
    low, high = device.log_n_range
    kink, found = _kinks(device, points, (low, high), READ_VOLTAGE_V)
    p = math.prod(axis.count for axis in axes)
    kink = kink.expand(p).contiguous()
    if found:
        low, high = min(low, float(kink.min()) - 0.2), max(high, float(kink.max()) + 0.2)
    else:
        kink = torch.full_like(kink, low)
    x, below = _nodes(low, high, kink, 0.05 / finer)
    periphery = device.map

    def exact(drawn: Points, at: torch.Tensor) -> torch.Tensor:
        _, n, cells = _at(device, {k: v for k, v in drawn.items() if k != AMPLITUDE}, at, READ_VOLTAGE_V)
        return periphery.weight(n, cells)

    values = exact(points, x).expand(x.shape[0], p).contiguous()
    curves = Curves(low, high, below, kink.numpy(), values.numpy(), np.empty((0, 1)), math.nan)
    return measured(curves, axes, exact, linear=False)


def _nodes(x_first: float, x_last: float, kink: torch.Tensor, step: float) -> tuple[torch.Tensor, int]:
    """(X, P) nodes of x around the kinks, about ``step`` apart, and how many intervals end at the kink."""
    lower, upper = float((kink - x_first).max()), float((x_last - kink).max())
    below = max(math.ceil(lower / step), 6) if lower > 1e-9 else 0
    return positions(x_first, x_last, kink, below, max(math.ceil(upper / step), 6)), below


def _kinks(
    device: VCMDevice, points: Points, x_range: tuple[float, float], voltage_v: float
) -> tuple[torch.Tensor, bool]:
    """x at which the barrier vanishes at each node, (P,), and whether there is exactly one such x at every node.

    If not, the kinks are put at the start of the range, and the tables have none.
    """
    p = max([len(values) for values in points.values()], default=1)
    nothing = torch.full((p,), x_range[0], dtype=torch.float64)
    if device.model != "full":
        return nothing, False

    def barrier(x: torch.Tensor) -> torch.Tensor:
        v, n, cells = _at(device, points, x.expand(x.shape[0], p), voltage_v)
        return barrier_above_zero(v, n, cells)

    scan = torch.linspace(x_range[0] - 1, x_range[1] + 1, 21, dtype=torch.float64)[:, None]
    height = barrier(scan)
    crossing = (height[:-1] > 0) & (height[1:] <= 0)
    if not bool((crossing.sum(0) == 1).all()):
        return nothing, False
    at = crossing.to(torch.int8).argmax(0)
    low, high = scan[at, 0], scan[at + 1, 0]
    h_low, h_high = height.gather(0, at[None])[0], height.gather(0, at[None] + 1)[0]
    for _ in range(8):  # the Illinois variant of the secant method
        x = high - h_high * (high - low) / (h_high - h_low)
        h = barrier(x[None])[0]
        same = torch.sign(h) == torch.sign(h_high)
        low, h_low = torch.where(same, low, high), torch.where(same, 0.5 * h_low, h_high)
        high, h_high = x, h
    return high, True


def _x_range(device: VCMDevice, read: Curves) -> tuple[float, float]:
    """Lowest and highest ln N between which the cells of an array move."""
    low, high = device.log_n_range
    if not device.periphery.clamped or not device.reads_cell:
        return low, high
    w_low, w_high = device.variability.window.limits(device.periphery.w_min, device.periphery.w_max)
    lowest = (read.values <= w_low).sum(0).min()
    highest = (read.values < w_high).sum(0).max()
    nodes = read.x()
    first = float(nodes[max(int(lowest) - 1, 0)].min()) - _MARGIN
    last = float(nodes[min(int(highest), len(nodes) - 1)].max()) + _MARGIN
    return max(low, first), min(high, last)
