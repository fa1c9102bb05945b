"""Standard normal numbers, many at a time: Box and Muller's method in single precision, which the compiler vectorises.

Number p and number p + half of a row come from the p-th word of the row's stream: its low half gives the radius, its
high half the angle. The radius has 32 bits, so no number is beyond ``LARGEST``. Logarithm, sine and cosine are
polynomials, see ../normal_polynomials.py.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.kernels.cpu.random import bits64
from vcm_sweep.device.kernels.normal_polynomials import COSINE, FRACTION_BITS, LOGARITHM, ROOT_HALF_BITS, SINE
from vcm_sweep.device.seeds import GOLDEN

LARGEST = 6.77  # sqrt(-2 ln 2^-33) = 6.764, the largest magnitude

# numba takes the numbers of a tuple of a module as constants.
_L, _S, _C = LOGARITHM, SINE, COSINE
_U_GOLDEN = np.uint64(GOLDEN)
_HALF, _ONE, _MINUS_TWO = np.float32(0.5), np.float32(1), np.float32(-2)
_LN_2, _TO_UNIT = np.float32(math.log(2)), np.float32(2.0**-32)
_ROOT_HALF, _MANTISSA = np.int32(ROOT_HALF_BITS), np.int32(FRACTION_BITS)


@inlined
def _ln(u):
    """ln u of a normal positive float32: the exponent and the fraction from sqrt(1/2) to sqrt(2) apart."""
    shifted = np.float32(u).view(np.int32) - _ROOT_HALF
    exponent = shifted >> np.int32(23)
    f = np.int32((shifted & _MANTISSA) + _ROOT_HALF).view(np.float32) - _ONE
    series = _L[0] + f * (_L[1] + f * (_L[2] + f * (_L[3] + f * (_L[4] + f * (_L[5] + f * (_L[6] + f * _L[7]))))))
    square = f * f
    return np.float32(exponent) * _LN_2 + (f - _HALF * square + square * f * series)


@kernel
def fill_normal(key, numbers):
    """Set ``numbers``, float32 of even length, to standard normal numbers of the stream ``key``."""
    half = numbers.shape[0] // 2
    for p in range(half):
        word = bits64(key + np.uint64(p + 1) * _U_GOLDEN)
        low, high = np.uint32(word), np.int32(np.uint32(word >> np.uint64(32)))
        radius = np.sqrt(_MINUS_TWO * _ln((np.float32(low) + _HALF) * _TO_UNIT))
        # The high half's first bit is a sign, and the others an angle of up to a quarter turn to both sides.
        radius = radius if high >= 0 else -radius
        t = np.float32(np.int32(high << np.int32(1))) * _TO_UNIT
        s = t * t
        numbers[p] = radius * (_C[0] + s * (_C[1] + s * (_C[2] + s * (_C[3] + s * (_C[4] + s * _C[5])))))
        numbers[half + p] = radius * (t * (_S[0] + s * (_S[1] + s * (_S[2] + s * (_S[3] + s * _S[4])))))


@kernel
def fill_centred(key, numbers):
    """Set ``numbers``, float32, to uniform ones from -0.5 to 0.5 of the stream ``key``."""
    for p in range(numbers.shape[0]):
        word = bits64(key + np.uint64(p + 1) * _U_GOLDEN)
        numbers[p] = np.float32(np.int32(np.uint32(word >> np.uint64(32)))) * _TO_UNIT
