"""Compiled: what the converters on both sides of an array do to the vectors of a batch, for stacked arrays.

A pass is ``begin``, then ``apply``, the product and ``read``, until no vector waits any more. All noise is a function
of the trial's key, the vector, the round of bound management and the place in the vector, whatever is read beside it.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import compiled, inlined, kernel
from vcm_sweep.device.kernels.cpu.magnitude import largest_magnitude
from vcm_sweep.device.kernels.cpu.normals import LARGEST, fill_centred, fill_normal
from vcm_sweep.device.kernels.cpu.random import bits64
from vcm_sweep.device.kernels.layout import CONSTANT_SCALE, LARGEST_SUM, LARGEST_VALUE, LEAST_SCALE, NO_SCALE
from vcm_sweep.device.seeds import GOLDEN

# Purposes of random streams.
_OUTPUT_NOISE, _INPUT_NOISE, _WEIGHT_NOISE, _INPUT_ROUNDING, _OUTPUT_ROUNDING, _PURPOSES = 0, 1, 2, 3, 4, 5

_U_GOLDEN = np.uint64(GOLDEN)
_ZERO, _ONE, _TWO, _LAST_FRACTION = np.float32(0), np.float32(1), np.float32(2), np.float32(1 << 23)
_LARGEST, _LEAST = np.float32(LARGEST), np.float32(LEAST_SCALE)

# Sums may be split over the lanes of a vector register. As in any BLAS, their last bits then depend on the machine.
_summing = compiled(error_model="numpy", _nrt=False, fastmath={"reassoc", "contract"})


@inlined
def _key(key, part):
    """The key of one more integer, as ``key_of_more`` of seeds.py makes it."""
    return bits64((key ^ np.uint64(part)) + _U_GOLDEN)


@inlined
def _stream(key, purpose, part):
    return _key(key, purpose + _PURPOSES * part)


@inlined
def _even(work, length):
    """As much of a work space as ``length`` needs, rounded up to an even number."""
    return work[: length + (length & 1)]


# What a loop needs is passed to it as a number: what it had to look up in a record, the compiler could not keep in a
# register, and would go through a vector one by one. So it does if a row might have gaps: where there are no variances,
# their array has rows of length 0, since a slice in its place would have a type for gaps.


@inlined
def _whole(steps):
    """``steps`` rounded, halves to even."""
    magnitude = abs(steps)
    # Adding 2^23 leaves no room for a fraction. From there on every float32 is whole.
    whole = (magnitude + _LAST_FRACTION) - _LAST_FRACTION if magnitude < _LAST_FRACTION else magnitude
    return whole if steps >= _ZERO else -whole


@kernel
def _discretise(values, step, by_chance, key, noise):
    """Round values to whole steps, halves to even, or up and down by chance; a step of 0 rounds nothing."""
    if step <= _ZERO:
        return
    if by_chance:
        fill_centred(key, noise)
        for i in range(values.shape[0]):
            values[i] = _whole(values[i] / step + noise[i]) * step
    else:
        for i in range(values.shape[0]):
            values[i] = _whole(values[i] / step) * step


@kernel
def _cut(values, bound):
    """Cut values to +-bound; NaN stays what it is."""
    for i in range(values.shape[0]):
        value = values[i]
        values[i] = -bound if value < -bound else bound if value > bound else value


@kernel
def _add(values, noise, spread):
    for i in range(values.shape[0]):
        values[i] += spread * noise[i]


@kernel
def _add_each(values, noise, constant, variance):
    """Add noise that has a variance of its own in each place, besides a constant one."""
    for i in range(values.shape[0]):
        values[i] += np.sqrt(constant + variance[i]) * noise[i]


@kernel
def _weaken(values, negative):
    """Multiply negative values by a factor."""
    if negative != _ONE:
        for i in range(values.shape[0]):
            values[i] *= negative if values[i] < _ZERO else _ONE


@kernel
def _largest(x):
    """The largest value; NaN if there is one."""
    largest = x[0]
    for value in x:
        if not value <= largest:
            largest = value
        if math.isnan(value):
            return value
    return largest


@kernel
def _scale(x, io, management):
    """The scale by which noise management divides a vector; ``LEAST_SCALE`` or less if it has none."""
    if management == NO_SCALE:
        return _ONE
    if management == CONSTANT_SCALE:
        return io.constant
    largest = _largest(x) if management == LARGEST_VALUE else largest_magnitude(x)
    if largest > io.threshold:
        largest = io.threshold
    if management == LARGEST_SUM:
        positive, negative = _ZERO, _ZERO
        for value in x:
            if value > _ZERO:
                positive += value
            else:
                negative -= value
        worst = max(positive, negative) * io.of_sums
        return max(largest, min(worst, largest * io.of_largest))
    return largest


@kernel
def begin(x, vectors, out):
    """Let all vectors of ``x``, (K, batch, in) float32, wait for a reading, but those that give zeros in ``out``."""
    for k in range(x.shape[0]):
        io = vectors.converters[k]
        count = 0
        for b in range(x.shape[1]):
            scale = _scale(x[k, b], io, io.management)
            if scale <= _LEAST and io.zeros:
                out[k, b] = _ZERO
                continue
            vectors.scale[k, b] = _positive(scale)
            vectors.grown[k, b] = _ONE
            vectors.rounds[k, b] = 0
            vectors.waiting[k, count] = b
            count += 1
        vectors.counts[k] = count


@inlined
def _positive(scale):
    """1 for a vector without a scale."""
    return _ONE if scale <= _LEAST else scale


@kernel
def _repeat(x, vectors, k, b, io):
    """Take the scale of the vector's next round."""
    if vectors.rounds[k, b] == 0 and io.repeated >= 0:
        vectors.scale[k, b] = _positive(_scale(x, io, io.repeated))
    else:
        vectors.scale[k, b] = vectors.scale[k, b] * _TWO
        vectors.grown[k, b] *= _TWO
    vectors.rounds[k, b] += 1


@kernel
def _drive(x, scale, key, io, noise, voltages):
    """Set the voltages that drive the array; ``noise`` is work space."""
    noise = _even(noise, x.shape[0])
    _multiply(x, _ONE / scale, voltages)
    _discretise(voltages, io.inp_step, io.inp_by_chance, _stream(key, _INPUT_ROUNDING, 0), noise)
    _cut(voltages, io.inp_bound)
    if io.inp_noise > _ZERO:
        fill_normal(_stream(key, _INPUT_NOISE, 0), noise)
        _add(voltages, noise, io.inp_noise)
    _weaken(voltages, io.inp_negative)


@_summing
def _dot(a, b):
    total = _ZERO
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@_summing
def _dot_of_square(a, b):
    total = _ZERO
    for i in range(a.shape[0]):
        total += a[i] * a[i] * b[i]
    return total


@kernel
def _surely_beyond(voltages, weight, variance, suspects, io):
    """Whether one of the outputs that were beyond the bound lately is so again, whatever the noise and the rounding.

    So the product with all other outputs need not be computed, since its readings would be thrown away. In doubt False.
    """
    constant = io.w_noise * io.w_noise * _dot(voltages, voltages) if io.w_noise > _ZERO else _ZERO
    for place in range(suspects.shape[0]):
        output = suspects[place]
        if output < 0:
            break
        y = _dot(voltages, weight[output])
        if not abs(y) * min(io.out_negative, _ONE) > io.out_bound:
            continue
        spread = constant + io.out_noise * io.out_noise
        if variance.shape[0]:
            spread += _dot_of_square(voltages, variance[output])
        # The sum's order and its last bits differ from those of the product: a hundredth of the bound is far more.
        slack = _LARGEST * math.sqrt(spread) + io.out_step + np.float32(0.01) * io.out_bound
        if abs(y) * min(io.out_negative, _ONE) - slack > io.out_bound:
            for earlier in range(place, 0, -1):
                suspects[earlier] = suspects[earlier - 1]
            suspects[0] = output
            return True
    return False


@kernel
def apply(x, vectors, weight, variance, noise, voltages):
    """Set ``voltages``, (K, parts * batch, in), for the vectors that wait, one after the other; parts first.

    A vector that is sure to be repeated goes on to its next round at once. ``weight`` and ``variance`` are (K, out, in)
    float32, or (K, 0, 0): the weights where nothing is repeated, the variances where no weight has any.
    """
    for k in range(x.shape[0]):
        io, count = vectors.converters[k], vectors.counts[k]
        foresees = io.bounded and io.both_bounds and not io.separate
        for i in range(count):
            b = vectors.waiting[k, i]
            while True:
                key = _key(_key(vectors.keys[k], b), vectors.rounds[k, b])
                _drive(x[k, b], vectors.scale[k, b], key, io, noise, voltages[k, i])
                if not (foresees and vectors.grown[k, b] <= io.most):
                    break
                if not _surely_beyond(voltages[k, i], weight[k], variance[k], vectors.suspects[k], io):
                    break
                _repeat(x[k, b], vectors, k, b, io)
            if io.separate:
                for j in range(x.shape[2]):
                    value = voltages[k, i, j]
                    voltages[k, i, j] = _ZERO if value > _ZERO else value
                    voltages[k, count + i, j] = _ZERO if value < _ZERO else value


@kernel
def _receive(y, voltages, variance, key, part, io, noise):
    """Turn a vector of products into readings that are not yet cut to the bounds; ``noise`` is work space."""
    noise = _even(noise, y.shape[0])
    constant = _ZERO
    if io.w_noise > _ZERO:
        constant = io.w_noise * io.w_noise * _dot(voltages, voltages)
    if io.out_negative != _ONE:
        # The asymmetry acts between the noise of the weights and that of the outputs.
        _add_noise(y, _stream(key, _WEIGHT_NOISE, part), constant, variance, noise)
        _weaken(y, io.out_negative)
        constant, variance = _ZERO, variance[:0]
    # Independent Gaussian noise is one draw with the sum of the variances.
    constant += io.out_noise * io.out_noise
    _add_noise(y, _stream(key, _OUTPUT_NOISE, part), constant, variance, noise)
    _discretise(y, io.out_step, io.out_by_chance, _stream(key, _OUTPUT_ROUNDING, part), noise)


@kernel
def _add_noise(y, key, constant, variance, noise):
    """Add normal noise of a constant variance, and of one of each output unless ``variance`` is empty."""
    if variance.shape[0]:
        fill_normal(key, noise)
        _add_each(y, noise, constant, variance)
    elif constant > _ZERO:
        fill_normal(key, noise)
        _add(y, noise, np.sqrt(constant))


@kernel
def _any_beyond(y, bound):
    beyond = 0
    for j in range(y.shape[0]):
        beyond |= np.int32(abs(y[j]) > bound)
    return beyond != 0


@kernel
def _beyond(y, io):
    """Whether an output is beyond a bound that is tested; NaN is not."""
    if io.both_bounds:
        return _any_beyond(y, io.out_bound)
    beyond = False
    # The engine goes through the outputs in order, and one below the negative bound resets its flag.
    for j in range(y.shape[0]):
        if y[j] > io.out_bound:
            beyond = True
        elif y[j] < -io.out_bound:
            beyond = False
    return beyond


@kernel
def _suspect(y, suspects):
    """Put the largest output of ``y`` before the others that were beyond the bound lately."""
    output = 0
    for j in range(1, y.shape[0]):
        if abs(y[j]) > abs(y[output]):
            output = j
    place = 0
    while place < suspects.shape[0] - 1 and suspects[place] != output:
        place += 1
    for earlier in range(place, 0, -1):
        suspects[earlier] = suspects[earlier - 1]
    suspects[0] = output


@kernel
def _multiply(y, factor, out):
    for j in range(y.shape[0]):
        out[j] = y[j] * factor


@kernel
def read(x, vectors, voltages, variances, noise, products, out):
    """Read the vectors that wait, and set ``out``, (K, batch, out); returns how many are to be repeated.

    ``products``, (K, parts * batch, out) float32, and ``variances`` of the same shape, or (K, parts * batch, 0), are in
    the order of ``voltages``; the products are overwritten.
    """
    left = 0
    for k in range(x.shape[0]):
        io, count = vectors.converters[k], vectors.counts[k]
        parts = 2 if io.separate else 1
        kept = 0
        for i in range(count):
            b = vectors.waiting[k, i]
            key = _key(_key(vectors.keys[k], b), vectors.rounds[k, b])
            beyond = False
            for part in range(parts):
                row = part * count + i
                _receive(products[k, row], voltages[k, row], variances[k, row], key, part, io, noise)
                beyond |= _beyond(products[k, row], io)
            if beyond and io.bounded and vectors.grown[k, b] <= io.most:
                _suspect(products[k, i], vectors.suspects[k])
                _repeat(x[k, b], vectors, k, b, io)
                vectors.waiting[k, kept] = b
                kept += 1
                continue
            for part in range(parts):
                _cut(products[k, part * count + i], io.out_bound)
            if parts == 2:
                _add(products[k, i], products[k, count + i], _ONE)
            _multiply(products[k, i], io.out_scale * vectors.scale[k, b], out[k, b])
        vectors.counts[k] = kept
        left += kept
    return left
