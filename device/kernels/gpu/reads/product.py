# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The analog product of stacked arrays in one GPU kernel, as cpu/converters.py does it around products of matrices.

A program reads some vectors of a trial in several rounds of bound management at once, each with the scale that it would
have, so that the weights are loaded once for all of them; then each vector takes the first round that did not overflow.
Only where one overflowed in all of them the next rounds follow. All noise is a function of the trial's key, the vector,
the round and the place in the vector, the same as on a CPU, whatever is read beside it.
"""

from vcm_sweep.device.kernels.gpu.random import key_of_more
from vcm_sweep.device.kernels.gpu.reads.normals import centred, normals
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import (
    CONSTANT_SCALE,
    CONVERTER_NUMBERS,
    LARGEST_SUM,
    LARGEST_VALUE,
    LEAST_SCALE,
    NO_SCALE,
)

_NO_SCALE, _CONSTANT, _SUM, _VALUE = map(tl.constexpr, (NO_SCALE, CONSTANT_SCALE, LARGEST_SUM, LARGEST_VALUE))

# Columns of the settings of a trial.
_COUNT = tl.constexpr(len(CONVERTER_NUMBERS))
(
    _THRESHOLD, _SCALE, _OF_SUMS, _OF_LARGEST, _MOST, _ZEROS, _INP_STEP, _INP_BOUND, _INP_NOISE, _INP_NEGATIVE,
    _W_NOISE, _PCM_NOISE, _OUT_NEGATIVE, _OUT_NOISE, _OUT_STEP, _OUT_BOUND, _OUT_SCALE,
) = map(tl.constexpr, range(len(CONVERTER_NUMBERS)))  # fmt: skip

# Purposes of random streams, as of cpu/converters.py.
_OUTPUT_NOISE, _INPUT_NOISE, _WEIGHT_NOISE, _INPUT_ROUNDING, _OUTPUT_ROUNDING = map(tl.constexpr, range(5))
_PURPOSES = tl.constexpr(5)
_LEAST_SCALE = tl.constexpr(LEAST_SCALE)


@triton.jit
def _whole(steps):
    """``steps`` rounded, halves to even: from 2^23 on every number is whole."""
    magnitude = tl.abs(steps)
    whole = tl.where(magnitude < 8388608.0, (magnitude + 8388608.0) - 8388608.0, magnitude)
    return tl.where(steps >= 0.0, whole, -whole)


@triton.jit
def _discretise(values, step, rounding):
    """Values rounded to whole steps; a step of 0 rounds nothing."""
    steps = tl.div_rn(values, tl.zeros_like(values) + tl.where(step > 0.0, step, 1.0)) + rounding
    return tl.where(step > 0.0, _whole(steps) * step, values)


@triton.jit
def _cut(values, bound):
    """Values cut to +-bound; NaN stays what it is."""
    return tl.where(values < -bound, -bound, tl.where(values > bound, bound, values))


@triton.jit
def _positive(scale):
    """1 for a vector without a scale."""
    return tl.where(scale <= _LEAST_SCALE, 1.0, scale)


@triton.jit
def _scales(x, there, settings, inputs, MANAGEMENT: tl.constexpr, REPEATED: tl.constexpr, LANES: tl.constexpr):
    """The scales of the first round and of the second one, (vectors,); ``x``: pointers to the vectors."""
    none = there.to(tl.float32) * 0.0
    magnitude, value, not_a_number = none.to(tl.int32), none - float("inf"), none.to(tl.int32)
    positive, negative = none, none
    for start in range(0, inputs, LANES):
        place = start + tl.arange(0, LANES)
        v = tl.load(x[:, None] + place[None, :], mask=there[:, None] & (place < inputs)[None, :], other=0.0)
        # The bits of a magnitude order as it does, and NaN is above all.
        magnitude = tl.maximum(magnitude, tl.max(v.to(tl.int32, bitcast=True) & 0x7FFFFFFF, 1))
        if MANAGEMENT == _VALUE or REPEATED == _VALUE:
            inside = (place < inputs)[None, :] & (v == v)
            value = tl.maximum(value, tl.max(tl.where(inside, v, float("-inf")), 1))
            not_a_number = tl.maximum(not_a_number, tl.max((v != v).to(tl.int32), 1))
        if MANAGEMENT == _SUM or REPEATED == _SUM:
            positive += tl.sum(tl.where(v > 0.0, v, 0.0), 1)
            negative -= tl.sum(tl.where(v > 0.0, 0.0, v), 1)
    largest = magnitude.to(tl.float32, bitcast=True)
    value = tl.where(not_a_number > 0, float("nan"), value)
    first = _managed(largest, value, positive, negative, settings, MANAGEMENT)
    second = first
    if REPEATED >= 0:
        second = _managed(largest, value, positive, negative, settings, REPEATED)
    return first, second


@triton.jit
def _managed(largest, value, positive, negative, settings, MANAGEMENT: tl.constexpr):
    """The scale by which noise management divides a vector; ``LEAST_SCALE`` or less if it has none."""
    if MANAGEMENT == _NO_SCALE:
        scale = tl.zeros_like(largest) + 1.0
    elif MANAGEMENT == _CONSTANT:
        scale = tl.zeros_like(largest) + tl.load(settings + _SCALE)
    else:
        scale = value if MANAGEMENT == _VALUE else largest
        threshold = tl.load(settings + _THRESHOLD)
        scale = tl.where(scale > threshold, threshold, scale)
        if MANAGEMENT == _SUM:
            worst = tl.maximum(positive, negative) * tl.load(settings + _OF_SUMS)
            worst = tl.minimum(worst, scale * tl.load(settings + _OF_LARGEST))
            scale = tl.where(worst > scale, worst, scale)
    return scale


@triton.jit
def _power_of_2(exponent):
    return ((tl.minimum(exponent, 127) + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def _of_round(number, first, second, REPEATED: tl.constexpr):
    """(scale, by how much bound management has made it larger) of a round of bound management."""
    if REPEATED >= 0:
        grown = _power_of_2(tl.maximum(number - 1, 0))
        scale = tl.where(number == 0, _positive(first), _positive(second) * grown)
    else:
        grown = _power_of_2(number)
        scale = _positive(first) * grown
    return scale, grown


@triton.jit
def _drive(
    v, inverse, key, part, place, inputs, settings,
    BY_CHANCE: tl.constexpr, NOISY: tl.constexpr, SEPARATE: tl.constexpr,
):  # fmt: skip
    """The voltages that drive the array, (rows, inputs), from their vectors' elements."""
    step, bound = tl.load(settings + _INP_STEP), tl.load(settings + _INP_BOUND)
    v = v * inverse[:, None]
    rounding = tl.zeros_like(v)
    if BY_CHANCE:
        rounding = centred(key_of_more(key, part * 0 + _INPUT_ROUNDING)[:, None], place[None, :])
    v = _cut(_discretise(v, step, rounding), bound)
    if NOISY:
        own = key_of_more(key, part * 0 + _INPUT_NOISE)
        v += tl.load(settings + _INP_NOISE) * normals(own[:, None], place[None, :], inputs)
        v = tl.where((place < inputs)[None, :], v, 0.0)
    v = tl.where(v < 0.0, v * tl.load(settings + _INP_NEGATIVE), v)
    if SEPARATE:
        kept = tl.where(part[:, None] > 0, v, -v) >= 0.0
        v = tl.where(kept | (v != v), v, 0.0)
    return v


@triton.jit
def _receive(y, constant, variance, key, part, place, outputs, settings, VARIED: tl.constexpr, BY_CHANCE: tl.constexpr):
    """Readings that are not yet cut to the bounds, (rows, outputs), from the products."""
    negative, noise = tl.load(settings + _OUT_NEGATIVE), tl.load(settings + _OUT_NOISE)
    step = tl.load(settings + _OUT_STEP)
    spread = tl.zeros_like(y) + constant[:, None]
    if VARIED:
        spread += variance
    if negative != 1.0:
        # The asymmetry acts between the noise of the weights and that of the outputs.
        own = key_of_more(key, part * _PURPOSES + _WEIGHT_NOISE)
        y += tl.sqrt_rn(spread) * normals(own[:, None], place[None, :], outputs)
        y = tl.where(y < 0.0, y * negative, y)
        spread = tl.zeros_like(y)
    # Independent Gaussian noise is one draw with the sum of the variances.
    spread += noise * noise
    if tl.max(tl.max(spread, 1), 0) > 0.0:
        own = key_of_more(key, part * _PURPOSES + _OUTPUT_NOISE)
        y += tl.sqrt_rn(spread) * normals(own[:, None], place[None, :], outputs)
    rounding = tl.zeros_like(y)
    if BY_CHANCE:
        rounding = centred(key_of_more(key, part * _PURPOSES + _OUTPUT_ROUNDING)[:, None], place[None, :])
    return _discretise(y, step, rounding)


@triton.jit
def read_arrays(
    x, weight, plain, read_noise, keys, call, settings, readings, variances, out, trials, batch, inputs, outputs,
    output_stride, input_stride,
    MANAGEMENT: tl.constexpr, REPEATED: tl.constexpr, BOUNDED: tl.constexpr, BOTH: tl.constexpr,
    SEPARATE: tl.constexpr, INPUT_BY_CHANCE: tl.constexpr, OUTPUT_BY_CHANCE: tl.constexpr, INPUT_NOISE: tl.constexpr,
    WEIGHT_NOISE: tl.constexpr, PCM: tl.constexpr, READ_NOISE: tl.constexpr, SLOW: tl.constexpr,
    PRECISION: tl.constexpr,
    VECTORS: tl.constexpr, ROUNDS: tl.constexpr, OUTPUTS: tl.constexpr, INPUTS: tl.constexpr,
    READ_AT_ONCE: tl.constexpr,
):  # fmt: skip
    """Each program reads some of the tiles of ``VECTORS`` vectors of a trial, one after the other."""
    PARTS: tl.constexpr = 2 if SEPARATE else 1
    ROWS: tl.constexpr = PARTS * ROUNDS * VECTORS
    program = tl.program_id(0)
    row = tl.arange(0, ROWS)
    part = row // (ROUNDS * VECTORS)
    readings += program.to(tl.int64) * ROWS * outputs
    variances += program.to(tl.int64) * ROWS * outputs
    tiles = (batch + VECTORS - 1) // VECTORS
    for tile in range(program, trials * tiles, tl.num_programs(0)):
        trial = (tile // tiles).to(tl.int64)
        own = settings + trial * _COUNT
        key_of_trial = key_of_more(tl.load(keys + trial), tl.load(call))
        most, bound = tl.load(own + _MOST), tl.load(own + _OUT_BOUND)
        out_scale, weight_noise = tl.load(own + _OUT_SCALE), tl.load(own + _W_NOISE)
        w, w_plain = weight + trial * inputs * outputs, plain + trial * inputs * outputs
        vector = (tile % tiles) * VECTORS + tl.arange(0, VECTORS)
        there = vector < batch
        vectors = x + trial * batch * inputs + vector.to(tl.int64) * inputs
        first, second = _scales(vectors, there, own, inputs, MANAGEMENT, REPEATED, INPUTS)
        # For each lane: Triton's interpreter cannot combine one truth with those of lanes.
        mute = (first <= _LEAST_SCALE) & (tl.zeros([VECTORS], tl.float32) + tl.load(own + _ZEROS) > 0.0)
        of_row = (tile % tiles) * VECTORS + row % VECTORS
        row_there = of_row < batch
        row_vectors = x + trial * batch * inputs + of_row.to(tl.int64) * inputs
        round_of = (row // VECTORS) % ROUNDS
        waiting = there
        base = 0
        while tl.max(waiting.to(tl.int32), 0) > 0:
            number = base + tl.arange(0, ROUNDS)[:, None] + (vector * 0)[None, :]
            scale, grown = _of_round(number, first[None, :], second[None, :], REPEATED)
            every = tl.broadcast_to(scale[None, :, :], (PARTS, ROUNDS, VECTORS))
            inverse = tl.div_rn(tl.full([ROWS], 1.0, tl.float32), tl.reshape(every, (ROWS,)))
            key = key_of_more(key_of_more(key_of_trial, of_row), base + round_of)
            constant = tl.zeros([ROWS], tl.float32)
            for first_output in range(0, outputs, OUTPUTS):
                output = first_output + tl.arange(0, OUTPUTS)
                inside = output < outputs
                y = tl.zeros([ROWS, OUTPUTS], tl.float32)
                variance = y
                norm = tl.zeros([ROWS], tl.float32)
                for first_input in range(0, inputs, INPUTS):
                    place = first_input + tl.arange(0, INPUTS)
                    known = place < inputs
                    v = tl.load(
                        row_vectors[:, None] + place[None, :], mask=row_there[:, None] & known[None, :], other=0.0
                    )
                    v = _drive(v, inverse, key, part, place, inputs, own, INPUT_BY_CHANCE, INPUT_NOISE, SEPARATE)
                    where = output.to(tl.int64)[None, :] * output_stride + place.to(tl.int64)[:, None] * input_stride
                    mask = inside[None, :] & known[:, None]
                    values = tl.load(w + where, mask=mask, other=0.0)
                    y = tl.dot(v, values, y, input_precision=PRECISION)
                    if WEIGHT_NOISE:
                        norm += tl.sum(v * v, 1)
                    if PCM or READ_NOISE:
                        each = tl.zeros_like(values)
                        if PCM:
                            each += tl.abs(values) * tl.load(own + _PCM_NOISE) * tl.load(own + _PCM_NOISE)
                        if READ_NOISE:
                            if SLOW:
                                values = tl.load(w_plain + where, mask=mask, other=0.0)
                            sd = tl.load(read_noise + trial * 2) * (values - tl.load(read_noise + trial * 2 + 1))
                            each += sd * sd
                        each = tl.where(mask, each, 0.0)
                        # TF32 gives variances to a thousandth.
                        variance = tl.dot(v * v, each, variance, input_precision="tf32")
                constant = norm
                at = row[:, None] * outputs + output[None, :]
                tl.store(readings + at, y, mask=inside[None, :])
                if PCM or READ_NOISE:
                    tl.store(variances + at, variance, mask=inside[None, :])
            constant *= weight_noise * weight_noise
            # What other lanes have stored is loaded now, and after the next loop once more.
            tl.debug_barrier()
            beyond, below = row * 0, row * 0
            for first_output in range(0, outputs, READ_AT_ONCE):
                output = first_output + tl.arange(0, READ_AT_ONCE)
                inside = output < outputs
                at = row[:, None] * outputs + output[None, :]
                y = tl.load(readings + at, mask=inside[None, :], other=0.0)
                variance = y
                if PCM or READ_NOISE:
                    variance = tl.load(variances + at, mask=inside[None, :], other=0.0)
                y = _receive(
                    y, constant, variance, key, part, output, outputs, own, PCM or READ_NOISE, OUTPUT_BY_CHANCE
                )
                tl.store(readings + at, y, mask=inside[None, :])
                if BOUNDED:
                    above = inside[None, :] & (y > bound)
                    under = inside[None, :] & (y < -bound)
                    # The engine goes through the outputs in order, and one below the negative bound resets its flag.
                    beyond = tl.maximum(beyond, tl.max(tl.where(above, output[None, :] + 1, 0), 1))
                    below = tl.maximum(below, tl.max(tl.where(under, output[None, :] + 1, 0), 1))
            chosen = vector * 0
            if BOUNDED:
                overflows = (beyond > 0) | (below > 0) if BOTH else beyond > below
                either = tl.max(tl.reshape(overflows.to(tl.int32), (PARTS, ROUNDS, VECTORS)), 0)
                final = (either == 0) | ~(grown <= most) | mute[None, :]
                chosen = tl.min(tl.where(final, number - base, ROUNDS), 0)
            tl.debug_barrier()
            done = waiting & (chosen < ROUNDS)
            factor = _of_round(base + chosen, first, second, REPEATED)[0] * out_scale
            for first_output in range(0, outputs, READ_AT_ONCE):
                output = first_output + tl.arange(0, READ_AT_ONCE)
                mask = done[:, None] & (output < outputs)[None, :]
                total = tl.zeros([VECTORS, READ_AT_ONCE], tl.float32)
                for one in tl.static_range(PARTS):
                    at = (one * ROUNDS + chosen) * VECTORS + tl.arange(0, VECTORS)
                    reading = tl.load(readings + at[:, None] * outputs + output[None, :], mask=mask, other=0.0)
                    total += _cut(reading, bound)
                total = tl.where(mute[:, None], 0.0, total * factor[:, None])
                at = (trial * batch + vector.to(tl.int64))[:, None] * outputs + output[None, :]
                tl.store(out + at, total, mask=mask)
            tl.debug_barrier()
            waiting = waiting & ~done
            base += ROUNDS
