"""State, current and temperature of cells under a voltage that changes with time."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from vcm_sweep.device.dynamics.adaptive import adaptive
from vcm_sweep.device.dynamics.integration import MAX_RTOL, ON_INVALID, refuse_beyond, run
from vcm_sweep.device.dynamics.lanes import LANES, Lanes, PulseEnd, padded
from vcm_sweep.device.dynamics.waveforms import Waveform
from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.currents import checked_state, current_function
from vcm_sweep.device.physics.kinetics import temperature_of
from vcm_sweep.device.physics.parameters import CellParameters, Value
from vcm_sweep.device.physics.validity import Extremes, Validity
from vcm_sweep.device.public import public

_RECORDED = "on_invalid = 'record'"


@public
class Response(NamedTuple):
    """Cells under a waveform, sampled in time; all float64.

    ``time_s``, ``voltage_v``: (samples,). ``n`` (1e26/m3), ``current_a``, ``temperature_k``: (samples, *cells), where
    cells is the broadcast shape of concentration and parameters. A jump of the voltage gives two samples at the same
    time, before and after it. ``validity`` covers every step of the integration, not only the samples.
    """

    time_s: torch.Tensor
    voltage_v: torch.Tensor
    n: torch.Tensor
    current_a: torch.Tensor
    temperature_k: torch.Tensor
    validity: Validity


def respond(
    n: Value,
    waveform: Waveform,
    parameters: CellParameters | None = None,
    model: str = "explicit",
    points: int = 50,
    rtol: float = 1e-6,
    on_invalid: str = "error",
) -> Response:
    """State, current and temperature of cells over a waveform.

    The waveform is cut where its voltage changes sign. Each piece is integrated like a pulse with ``adaptive``, where
    the voltage changes within every step too; on a CPU and without gradients by compiled steps of the same kind. At
    V = 0 nothing moves: retention is not part of the model.

    Args:
        n: concentration at the start, 1e26/m3, any shape; broadcasts against the parameters.
        waveform: the voltage, the same for all cells.
        parameters: the parameters of the cell or cells; default the nominal cell.
        model: the current model, see :func:`vcm_sweep.device.current`.
        points: equally spaced samples per piece, besides its start.
        rtol: relative error of each step's change of ln N.
        on_invalid: ``"error"`` raises if a field is too strong for the hopping model; ``"record"`` holds the cell in
            its state until the field is weaker again, and marks it in ``validity``.

    Raises:
        DeviceError: an argument out of range, a field beyond the model, or an integration that does not converge.

    Example:
        >>> sweep = respond(0.06, Waveform.triangle(-0.4, 0.7, ramp_v_per_s=1e3), points=20)
        >>> sweep.n.shape, bool(sweep.n.max() > 0.06)
        (torch.Size([81]), True)
    """
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise DeviceError(f"points = {points!r} must be a whole number, at least 1")
    if not 0 < rtol <= MAX_RTOL["adaptive"]:
        raise DeviceError(f"rtol = {rtol!r} must be above 0 and at most {MAX_RTOL['adaptive']:g}")
    if on_invalid not in ON_INVALID:
        raise DeviceError(f"on_invalid = {on_invalid!r} must be one of {', '.join(map(repr, ON_INVALID))}")
    checked_state(torch.tensor(waveform.volts, dtype=torch.float64), 1.0)
    _, start = checked_state(0.0, n, parameters)
    parameters = parameters or CellParameters()
    time, volts = _samples(waveform, points)
    differentiable = start.requires_grad or any(
        x.requires_grad for name in parameters.names() if isinstance(x := getattr(parameters, name), torch.Tensor)
    )
    if start.device.type == "cpu" and not differentiable:
        return _compiled(start, time, volts, parameters, model, rtol, on_invalid)
    everything, shape = Lanes.of(start, start.new_zeros(()), 0.0, parameters, model)
    extremes = Extremes(shape.numel(), start.device)
    beyond = torch.zeros(shape.numel(), dtype=torch.bool, device=start.device)
    courses = []

    def solve(cells: Lanes) -> PulseEnd:
        return adaptive(cells, rtol, extremes)

    for block in everything.blocks(everything.index):
        states = [block.n]
        for k in range(1, len(time)):
            cells = _between(block, states[-1], volts[k - 1], volts[k], time[k] - time[k - 1])
            end = run(cells, solve, extremes)
            if on_invalid == "error":
                refuse_beyond(cells, end, _RECORDED)
            beyond[block.index] |= end.beyond
            states.append(end.n[padded(torch.arange(len(end.n), device=end.n.device))].reshape(-1, LANES))
        courses.append(_course(block, states, volts))
    n_of, current, hot = (torch.cat(x, dim=1).reshape(len(time), *shape) for x in zip(*courses, strict=True))
    at, under = (torch.tensor(x, dtype=torch.float64, device=start.device) for x in (time, volts))
    return _answer(at, under, n_of, current, hot, extremes, beyond)


def _answer(
    at: torch.Tensor, under: torch.Tensor, n: torch.Tensor, current: torch.Tensor, hot: torch.Tensor,
    extremes: Extremes, beyond: torch.Tensor,
) -> Response:  # fmt: skip
    """The response with its validity, which holds the samples too: a cell at its bound is not followed in steps."""
    extremes.temperature_k.copy_(torch.fmax(extremes.temperature_k, hot.detach().amax(0).reshape(-1)))
    return Response(at, under, n, current, hot, extremes.validity(n.shape[1:], beyond))


def _compiled(
    start: torch.Tensor, time: list[float], volts: list[float], parameters: CellParameters, model: str, rtol: float,
    on_invalid: str,
) -> Response:  # fmt: skip
    """The response cell by cell, in compiled steps: where no gradient is asked for."""
    from vcm_sweep.device.dynamics.one_cell import follow

    current_function(model)
    fields = [torch.as_tensor(getattr(parameters, name), dtype=torch.float64) for name in parameters.names()]
    shape = torch.broadcast_shapes(start.shape, *(x.shape for x in fields))
    count = shape.numel()
    numbers = torch.stack([x.expand(shape).reshape(-1) for x in fields], dim=1).contiguous().numpy()
    first = start.expand(shape).reshape(-1).tolist()
    at, under = torch.tensor(time, dtype=torch.float64), torch.tensor(volts, dtype=torch.float64)
    states = torch.empty((count, len(time)), dtype=torch.float64)
    extremes, beyond = Extremes(count, start.device), torch.zeros(count, dtype=torch.bool)
    for cell, n in enumerate(first):
        worst = np.full(2, -np.inf)
        how = follow(n, under.numpy(), at.numpy(), numbers[cell], model == "full", rtol, states[cell].numpy(), worst)
        if how > 0:
            raise DeviceError(
                f"a cell with N = {states[cell, how - 1].item():g} (1e26/m3) did not reach the end of the ramp from "
                f"{volts[how - 1]:g} to {volts[how]:g} V: raise rtol or shorten the waveform"
            )
        if how < 0 and on_invalid == "error":
            own = CellParameters.of_numbers(tuple(numbers[cell].tolist()))
            before, _ = Lanes.of(states[cell, -how - 1 : -how], start.new_zeros(()), 0.0, own, model)
            moved = _between(before, before.n, volts[-how - 1], volts[-how], time[-how] - time[-how - 1])
            refuse_beyond(moved, PulseEnd(states[cell, -how : 1 - how], torch.ones(1, dtype=torch.bool)), _RECORDED)
        extremes.temperature_k[cell], extremes.log_rate[cell], beyond[cell] = *worst.tolist(), how < 0
    n_of = states.T.reshape(len(time), *shape).contiguous()
    voltage = under.reshape(-1, *(1 for _ in shape)).expand(n_of.shape)
    with torch.no_grad():
        current = current_function(model)(voltage, n_of, parameters)
        hot = temperature_of(voltage, current, parameters)
    return _answer(at, under, n_of, current, hot, extremes, beyond)


def _samples(waveform: Waveform, points: int) -> tuple[list[float], list[float]]:
    """Times and voltages of the samples: each piece's points, and its start if that is not the end of the last one."""
    time: list[float] = []
    volts: list[float] = []
    for piece in waveform.segments():
        if not time or volts[-1] != piece.start_v:
            time.append(piece.start_s)
            volts.append(piece.start_v)
        for k in range(1, points + 1):
            time.append(piece.end_s if k == points else piece.start_s + (piece.end_s - piece.start_s) * k / points)
            volts.append(piece.end_v if k == points else piece.start_v + (piece.end_v - piece.start_v) * k / points)
    return time, volts


def _between(block: Lanes, n: torch.Tensor, start_v: float, end_v: float, duration_s: float) -> Lanes:
    """The cells for the pulse from one sample to the next, with the state ``n`` at its start."""
    start, end = (torch.full((LANES,), v, dtype=n.dtype, device=n.device) for v in (start_v, end_v))
    return replace(block, n=n, volts=start, end_volts=None if start_v == end_v else end, duration_s=duration_s)


def _course(block: Lanes, states: list[torch.Tensor], volts: list[float]) -> tuple[torch.Tensor, ...]:
    """n, current and temperature of a block, (samples, cells) each."""
    count, p = len(block.index), block.parameters
    rows = []
    for n, volt in zip(states, volts, strict=True):
        v = torch.full((LANES,), volt, dtype=n.dtype, device=n.device)
        i = current_function(block.model)(v, n, p)
        rows.append([x.expand(n.shape).reshape(-1)[:count] for x in (n, i, temperature_of(v, i, p))])
    return tuple(torch.stack(x) for x in zip(*rows, strict=True))
