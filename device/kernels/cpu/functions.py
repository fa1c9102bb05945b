"""Compiled: exp, ln and asin by arithmetic alone, so that a loop over lanes becomes vector instructions.

numba calls the C library for ``math.exp`` and ``math.log``, one number at a time. These take several numbers at once,
to 1e-14 for arguments as they occur here.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from vcm_sweep.device.kernels.cpu.compiling import lane

_LOG2_E = 1.4426950408889634
# ln 2 in two parts, so that a multiple of the first is exact.
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_LARGEST = 708.0  # of an argument of exp
_ROUND = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to a whole number, which stands in the lowest bits
_HALF_ROOT = 0x3FE6A09E667F3BCD  # sqrt(1/2)


@intrinsic  # type: ignore[untyped-decorator]
def _bits(_context: Any, x: Any) -> Any:
    """The 64 bits of a float64."""
    return types.int64(types.float64), lambda _, builder, __, args: builder.bitcast(args[0], ir.IntType(64))


@intrinsic  # type: ignore[untyped-decorator]
def _from_bits(_context: Any, x: Any) -> Any:
    """The float64 of 64 bits."""
    return types.float64(types.int64), lambda _, builder, __, args: builder.bitcast(args[0], ir.DoubleType())


@lane
def exp(x):
    """e^x, with x cut to +-708."""
    x = min(max(x, -_LARGEST), _LARGEST)
    shifted = x * _LOG2_E + _ROUND
    k = shifted - _ROUND
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    # The Taylor series to r^11, |r| < 0.35: its next term is 2e-14 of 1e-1.
    p = 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return _from_bits(_bits(p) + (_bits(shifted) << 52))


@lane
def log(x):
    """ln x of a positive normal number; of others a number without meaning."""
    bits = _bits(x)
    exponent = (bits - _HALF_ROOT) >> 52
    m = _from_bits(bits - (exponent << 52))
    # ln m = 2 atanh((m - 1) / (m + 1)), m within sqrt(1/2) .. sqrt(2).
    f = (m - 1.0) / (m + 1.0)
    w = f * f
    p = 1 / 19
    p = p * w + 1 / 17
    p = p * w + 1 / 15
    p = p * w + 1 / 13
    p = p * w + 1 / 11
    p = p * w + 1 / 9
    p = p * w + 1 / 7
    p = p * w + 1 / 5
    p = p * w + 1 / 3
    e = exponent * 1.0
    return e * _LN2_HIGH + (2.0 * f + (2.0 * f * w * p + e * _LN2_LOW))


@lane
def asin(x):
    """asin x of 0 <= x <= 1, by the rational functions of Sun's fdlibm."""
    half = x > 0.5
    w = 0.5 * (1.0 - x) if half else x * x
    y = math.sqrt(w)
    p = 3.47933107596021167570e-05
    p = p * w + 7.91534994289814532176e-04
    p = p * w - 4.00555345006794114027e-02
    p = p * w + 2.01212532134862925881e-01
    p = p * w - 3.25565818622400915405e-01
    p = p * w + 1.66666666666666657415e-01
    q = 7.70381505559019352791e-02
    q = q * w - 6.88283971605453293030e-01
    q = q * w + 2.02094576023350569471e00
    q = q * w - 2.40339491173441421878e00
    q = q * w + 1.0
    arc = y + y * (p * w / q)
    return 0.5 * math.pi - 2.0 * arc if half else arc
