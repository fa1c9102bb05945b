# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Counter-based random numbers of the GPU kernels: the generator of cpu/random.py, for many lanes at a time.

Every line and every cell has a stream of its own for each sample, keyed by (trial, side, sample, place). So a result
depends neither on the order of execution nor on what else is stacked.
"""

from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton

GOLDEN = tl.constexpr(0x9E3779B97F4A7C15)
# The sides of a stream's key: streams of rows, of columns and of cells.
ROWS, COLUMNS, CELLS = tl.constexpr(1), tl.constexpr(2), tl.constexpr(3)


@triton.jit
def bits64(state):
    z = state
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


@triton.jit
def key_of_more(key, part):
    """The key of one more number after those of ``key``: ``key_of_more`` of seeds.py."""
    return bits64((key.to(tl.uint64) ^ part.to(tl.uint64)) + GOLDEN)


@triton.jit
def stream(key, side, place):
    """First state of the stream of one line or cell."""
    return bits64(bits64(key ^ side) + place.to(tl.uint64) * GOLDEN)


@triton.jit
def symmetric_uniform(state):
    """U(-1, 1) from one state."""
    return (bits64(state) >> 11).to(tl.float64) * (2.0 / 9007199254740992.0) - 1.0


@triton.jit
def truncated_normal(state, clip, wanted):
    """(new state, N(0, 1) within +-clip) of the wanted lanes, by Marsaglia's polar method and rejection."""
    z = tl.zeros_like(state).to(tl.float64)
    open_ = wanted
    while tl.max(open_.to(tl.int32), 0) > 0:
        second_state = state + GOLDEN + GOLDEN
        u, v = symmetric_uniform(state + GOLDEN), symmetric_uniform(second_state)
        state = tl.where(open_, second_state, state)
        s = u * u + v * v
        inside = (s > 0.0) & (s < 1.0)
        s = tl.where(inside, s, 0.5)
        factor = tl.sqrt(tl.log(s) * -2.0 / s)
        first, second = tl.abs(u * factor) <= clip, tl.abs(v * factor) <= clip
        z = tl.where(open_, tl.where(first, u * factor, v * factor), z)
        open_ = open_ & ~(inside & (first | second))
    return state, z


@triton.jit
def uniform(word):
    """U(0, 1) of 53 random bits; the last 11 bits of the word are not used."""
    return (word >> 11).to(tl.float64) * (1.0 / 9007199254740992.0)


@triton.jit
def bernoulli_mask(word, probability, slots):
    """A mask in which each of ``slots`` bits is 1 with the given probability, to 2^-32; see cpu/random.py.

    The lanes take as many turns as the one that fires most often: most of small probabilities fire in no slot, as
    their first words show, and where no lane fires there is no turn.
    """
    slots += word.to(tl.int64) * 0  # of each lane
    many = probability * slots.to(tl.float64) >= 1.0
    sparse = tl.where(many, 0.0, probability)
    state, mask = word, word ^ word
    first = tl.zeros_like(slots)
    draws = uniform(word) < sparse * slots.to(tl.float64)
    while tl.max(draws.to(tl.int32), 0) > 0:
        u = uniform(word)
        share = tl.where(draws, sparse, 1.0)
        gap = tl.minimum((u / share).to(tl.int64), slots - first - 1)
        gap = tl.where(draws, gap, 0)
        power, base, rest = tl.zeros_like(u) + 1.0, 1.0 - share, gap
        while tl.max(rest, 0) > 0:
            power = tl.where((rest & 1) != 0, power * base, power)
            base *= base
            rest = rest >> 1
        draws = draws & (u - gap.to(tl.float64) * share < share * power)
        first = tl.where(draws, first + gap + 1, first)
        one = first.to(tl.uint64) * 0 + 1
        mask |= tl.where(draws, one << tl.maximum(first - 1, 0).to(tl.uint64), 0)
        state = tl.where(draws, state + GOLDEN, state)
        word = bits64(state)
        draws = draws & (uniform(word) < sparse * (slots - first).to(tl.float64))
    if tl.max(many.to(tl.int32), 0) > 0:
        mask = tl.where(many, _dense_mask(state, tl.where(many, probability, 0.0), slots), mask)
    return mask.to(tl.int64)


@triton.jit
def _dense_mask(state, probability, slots):
    """A mask as of :func:`bernoulli_mask`, for probabilities that are not small; 0 where the probability is."""
    fires = probability > 0.0
    spare = tl.where(fires, 64 - slots, 0).to(tl.uint64)
    ones = state | 0xFFFFFFFFFFFFFFFF
    full = tl.where(fires, ones >> spare, 0)
    threshold = (tl.minimum(probability, 1.0) * 4294967296.0).to(tl.int64)
    mask = tl.where(probability >= 1.0, full, 0)
    undecided = tl.where(probability >= 1.0, 0, full)
    position = 31
    while (position >= 0) & (tl.max((undecided != 0).to(tl.int32), 0) > 0):
        state += GOLDEN
        word = bits64(state)
        one = ((threshold >> position) & 1) != 0
        # ``word ^ ones`` is ~word: Triton's interpreter has no ~ for unsigned numbers.
        mask |= tl.where(one, undecided & (word ^ ones), 0)
        undecided &= tl.where(one, word, word ^ ones)
        position -= 1
    return mask


@triton.jit
def popcount(mask):
    m = mask.to(tl.uint64)
    m = m - ((m >> 1) & 0x5555555555555555)
    m = (m & 0x3333333333333333) + ((m >> 2) & 0x3333333333333333)
    m = (m + (m >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((m * 0x0101010101010101) >> 56).to(tl.int32)
