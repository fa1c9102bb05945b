"""The analog matrix-vector product in torch's operations, where neither of the two others runs, stacked over trials.

As in aihwkit's compiled tile (rpu_forward_backward_pass.cpp of IBM/aihwkit, called the engine below), noise management
and bound management act on every vector by itself: a sample that overflows is repeated with smaller inputs without
raising the noise of its neighbours. The backward pass has no bound management, as in the engine. All Gaussian noise at
the output is one draw with the sum of the variances: of the output noise, of the weight noise, and of the cells' read
noise, sum x^2 sigma_w^2. Only an output asymmetry, which acts between weight noise and output noise, needs two draws.

On a CPU compiled_product.py computes the same, and gpu_product.py on a GPU with Triton; their noise has other numbers.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, TypeAlias

import torch
from torch.nn.functional import leaky_relu

from vcm_sweep.device.kernels.layout import CONSTANT_SCALE, LARGEST_SUM, LARGEST_VALUE, LEAST_SCALE, NO_SCALE
from vcm_sweep.device.tile.io_numbers import IoNumbers, Number, is_on

Normal: TypeAlias = Callable[[tuple[int, ...], int], torch.Tensor]
"""Standard normal numbers of shape (trials, batch, features); the second argument is the number of the draw."""

_Draw: TypeAlias = Callable[[torch.Tensor, int], torch.Tensor]
"""Standard normal numbers in the shape of a tensor, for one of the purposes below."""

# Round r of the bound management uses the draws of number 2 r + purpose. With these purposes no number occurs twice in
# 128 rounds, by which the doubling scale has left the range of float32.
_OUTPUT_NOISE, _INPUT_NOISE, _WEIGHT_NOISE, _INPUT_ROUNDING, _OUTPUT_ROUNDING = 0, 1, 256, 257, 512


def analog_product(
    weight: torch.Tensor, x: torch.Tensor, io: IoNumbers, normal: Normal, weight_sd: torch.Tensor | None = None
) -> torch.Tensor:
    """The noisy product of every vector with its trial's weights, (trials, batch, out) float32.

    A trial's outputs do not depend, bit by bit, on the other trials, if ``normal`` gives it the same noise.

    Args:
        weight: (trials, out, in) float32; pass a transposed view for the backward direction.
        x: (trials, batch, in) float32.
        io: settings of all trials or of each.
        normal: source of the noise; stochastic rounding uses its numbers too, made uniform.
        weight_sd: (trials, out, in) float32, standard deviation of the read noise of every weight, or None.
    """
    variance = weight_variance(weight, weight_sd, io)
    matrices = weight.transpose(1, 2), None if variance is None else variance.transpose(1, 2)
    number = io.on(x.device)

    def read(rounds: int) -> Sequence[torch.Tensor]:
        return _read(
            x / scale, *matrices, number, lambda like, purpose: normal(tuple(like.shape), 2 * rounds + purpose)
        )

    scale = _input_scale(x, number, number.management)
    silent = scale <= LEAST_SCALE
    scale = scale.masked_fill(silent, 1.0)
    readings = read(0)
    if number.bounded:
        overflow, factor, rounds = _overflow(readings, number), 1.0, 1
        largest = float(io.converters["most"].max())
        # One factor serves all vectors, since those that still overflow have been through the same rounds.
        while factor <= largest and bool((overflow := _repeated(overflow, factor, number)).any()):
            if rounds == 1 and number.repeated >= 0:
                repeated_scale = _input_scale(x, number, number.repeated)
                repeated_scale = repeated_scale.masked_fill(repeated_scale <= LEAST_SCALE, 1.0)
            else:
                repeated_scale, factor = scale * 2, factor * 2
            scale = torch.where(overflow, repeated_scale, scale)
            repeated = read(rounds)
            readings = [torch.where(overflow, new, old) for new, old in zip(repeated, readings, strict=True)]
            overflow = overflow & _overflow(repeated, number)
            rounds += 1
    y = reduce(torch.add, [reading.clamp_(-number.out_bound, number.out_bound) for reading in readings])
    y.mul_(number.out_scale * scale)
    return y.masked_fill_(silent & (number.zeros > 0), 0.0)


def _repeated(overflow: torch.Tensor, factor: float, number: Any) -> torch.Tensor:
    """Those of the overflowing vectors that may be repeated after their scale has grown by ``factor``."""
    return overflow & (number.most >= factor) if isinstance(number.most, torch.Tensor) else overflow


def _input_scale(x: torch.Tensor, number: Any, management: int) -> torch.Tensor:
    """The scale by which noise management divides each vector, (trials, batch, 1); at most ``LEAST_SCALE`` for none."""
    if management in (NO_SCALE, CONSTANT_SCALE):
        return torch.ones_like(x[..., :1]) * (number.constant if management == CONSTANT_SCALE else 1.0)
    largest = (x if management == LARGEST_VALUE else x.abs()).amax(-1, keepdim=True)
    if isinstance(number.threshold, torch.Tensor) or number.threshold < math.inf:
        largest = largest.clamp(max=number.threshold)
    if management != LARGEST_SUM:
        return largest
    one_sign = torch.maximum(x.clamp(min=0).sum(-1, keepdim=True), -x.clamp(max=0).sum(-1, keepdim=True))
    return torch.maximum(largest, torch.minimum(one_sign * number.of_sums, largest * number.of_largest))


def weight_variance(weight: torch.Tensor, weight_sd: torch.Tensor | None, io: IoNumbers) -> torch.Tensor | None:
    """Variance of every weight at a read, (trials, out, in): the cells' read noise, and that of aihwkit's PCM_READ."""
    variance = None if weight_sd is None else weight_sd.square()
    noise = io.on(weight.device).pcm_noise
    if is_on(noise):
        pcm = weight.abs().mul_(noise**2)
        variance = pcm if variance is None else variance.add_(pcm)
    return variance


def _read(
    scaled: torch.Tensor, transposed: torch.Tensor, variance: torch.Tensor | None, number: Any, draw: _Draw
) -> Sequence[torch.Tensor]:
    """Discretised but not yet clipped outputs: two if those of negative and positive inputs are added digitally.

    POS_NEG_SEPARATE adds the two before noise and converter. Since every input belongs to one of the two, their weight
    noise adds up to that of a single pass, and they are computed as one.
    """
    voltages = _voltages(scaled, number, draw)
    if number.separate:
        voltages = torch.cat([voltages.clamp(max=0), voltages.clamp(min=0)], 1)
    y = _outputs(voltages, transposed, variance, number, draw)
    rounding = _centred_uniform(draw(y, _OUTPUT_ROUNDING)) if number.out_by_chance else None
    y = _quantize_(y, number.out_step, rounding)
    return y.chunk(2, 1) if number.separate else (y,)


def _voltages(scaled: torch.Tensor, number: Any, draw: _Draw) -> torch.Tensor:
    """The voltages that drive the array, from the scaled inputs; overwrites ``scaled``."""
    rounding = _centred_uniform(draw(scaled, _INPUT_ROUNDING)) if number.inp_by_chance else None
    voltages = _quantize_(scaled, number.inp_step, rounding).clamp_(-number.inp_bound, number.inp_bound)
    if is_on(number.inp_noise):
        voltages += number.inp_noise * draw(voltages, _INPUT_NOISE)
    return _weaken_negative(voltages, number.inp_negative)


def _outputs(
    voltages: torch.Tensor, transposed: torch.Tensor, variance: torch.Tensor | None, number: Any, draw: _Draw
) -> torch.Tensor:
    """The signals that arrive at the output converters."""
    y = torch.bmm(voltages, transposed)
    noise: Number = 0.0
    if is_on(number.w_noise):
        noise = number.w_noise**2 * voltages.square().sum(-1, keepdim=True)
    if variance is not None:
        noise = noise + torch.bmm(voltages.square(), variance)
    if is_on(number.out_negative - 1.0):
        if isinstance(noise, torch.Tensor):
            y += noise.sqrt() * draw(y, _WEIGHT_NOISE)
            noise = 0.0
        y = _weaken_negative(y, number.out_negative)
    noise = noise + number.out_noise**2
    if isinstance(noise, torch.Tensor):
        y += noise.sqrt() * draw(y, _OUTPUT_NOISE)
    elif noise > 0:
        y.add_(draw(y, _OUTPUT_NOISE), alpha=noise**0.5)
    return y


def _weaken_negative(values: torch.Tensor, factor: Number) -> torch.Tensor:
    if isinstance(factor, torch.Tensor):
        return torch.where(values < 0, values * factor, values)
    weakened: torch.Tensor = leaky_relu(values, factor) if factor != 1 else values
    return weakened


def _centred_uniform(normal: torch.Tensor) -> torch.Tensor:
    """Uniform numbers from -0.5 to 0.5, made from normal ones by their distribution function."""
    uniform: torch.Tensor = torch.special.ndtr(normal)
    return uniform.sub_(0.5)


def _quantize_(values: torch.Tensor, step: Number, rounding: torch.Tensor | None) -> torch.Tensor:
    """The values rounded to whole steps, overwritten; ``rounding`` (-0.5 to 0.5), if given, makes it stochastic."""
    if not is_on(step):
        return values
    steps = values / step if isinstance(step, torch.Tensor) else values.div_(step)
    if rounding is not None:
        steps += rounding
    steps = steps.round_().mul_(step)
    return torch.where(step > 0, steps, values) if isinstance(step, torch.Tensor) else steps


def _overflow(readings: Sequence[torch.Tensor], number: Any) -> torch.Tensor:
    """Which vectors have an output beyond a bound that is tested, (trials, batch, 1) bool."""
    return reduce(torch.logical_or, [_exceeds_bound(reading, number) for reading in readings])


def _exceeds_bound(y: torch.Tensor, number: Any) -> torch.Tensor:
    bound: Number = number.out_bound
    if number.both_bounds:
        # NaN does not count as an overflow, and must not hide one in the same vector. The maximum is three times as
        # fast as any().
        return torch.gt(y.abs().nan_to_num_(0.0).amax(-1, keepdim=True), bound)
    # The engine goes through the outputs in order, and one below the negative bound resets its flag: only overflows
    # after the last such output count.
    place = torch.arange(1, y.shape[-1] + 1, device=y.device)
    last_above = ((y > bound) * place).amax(-1, keepdim=True)
    last_below = ((y < -bound) * place).amax(-1, keepdim=True)
    return last_above > last_below
