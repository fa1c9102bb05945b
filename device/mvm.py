"""The analog matrix-vector product, stacked over trials.

As aihwkit's compiled tile does it, noise management and bound management act on every vector by itself: a
sample that overflows is repeated at a smaller input scale without raising the noise of its neighbours. The
backward pass has no bound management, as there. All Gaussian noise at the output is one draw of the summed
variance: output noise, weight noise |x|^2 w_noise^2, and the read noise of the cells, sum x^2 sigma_w^2.
"""

from collections.abc import Callable

import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

type Normal = Callable[[tuple[int, ...], int], torch.Tensor]
"""Standard normal numbers of shape (trials, batch, features); the second argument counts the draws of a call."""

_UNSUPPORTED = (
    "inp_asymmetry", "out_asymmetry", "out_noise_std", "ir_drop", "out_nonlinearity", "out_nonlinearity_std",
    "slope_calibration", "v_offset_std", "r_series", "w_read_asymmetry_dtod",
)  # fmt: skip


def check_io(io: IOParameters, where: str) -> None:
    """Raise aihwkit's ConfigError for settings that the product does not model."""
    if io.mv_type not in (AnalogMVType.ONE_PASS, AnalogMVType.IDEAL):
        raise ConfigError(f"{where}.mv_type: only AnalogMVType.ONE_PASS and IDEAL are supported")
    if io.bound_management not in (BoundManagementType.NONE, BoundManagementType.ITERATIVE):
        raise ConfigError(f"{where}.bound_management: only NONE and ITERATIVE are supported")
    if io.noise_management not in (NoiseManagementType.NONE, NoiseManagementType.ABS_MAX, NoiseManagementType.CONSTANT):
        raise ConfigError(f"{where}.noise_management: only NONE, ABS_MAX and CONSTANT are supported")
    if io.w_noise_type not in (WeightNoiseType.NONE, WeightNoiseType.ADDITIVE_CONSTANT):
        raise ConfigError(f"{where}.w_noise_type: only NONE and ADDITIVE_CONSTANT are supported")
    for name in _UNSUPPORTED:
        if getattr(io, name) != 0.0:
            raise ConfigError(f"{where}.{name} = {getattr(io, name)!r} is not supported: leave 0")
    if io.inp_sto_round or io.out_sto_round:
        raise ConfigError(f"{where}: stochastic rounding of inputs and outputs is not supported")
    if io.inp_bound <= 0 or io.out_bound <= 0:
        raise ConfigError(f"{where}.inp_bound and {where}.out_bound must be above 0")


def analog_product(
    weight: torch.Tensor,
    x: torch.Tensor,
    io: IOParameters,
    normal: Normal,
    weight_sd: torch.Tensor | None = None,
    bound_management: bool = True,
) -> torch.Tensor:
    """The noisy product of every vector with its trial's weights, (trials, batch, out) float32.

    Args:
        weight: (trials, out, in) float32; pass a transposed view for the backward direction.
        x: (trials, batch, in) float32.
        io: of aihwkit, checked by :func:`check_io`.
        normal: source of the noise.
        weight_sd: (trials, out, in) float32, standard deviation of the read noise of every weight, or None.
        bound_management: False for the backward direction, as in aihwkit's compiled tile.
    """
    transposed = weight.transpose(1, 2)
    variance = None if weight_sd is None else weight_sd.square().transpose(1, 2)
    shape = (x.shape[0], x.shape[1], weight.shape[1])
    if io.is_perfect or io.mv_type == AnalogMVType.IDEAL:
        y = torch.bmm(x, transposed)
        return y if variance is None else y + torch.bmm(x.square(), variance).sqrt() * normal(shape, 0)

    scale = _input_scale(x, io)
    # A vector of zeros reads as zeros, but for the input noise of the forward direction, as in the compiled tile.
    noisy_zero = io.inp_noise > 0 and bound_management
    silent = torch.zeros_like(scale, dtype=torch.bool) if noisy_zero else scale == 0
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    iterate = bound_management and io.bound_management == BoundManagementType.ITERATIVE
    resolution = _resolution(io.inp_res) * 2 * io.inp_bound
    limit = float(io.max_bm_factor)
    if resolution > 0:
        limit = min(limit, io.max_bm_res / resolution)

    factor = torch.ones_like(scale)
    result = _one_pass(x / scale, transposed, variance, io, normal, 0)
    draw = 1
    while iterate:
        again = (result.abs() > io.out_bound).any(-1, keepdim=True) & (factor <= limit)
        if not bool(again.any()):
            break
        factor = torch.where(again, factor * 2, factor)
        repeated = _one_pass(x / (scale * factor), transposed, variance, io, normal, draw)
        result = torch.where(again, repeated, result)
        draw += 1
    y = result.clamp(-io.out_bound, io.out_bound) * (io.out_scale * scale * factor)
    return torch.where(silent, torch.zeros_like(y), y)


def _resolution(value: float) -> float:
    """aihwkit gives a resolution as a step, or above 1 as a number of steps; 0 or less is off."""
    if value <= 0:
        return 0.0
    return 1 / value if value > 1 else value


def _input_scale(x: torch.Tensor, io: IOParameters) -> torch.Tensor:
    if io.noise_management == NoiseManagementType.ABS_MAX:
        largest = x.abs().amax(-1, keepdim=True)
        return largest.clamp(max=io.nm_thres) if io.nm_thres > 0 else largest
    constant = io.nm_thres if io.noise_management == NoiseManagementType.CONSTANT and io.nm_thres > 0 else 1.0
    return torch.full_like(x[..., :1], constant)


def _quantize(values: torch.Tensor, step: float) -> torch.Tensor:
    return (values / step).round_().mul_(step) if step > 0 else values


def _one_pass(
    scaled: torch.Tensor,
    transposed: torch.Tensor,
    variance: torch.Tensor | None,
    io: IOParameters,
    normal: Normal,
    draw: int,
) -> torch.Tensor:
    """Discretised but not yet clipped output of one analog read."""
    voltages = _quantize(scaled, _resolution(io.inp_res) * 2 * io.inp_bound).clamp(-io.inp_bound, io.inp_bound)
    if io.inp_noise > 0:
        voltages = voltages + io.inp_noise * normal(tuple(voltages.shape), 2 * draw + 1)
    y = torch.bmm(voltages, transposed)
    noise: torch.Tensor | float = io.out_noise**2
    weight_noise = io.w_noise if io.w_noise_type == WeightNoiseType.ADDITIVE_CONSTANT else 0.0
    if weight_noise > 0:
        noise = noise + weight_noise**2 * voltages.square().sum(-1, keepdim=True)
    if variance is not None:
        noise = noise + torch.bmm(voltages.square(), variance)
    if isinstance(noise, torch.Tensor):
        y = y + noise.sqrt() * normal(tuple(y.shape), 2 * draw)
    elif noise > 0:
        y = torch.add(y, normal(tuple(y.shape), 2 * draw), alpha=noise**0.5)
    return _quantize(y, _resolution(io.out_res) * 2 * io.out_bound)
