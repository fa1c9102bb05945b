# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Normal and uniform numbers in single precision, those that cpu/normals.py makes of the same keys."""

from vcm_sweep.device.kernels.gpu.random import GOLDEN, bits64
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.normal_polynomials import COSINE, FRACTION_BITS, LOGARITHM, ROOT_HALF_BITS, SINE

_L0, _L1, _L2, _L3, _L4, _L5, _L6, _L7 = (tl.constexpr(float(coefficient)) for coefficient in LOGARITHM)
_S0, _S1, _S2, _S3, _S4 = (tl.constexpr(float(coefficient)) for coefficient in SINE)
_C0, _C1, _C2, _C3, _C4, _C5 = (tl.constexpr(float(coefficient)) for coefficient in COSINE)
_ROOT_HALF, _FRACTION = tl.constexpr(ROOT_HALF_BITS), tl.constexpr(FRACTION_BITS)
_LN_2, _TO_UNIT = tl.constexpr(0.6931471805599453), tl.constexpr(2.0**-32)


@triton.jit
def _ln(u):
    """ln u of a normal positive number: the exponent and the fraction from sqrt(1/2) to sqrt(2) apart."""
    shifted = u.to(tl.int32, bitcast=True) - _ROOT_HALF
    exponent = shifted >> 23
    f = ((shifted & _FRACTION) + _ROOT_HALF).to(tl.float32, bitcast=True) - 1.0
    series = ((((f * _L7 + _L6) * f + _L5) * f + _L4) * f + _L3) * f + _L2
    series = (series * f + _L1) * f + _L0
    square = f * f
    return exponent.to(tl.float32) * _LN_2 + (f - square * 0.5 + square * f * series)


@triton.jit
def _high_half(word):
    """The high half of a word as a signed number."""
    return (word >> 32).to(tl.uint32).to(tl.int32, bitcast=True)


@triton.jit
def normals(key, place, count):
    """Number ``place`` of the ``count`` standard normal numbers of a stream; two share a word."""
    half = (count + 1) // 2
    first = place < half
    pair = tl.where(first, place, place - half)
    word = bits64(key + (pair + 1).to(tl.uint64) * GOLDEN)
    low, high = (word & 0xFFFFFFFF).to(tl.float32), _high_half(word)
    radius = tl.sqrt_rn(_ln((low + 0.5) * _TO_UNIT) * -2.0)
    # The high half's first bit is a sign, and the others an angle of up to a quarter turn to both sides.
    radius = tl.where(high >= 0, radius, -radius)
    t = (high << 1).to(tl.float32) * _TO_UNIT
    s = t * t
    cosine = ((((s * _C5 + _C4) * s + _C3) * s + _C2) * s + _C1) * s + _C0
    sine = (((s * _S4 + _S3) * s + _S2) * s + _S1) * s + _S0
    return radius * tl.where(first, cosine, t * sine)


@triton.jit
def centred(key, place):
    """Number ``place`` of the uniform ones from -0.5 to 0.5 of a stream."""
    return _high_half(bits64(key + (place + 1).to(tl.uint64) * GOLDEN)).to(tl.float32) * _TO_UNIT
