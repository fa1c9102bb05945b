# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""The way of many cells through a pulse in strides of ln N, where no table gives the nodes, as cpu/strides.py does."""

from vcm_sweep.device.kernels.gpu.march import cross
from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton
from vcm_sweep.device.kernels.layout import LONG, PAST_KINK, SHORT, STRIDE

_SHORT, _PAST_KINK = tl.constexpr(SHORT), tl.constexpr(PAST_KINK)
LONGEST, PIECE = tl.constexpr(LONG), tl.constexpr(STRIDE)


@triton.jit
def stride(rate, slope, bend, time):
    """(way in ln N after a time, whether it is a short one) with ln of the rate a parabola along the way.

    In single precision, as in march.py: the way is a difference.
    """
    rate, slope, bend, time = rate.to(tl.float32), slope.to(tl.float32), bend.to(tl.float32), time.to(tl.float32)
    gone = tl.exp(rate) * time
    z = slope * gone
    w = z / (2.0 - z)
    w *= w
    series = 2.0 / (2.0 - z) * (1.0 + w * (1 / 3 + w * (1 / 5 + w * (1 / 7 + w * (1 / 9)))))
    inside, small = z < 0.99, tl.abs(z) < 0.25
    closed = -tl.log(tl.where(inside, 1.0 - z, 1.0)) / tl.where(small, 1.0, z)
    way = gone * tl.where(small, series, closed)
    z = slope * way
    way += bend * (way * way * way) * (1 / 6 + z * (1 / 24 + z * (1 / 120 + z * (1 / 720 + z * (1 / 5040)))))
    return way.to(tl.float64), inside & (gone < _SHORT) & (way < _SHORT)


@triton.jit
def next_edge(x, direction, longest, stop, barrier, barrier_x):
    """(where the next stride ends, whether a kink of the rate is why): at a kink, at ``stop``, or after ``longest``."""
    edge = x + direction * longest
    kink = tl.where(barrier_x != 0.0, x - barrier / tl.where(barrier_x != 0.0, barrier_x, 1.0), edge)
    kinked = ((kink - x) * direction > 0.0) & ((edge - kink) * direction > 0.0)
    edge = tl.where(kinked, kink + direction * _PAST_KINK, edge)
    return tl.where((stop - edge) * direction < 0.0, stop, edge), kinked


@triton.jit
def along_cubic(going, x, direction, time, edge, stop, bound, first, last, one):
    """(x, time left, whether the pulse is over) after the stride to ``edge``, or as far as the time lasts.

    ln of the rate is a cubic along it, taken as linear on pieces of it. ``first``, ``last``: (ln of the rate, its
    slope in ln N) at x and at the edge. ``one``: it is linear, and the stride one piece.
    """
    rate, slope = first[0].to(tl.float32), first[1].to(tl.float32)
    end_rate, end_slope = last[0].to(tl.float32), last[1].to(tl.float32)
    direction, left = direction.to(tl.float32), time.to(tl.float32)
    at, way = x, (edge - x).to(tl.float32)
    pieces = tl.where(one, 1.0, tl.floor(tl.abs(way) / PIECE) + 1.0)
    part = way / pieces
    piece, low, start = tl.zeros_like(way), rate, x
    over = ~going
    under_way = going
    while tl.max(under_way.to(tl.int32), 0) > 0:
        t = (piece + 1.0) / pieces
        rises = (t * -2.0 + 3.0) * (end_rate - rate) - way * ((2.0 - t) * slope + (1.0 - t) * end_slope)
        high = tl.where(one, end_rate, rate + t * (way * slope) + t * t * rises)
        to = tl.where(piece + 1.0 < pieces, at + (part * (piece + 1.0)).to(tl.float64), edge)
        tangent = (high - low) / tl.where(part != 0.0, part, 1.0)
        speed = tl.exp(low + tangent * (x - start).to(tl.float32))
        x, left, within = cross(x, direction, left, speed, tangent, to, bound, PIECE, under_way)
        arrives = under_way & ~within & (x == to)
        ends = under_way & (within | (left <= 0.0) | ((stop - x) * direction <= 0.0))
        over |= ends
        left = tl.where(within, 0.0, left)
        piece, low = tl.where(arrives, piece + 1.0, piece), tl.where(arrives, high, low)
        start = tl.where(arrives, x, start)
        under_way = under_way & ~ends & (piece < pieces)
    return x, tl.where(going, tl.maximum(left, 0.0).to(tl.float64), time), over
