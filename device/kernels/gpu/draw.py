# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Drawing, the first GPU kernel of an update: the slots in which each row and column fires, or its share of pulses."""

from vcm_sweep.device.kernels.gpu.random import COLUMNS, ROWS, bernoulli_mask, key_of_more, stream
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import MEAN_COUNT, STOCHASTIC

_STOCHASTIC, _MEAN_COUNT = tl.constexpr(STOCHASTIC), tl.constexpr(MEAN_COUNT)


@triton.jit
def _largest(values, count, LANES: tl.constexpr):
    """Largest magnitude of a vector, float64; 0 if any value is not finite."""
    largest = tl.zeros([LANES], tl.float32)
    finite = tl.full([LANES], 1, tl.int32)
    for start in range(0, count, LANES):
        at = start + tl.arange(0, LANES)
        magnitude = tl.abs(tl.load(values + at, mask=at < count, other=0.0))
        finite = tl.where(magnitude < float("inf"), finite, 0)
        largest = tl.where(magnitude > largest, magnitude, largest)
    return tl.where(tl.min(finite, 0) > 0, tl.max(largest, 0), 0.0).to(tl.float64)


@triton.jit
def _pulse_budget(
    x_max, d_max, rate, granularity, desired_bl,
    BOUNDED: tl.constexpr, BL_MANAGEMENT: tl.constexpr, MANAGEMENT: tl.constexpr,
):  # fmt: skip
    """(slots, factor of the rows, factor of the columns) of one sample; aihwkit's update management."""
    fires = (rate > 0.0) & (x_max > 0.0) & (d_max > 0.0)
    rate = tl.where(fires, rate, 1.0)
    floor = granularity * granularity
    x_max, d_max = tl.maximum(x_max, floor), tl.maximum(d_max, floor)
    needed = rate * x_max * d_max / granularity
    slots = tl.zeros_like(rate) + desired_bl
    if BL_MANAGEMENT:
        slots = tl.minimum(tl.ceil(needed), slots)
    scale = tl.sqrt(rate / (granularity * slots))
    ratio = tl.zeros_like(rate) + 1.0
    if MANAGEMENT:
        # As in aihwkit 1.2: if even the longest train is too short, the gradient alone is clipped.
        d_max = tl.where(needed > slots, d_max * (slots / needed), d_max)
        ratio = tl.sqrt(x_max / d_max)
    row_factor, column_factor = scale * ratio, scale / ratio
    if not BOUNDED:
        long = granularity * desired_bl < rate
        slots = tl.where(long, tl.maximum(tl.ceil(rate / granularity), 1.0), slots)
        row_factor, column_factor = tl.where(long, 1.0, row_factor), tl.where(long, 1.0, column_factor)
    return slots, tl.where(fires, row_factor, 0.0), tl.where(fires, column_factor, 0.0)


@triton.jit
def _fire(
    values, lines, count, key, side, sample, factor, slots,
    RESOLUTION: tl.constexpr, KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Draw the slots in which each line of one sample fires, or round its share of the pulses; whether any does."""
    fires = 0
    for start in range(0, count, LANES):
        line = start + tl.arange(0, LANES)
        live = line < count
        p = tl.abs(tl.load(values + line, mask=live, other=0.0)).to(tl.float64) * factor
        # If a value is not finite, the factor is 0 and p may be NaN, which becomes 0 here.
        p = tl.where(p > 0.0, p, 0.0)
        if RESOLUTION > 0.0:
            p = tl.floor(p / RESOLUTION + 0.5) * RESOLUTION
        if KIND == _STOCHASTIC:
            part = line.to(tl.int64) * 0
            # Many neighbours are zeros, as the borders of images are.
            if tl.max(p, 0) > 0.0:
                part = bernoulli_mask(stream(key, side, sample * count + line + 1), p, slots.to(tl.int64))
        else:
            part = tl.minimum(p, 1.0)
            if KIND == _MEAN_COUNT:
                part = tl.floor(part * slots + 0.5) / slots
        tl.store(lines + line, part, mask=live)
        fires = tl.maximum(fires, tl.max((live & (part != 0)).to(tl.int32), 0))
    return fires


@triton.jit
def draw_lines(
    x, d, streams, call, learning_rates, lengths, granularities, rows, columns, slots_of, batch, inputs, outputs,
    D_RESOLUTION: tl.constexpr, X_RESOLUTION: tl.constexpr,
    BOUNDED: tl.constexpr, BL_MANAGEMENT: tl.constexpr, MANAGEMENT: tl.constexpr,
    KIND: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """One program per (trial, sample): what each row and column contributes to the pulses."""
    program = tl.program_id(0).to(tl.int64)
    trial, sample = program // batch, program % batch
    x += program * inputs
    d += program * outputs
    slots, row_factor, column_factor = _pulse_budget(
        _largest(x, inputs, LANES), _largest(d, outputs, LANES), tl.load(learning_rates + trial),
        tl.load(granularities + trial), tl.load(lengths + trial), BOUNDED, BL_MANAGEMENT, MANAGEMENT,
    )  # fmt: skip
    tl.store(slots_of + program, slots)
    key = key_of_more(tl.load(streams + trial), tl.load(call))
    rows += program * outputs
    columns += program * inputs
    # Columns of a sample in which no row fires are looked at by nobody.
    if _fire(d, rows, outputs, key, ROWS, sample, row_factor, slots, D_RESOLUTION, KIND, LANES) > 0:
        _fire(x, columns, inputs, key, COLUMNS, sample, column_factor, slots, X_RESOLUTION, KIND, LANES)
