"""Elasticities of one cell: by how many per cent its rate or read current changes when a parameter changes by one.

The derivatives come from automatic differentiation through the logarithm of the rate. In this form they neither
overflow nor lose digits, although the rate itself spans thirty decades.
"""

from collections.abc import Callable, Sequence

import torch

from vcm_sweep.device.errors import DeviceError
from vcm_sweep.device.physics.constants import READ_VOLTAGE_V
from vcm_sweep.device.physics.currents import checked_state, current_function
from vcm_sweep.device.physics.kinetics import bound_factor, log_speed
from vcm_sweep.device.physics.parameters import CellParameters, Value


def elasticities(
    n: Value,
    voltage_v: Value,
    parameters: CellParameters | None = None,
    model: str = "full",
    names: Sequence[str] | None = None,
) -> dict[str, torch.Tensor]:
    """d ln|dN/dt| / d ln p of every parameter p, dimensionless.

    Args:
        n: vacancy concentration, 1e26/m3; broadcasts against ``voltage_v`` and the parameters.
        voltage_v: V, not 0; negative is SET.
        parameters: where the derivative is taken; default the nominal cell.
        model: of the current, see :func:`vcm_sweep.device.current`.
        names: some of ``CellParameters.names()``; default all.

    Returns:
        ``{name: float64 of the broadcast shape}``. The bound factor F is part of the rate.

    Raises:
        DeviceError: an unknown name, or a cell that does not move (V = 0, at its bound) or whose rate is not
            finite.

    Example:
        >>> slope = elasticities(0.5, -0.342, model="explicit", names=["nu_0", "r_nominal"])
        >>> round(slope["nu_0"].item(), 12)
        1.0
    """

    def log_rate(v: torch.Tensor, state: torch.Tensor, p: CellParameters) -> torch.Tensor:
        return log_speed(v, state, p, model) + torch.log(bound_factor(v, state, p))

    return _derivatives(log_rate, n, voltage_v, parameters, names, "does not move")


def read_elasticities(
    n: Value,
    parameters: CellParameters | None = None,
    model: str = "full",
    names: Sequence[str] | None = None,
    voltage_v: Value = READ_VOLTAGE_V,
) -> dict[str, torch.Tensor]:
    """d ln|I| / d ln p of every parameter p at the read voltage; arguments as in :func:`elasticities`.

    >>> read_elasticities(0.5, model="explicit", names=["r"])["r"].item()  # the explicit current ignores parameters
    0.0
    """

    def log_current(v: torch.Tensor, state: torch.Tensor, p: CellParameters) -> torch.Tensor:
        return torch.log(current_function(model)(v, state, p).abs())

    return _derivatives(log_current, n, voltage_v, parameters, names, "has no current")


def _derivatives(
    function: Callable[[torch.Tensor, torch.Tensor, CellParameters], torch.Tensor],
    n: Value,
    voltage_v: Value,
    parameters: CellParameters | None,
    names: Sequence[str] | None,
    failure: str,
) -> dict[str, torch.Tensor]:
    """p d(function)/dp for every named parameter p; ``failure`` says in the error what a non-finite value means."""
    v, state = checked_state(voltage_v, n, parameters)
    parameters = parameters or CellParameters()
    wanted = list(names) if names is not None else CellParameters.names()
    for name in wanted:
        if name not in CellParameters.names():
            raise DeviceError(f"unknown cell parameter {name!r}: one of {', '.join(CellParameters.names())}")
    values = {name: torch.as_tensor(getattr(parameters, name), dtype=v.dtype, device=v.device) for name in wanted}
    shape = torch.broadcast_shapes(
        v.shape, *(torch.as_tensor(getattr(parameters, name)).shape for name in CellParameters.names())
    )
    # Every cell gets its own copy of each parameter as a leaf of the graph. The gradient of the sum over cells is then
    # each cell's own derivative.
    leaves = {name: value.detach().expand(shape).clone().requires_grad_() for name, value in values.items()}
    v, state = v.expand(shape), state.expand(shape)
    with torch.enable_grad():
        output = function(v, state, parameters.replace(**leaves))
        bad = ~torch.isfinite(output)
        if bool(bad.any()):
            raise DeviceError(
                f"{int(bad.sum())} of {output.numel()} cells have no elasticity, the first at n = "
                f"{state[bad][0].item():g}, {v[bad][0].item():g} V: it {failure}, or its field is beyond the model; "
                "give a voltage and n at which every cell does"
            )
        if not output.requires_grad:  # it depends on none of the named parameters
            return {name: torch.zeros(shape, dtype=v.dtype, device=v.device) for name in wanted}
        gradients = torch.autograd.grad(output.sum(), list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else (leaf * gradient).detach()
        for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True)
    }
