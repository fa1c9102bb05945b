"""The analog matrix-vector product, stacked over trials.

As in aihwkit's compiled tile (rpu_forward_backward_pass.cpp of IBM/aihwkit, called the engine below), noise management
and bound management act on every vector by itself: a sample that overflows is repeated with smaller inputs without
raising the noise of its neighbours. The backward pass has no bound management, as in the engine. All Gaussian noise at
the output is one draw with the sum of the variances: of the output noise, of the weight noise, and of the cells' read
noise, sum x^2 sigma_w^2. Only an output asymmetry, which acts between weight noise and output noise, needs two draws.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np
import torch
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from torch.nn.functional import leaky_relu

Normal: TypeAlias = Callable[[tuple[int, ...], int], torch.Tensor]
"""Standard normal numbers of shape (trials, batch, features); the second argument is the number of the draw."""

_Draw: TypeAlias = Callable[[torch.Tensor, int], torch.Tensor]
"""Standard normal numbers in the shape of a tensor, for one of the purposes below."""

# Round r of the bound management uses the draws of number 2 r + purpose. With these purposes no number occurs twice in
# 128 rounds, by which the doubling scale has left the range of float32.
_OUTPUT_NOISE, _INPUT_NOISE, _WEIGHT_NOISE, _INPUT_ROUNDING, _OUTPUT_ROUNDING = 0, 1, 256, 257, 512

# The engine's nm_assumed_wmax, which aihwkit's Python parameters cannot set.
_ASSUMED_W_MAX = 0.6


def analog_product(
    weight: torch.Tensor,
    x: torch.Tensor,
    io: IOParameters,
    normal: Normal,
    weight_sd: torch.Tensor | None = None,
    bound_management: bool = True,
) -> torch.Tensor:
    """The noisy product of every vector with its trial's weights, (trials, batch, out) float32.

    A trial's outputs do not depend, bit by bit, on the other trials, if ``normal`` gives it the same noise.

    Args:
        weight: (trials, out, in) float32; pass a transposed view for the backward direction.
        x: (trials, batch, in) float32.
        io: aihwkit's settings, checked by :func:`vcm_sweep.device.tile.settings.check_io`.
        normal: source of the noise; stochastic rounding uses its numbers too, made uniform.
        weight_sd: (trials, out, in) float32, standard deviation of the read noise of every weight, or None.
        bound_management: False for the backward direction, as in aihwkit's compiled tile.
    """
    transposed, variance = weight.transpose(1, 2), _weight_variance(weight, weight_sd, io)
    if _is_perfect(io):
        y = torch.bmm(x, transposed)
        if variance is not None:
            y += torch.bmm(x.square(), variance).sqrt() * normal(tuple(y.shape), _OUTPUT_NOISE)
        return y.mul_(io.out_scale)

    def read(rounds: int) -> Sequence[torch.Tensor]:
        return _read(
            x / scale, transposed, variance, io, lambda like, purpose: normal(tuple(like.shape), 2 * rounds + purpose)
        )

    scale = _input_scale(x, io, io.noise_management)
    silent = scale <= 0
    scale = scale.masked_fill(silent, 1.0)
    readings = read(0)
    if bound_management and io.bound_management != BoundManagementType.NONE:
        overflow, factor, rounds = _overflow(readings, io), 1.0, 1
        worst_case, largest = _second_round_management(io), _largest_factor(io)
        # One factor serves all vectors, since those that still overflow have been through the same rounds.
        while factor <= largest and bool(overflow.any()):
            if rounds == 1 and worst_case is not None:
                repeated_scale = _input_scale(x, io, worst_case)
                repeated_scale = repeated_scale.masked_fill(repeated_scale <= 0, 1.0)
            else:
                repeated_scale, factor = scale * 2, factor * 2
            scale = torch.where(overflow, repeated_scale, scale)
            repeated = read(rounds)
            readings = [torch.where(overflow, new, old) for new, old in zip(repeated, readings, strict=True)]
            overflow = overflow & _overflow(repeated, io)
            rounds += 1
    y = reduce(torch.add, [reading.clamp_(-io.out_bound, io.out_bound) for reading in readings])
    y.mul_(io.out_scale * scale)
    # A vector without a scale (all zeros) gives zeros, unless input noise is added in the forward pass, as in the
    # engine.
    return y if io.inp_noise > 0 and bound_management else y.masked_fill_(silent, 0.0)


def _is_perfect(io: IOParameters) -> bool:
    return bool(io.is_perfect or io.mv_type == AnalogMVType.IDEAL)


def _resolution(value: float) -> float:
    """The step of a converter relative to its range. aihwkit gives it as a step up to 1, as a number of steps above 1;
    0 or less switches the converter off."""
    if value <= 0:
        return 0.0
    return 1 / value if value > 1 else value


def _input_step(io: IOParameters) -> float:
    return _resolution(io.inp_res) * 2 * float(io.inp_bound)


def _output_step(io: IOParameters) -> float:
    """Step of the output converter, in single precision as in the engine.

    The precision matters: with the default of 510 steps over +-12 the largest code is 12.000001, and a reading there
    counts as an overflow.
    """
    return float(np.float32(_resolution(io.out_res)) * np.float32(2 * io.out_bound))


def _input_scale(x: torch.Tensor, io: IOParameters, management: NoiseManagementType) -> torch.Tensor:
    """The scale by which noise management divides each vector, (trials, batch, 1); 0 or less if it has none."""
    if management in (NoiseManagementType.NONE, NoiseManagementType.CONSTANT):
        constant = management == NoiseManagementType.CONSTANT and io.nm_thres > 0
        return torch.full_like(x[..., :1], io.nm_thres if constant else 1.0)
    largest = (x if management == NoiseManagementType.MAX else x.abs()).amax(-1, keepdim=True)
    if io.nm_thres > 0:
        largest = largest.clamp(max=io.nm_thres)
    if management != NoiseManagementType.ABS_MAX_NP_SUM:
        return largest
    # The largest output if the weights of all inputs of one sign were _ASSUMED_W_MAX, in units of the output bound.
    one_sign = torch.maximum(x.clamp(min=0).sum(-1, keepdim=True), -x.clamp(max=0).sum(-1, keepdim=True))
    worst = one_sign * (_ASSUMED_W_MAX / io.out_bound)
    if _input_step(io) > 0:
        worst = torch.minimum(worst, largest * (io.max_bm_res / _input_step(io)))
    return torch.maximum(largest, worst)


def _largest_factor(io: IOParameters) -> float:
    """The largest factor of bound management: a vector that overflows at a larger one is not repeated."""
    by_resolution = io.max_bm_res / _input_step(io) if _input_step(io) > 0 else float("inf")
    return float(min(io.max_bm_factor, by_resolution))


def _second_round_management(io: IOParameters) -> NoiseManagementType | None:
    """The noise management of the second round under ITERATIVE_WORST_CASE; None if the scale doubles from the start.

    Without noise management the engine has no other scale, so its second round repeats the first.
    """
    if io.bound_management != BoundManagementType.ITERATIVE_WORST_CASE:
        return None
    if io.noise_management == NoiseManagementType.ABS_MAX_NP_SUM:
        return None
    none = io.noise_management == NoiseManagementType.NONE
    return NoiseManagementType.NONE if none else NoiseManagementType.ABS_MAX_NP_SUM


def _weight_variance(weight: torch.Tensor, weight_sd: torch.Tensor | None, io: IOParameters) -> torch.Tensor | None:
    """Variance of every weight at a read, (trials, in, out): the cells' read noise, and that of aihwkit's PCM_READ."""
    variance = None if weight_sd is None else weight_sd.square()
    if io.w_noise_type == WeightNoiseType.PCM_READ and io.w_noise > 0 and not _is_perfect(io):
        pcm = weight.abs().mul_(io.w_noise**2)
        variance = pcm if variance is None else variance.add_(pcm)
    return None if variance is None else variance.transpose(1, 2)


def _read(
    scaled: torch.Tensor,
    transposed: torch.Tensor,
    variance: torch.Tensor | None,
    io: IOParameters,
    draw: _Draw,
) -> Sequence[torch.Tensor]:
    """Discretised but not yet clipped outputs: two if those of negative and positive inputs are added digitally.

    POS_NEG_SEPARATE adds the two before noise and converter. Since every input belongs to one of the two, their weight
    noise adds up to that of a single pass, and they are computed as one.
    """
    voltages = _voltages(scaled, io, draw)
    separate = io.mv_type == AnalogMVType.POS_NEG_SEPARATE_DIGITAL_SUM
    if separate:
        voltages = torch.cat([voltages.clamp(max=0), voltages.clamp(min=0)], 1)
    y = _outputs(voltages, transposed, variance, io, draw)
    rounding = _centred_uniform(draw(y, _OUTPUT_ROUNDING)) if io.out_sto_round else None
    _quantize_(y, _output_step(io), rounding)
    return y.chunk(2, 1) if separate else (y,)


def _voltages(scaled: torch.Tensor, io: IOParameters, draw: _Draw) -> torch.Tensor:
    """The voltages that drive the array, from the scaled inputs; overwrites ``scaled``."""
    rounding = _centred_uniform(draw(scaled, _INPUT_ROUNDING)) if io.inp_sto_round else None
    voltages = _quantize_(scaled, _input_step(io), rounding).clamp_(-io.inp_bound, io.inp_bound)
    if io.inp_noise > 0:
        voltages += io.inp_noise * draw(voltages, _INPUT_NOISE)
    return _weaken_negative(voltages, io.inp_asymmetry) if io.inp_asymmetry != 0 else voltages


def _outputs(
    voltages: torch.Tensor,
    transposed: torch.Tensor,
    variance: torch.Tensor | None,
    io: IOParameters,
    draw: _Draw,
) -> torch.Tensor:
    """The signals that arrive at the output converters."""
    y = torch.bmm(voltages, transposed)
    noise: torch.Tensor | float = 0.0
    if io.w_noise_type == WeightNoiseType.ADDITIVE_CONSTANT and io.w_noise > 0:
        noise = io.w_noise**2 * voltages.square().sum(-1, keepdim=True)
    if variance is not None:
        noise = noise + torch.bmm(voltages.square(), variance)
    if io.out_asymmetry > 0:
        if isinstance(noise, torch.Tensor):
            y += noise.sqrt() * draw(y, _WEIGHT_NOISE)
            noise = 0.0
        y = _weaken_negative(y, io.out_asymmetry)
    noise = noise + io.out_noise**2
    if isinstance(noise, torch.Tensor):
        y += noise.sqrt() * draw(y, _OUTPUT_NOISE)
    elif noise > 0:
        y.add_(draw(y, _OUTPUT_NOISE), alpha=noise**0.5)
    return y


def _weaken_negative(values: torch.Tensor, asymmetry: float) -> torch.Tensor:
    weakened: torch.Tensor = leaky_relu(values, 1 - asymmetry)
    return weakened


def _centred_uniform(normal: torch.Tensor) -> torch.Tensor:
    """Uniform numbers from -0.5 to 0.5, made from normal ones by their distribution function."""
    uniform: torch.Tensor = torch.special.ndtr(normal)
    return uniform.sub_(0.5)


def _quantize_(values: torch.Tensor, step: float, rounding: torch.Tensor | None) -> torch.Tensor:
    """Round the values to whole steps, in place; ``rounding`` (-0.5 to 0.5), if given, makes it stochastic."""
    if step <= 0:
        return values
    steps = values.div_(step)
    if rounding is not None:
        steps += rounding
    return steps.round_().mul_(step)


def _overflow(readings: Sequence[torch.Tensor], io: IOParameters) -> torch.Tensor:
    """Which vectors have an output beyond a bound that is tested, (trials, batch, 1) bool."""
    return reduce(torch.logical_or, [_exceeds_bound(reading, io) for reading in readings])


def _exceeds_bound(y: torch.Tensor, io: IOParameters) -> torch.Tensor:
    bound = float(io.out_bound)
    if io.bm_test_negative_bound:
        # NaN does not count as an overflow, and must not hide one in the same vector. The maximum is three times as
        # fast as any().
        return y.abs().nan_to_num_(0.0).amax(-1, keepdim=True) > bound
    # The engine goes through the outputs in order, and one below the negative bound resets its flag: only overflows
    # after the last such output count.
    place = torch.arange(1, y.shape[-1] + 1, device=y.device)
    last_above = ((y > bound) * place).amax(-1, keepdim=True)
    last_below = ((y < -bound) * place).amax(-1, keepdim=True)
    return last_above > last_below
