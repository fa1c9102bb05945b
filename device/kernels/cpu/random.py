"""Counter-based random numbers for compiled kernels, and the seeds of torch generators.

SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the state is a counter, so a stream is fully described by its key,
and a trial draws the same numbers whatever runs beside it.
"""

import math

import numpy as np

from vcm_sweep.device.kernels.cpu.compiling import inlined, kernel
from vcm_sweep.device.seeds import GOLDEN

_U_GOLDEN = np.uint64(GOLDEN)
_U_A = np.uint64(0xBF58476D1CE4E5B9)
_U_B = np.uint64(0x94D049BB133111EB)


@inlined
def advance(state):
    """The next state of a stream."""
    return state + _U_GOLDEN


@inlined
def bits64(state):
    """64 random bits from one state."""
    z = state
    z = (z ^ (z >> np.uint64(30))) * _U_A
    z = (z ^ (z >> np.uint64(27))) * _U_B
    return z ^ (z >> np.uint64(31))


@inlined
def symmetric_uniform(state):
    """U(-1, 1) from one state."""
    return np.float64(bits64(state) >> np.uint64(11)) * (2.0 / 9007199254740992.0) - 1.0


@kernel
def truncated_normal(state, clip):
    """(new state, N(0, 1) within +-clip), by Marsaglia's polar method and rejection."""
    while True:
        state = advance(state)
        u = symmetric_uniform(state)
        state = advance(state)
        v = symmetric_uniform(state)
        s = u * u + v * v
        if 0.0 < s < 1.0:
            factor = math.sqrt(-2.0 * math.log(s) / s)
            if abs(u * factor) <= clip:
                return state, u * factor
            if abs(v * factor) <= clip:
                return state, v * factor


@inlined
def uniform(word):
    """U(0, 1) of 53 random bits; the last 11 bits of the word are not used."""
    return np.float64(word >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def bernoulli_mask(word, probability, length):
    """A mask in which each of ``length`` <= 64 bits is 1 with the given probability, to 2^-32.

    ``word`` holds 64 random bits, and is the state of the stream of the others. The mask is 0 unless :func:`uniform` of
    it is below ``length * probability``, so most masks of small probabilities need not be drawn at all.
    """
    if probability * length >= 1.0:
        return _dense_mask(word, probability, length)
    state, mask, first = word, np.uint64(0), 0
    while True:
        # Each of the slots that are left has a share p of the unit interval. The k-th of them is the next to fire with
        # probability p (1 - p)^k, a part of its share.
        u = uniform(word)
        if u >= probability * (length - first):
            return mask
        gap = min(int(u / probability), length - first - 1)
        if u - gap * probability >= probability * _power(1.0 - probability, gap):
            return mask
        first += gap + 1
        mask |= np.uint64(1) << np.uint64(first - 1)
        state = advance(state)
        word = bits64(state)


@inlined
def _power(base, exponent):
    """``base`` to a whole power from 0 to 63."""
    power = 1.0
    while exponent:
        if exponent & 1:
            power *= base
        base *= base
        exponent >>= 1
    return power


@kernel
def _dense_mask(state, probability, length):
    """A mask as of :func:`bernoulli_mask`, for probabilities that are not small.

    A bit is 1 where a uniform number is below the probability. All 64 numbers are compared at once, one binary digit
    per random word, the most significant first, until every comparison is decided: about seven words for 31 slots.
    """
    full = ~np.uint64(0) >> np.uint64(64 - length)
    if probability >= 1.0:
        return full
    threshold = np.uint64(probability * 4294967296.0)
    mask = np.uint64(0)
    undecided = full
    for position in range(31, -1, -1):
        state = advance(state)
        word = bits64(state)
        if (threshold >> np.uint64(position)) & np.uint64(1):
            mask |= undecided & ~word
            undecided &= word
        else:
            undecided &= ~word
        if undecided == 0:
            break
    return mask


@inlined
def popcount(mask):
    """The number of 1 bits."""
    m1, m2, m4 = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
    m = mask - ((mask >> np.uint64(1)) & m1)
    m = (m & m2) + ((m >> np.uint64(2)) & m2)
    m = (m + (m >> np.uint64(4))) & m4
    return np.int64((m * np.uint64(0x0101010101010101)) >> np.uint64(56))
