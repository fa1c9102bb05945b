# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False, check-untyped-defs=False
# mypy: disallow-incomplete-defs=False, disallow-untyped-decorators=False
"""Reading the tables of a trial in GPU kernels, as cpu/stencil.py does on a CPU, for cells that are all the same.

A *curve* is (values, nodes of x, intervals below the kink, x_first, kink, width of an interval below the kink, and
above). Each entry is either one for all lanes or one per lane. Places of x are float64, values float32.
"""

from vcm_sweep.device.kernels.gpu.triton_or_none import tl, triton


@triton.jit
def _cubic_weights(t, count):
    """First of four nodes around position t (in steps from the first node) and the weights of the cubic's nodes."""
    j = tl.minimum(tl.maximum(t.to(tl.int32) - 1, 0), tl.maximum(count - 4, 0))
    a = (t - j).to(tl.float32)
    b, c, d = a - 1.0, a - 2.0, a - 3.0
    return j, -b * c * d / 6.0, a * c * d / 2.0, -a * b * d / 2.0, a * b * c / 6.0


@triton.jit
def step_and_start(curve, k):
    """(width, lower end) of interval k of x."""
    _, _, below, x_first, kink, lower, upper = curve
    under = k < below
    return tl.where(under, lower, upper), tl.where(under, x_first + k * lower, kink + (k - below) * upper)


@triton.jit
def interval(curve, x):
    """The interval that contains x; the first or the last one if x is beyond the ends."""
    _, nodes, below, x_first, kink, lower, upper = curve
    place = tl.where(x < kink, (x - x_first).to(tl.float32) / lower.to(tl.float32), 0.0)
    under = tl.minimum(tl.maximum(place.to(tl.int32), 0), below - 1)
    place = tl.where(x < kink, 0.0, (x - kink).to(tl.float32) / upper.to(tl.float32))
    over = tl.minimum(below + tl.maximum(place.to(tl.int32), 0), nodes - 2)
    return tl.where((x < kink) & (below > 0), under, over)


@triton.jit
def read_linear(curve, x):
    """A table at x, linear between its nodes."""
    k = interval(curve, x)
    step, start = step_and_start(curve, k)
    low = tl.load(curve[0] + k)
    return low + ((x - start) / step).to(tl.float32) * (tl.load(curve[0] + k + 1) - low)


@triton.jit
def read_cubic(curve, x):
    """A table at x, cubic on either side of the kink."""
    values, nodes, below, x_first, kink, lower, upper = curve
    under = (x < kink) & (below > 0)
    t = tl.where(under, (x - x_first) / lower, (x - kink) / upper)
    j, c0, c1, c2, c3 = _cubic_weights(t, tl.where(under, below + 1, nodes - below))
    at = values + (j + tl.where(under, 0, below))
    return c0 * tl.load(at) + c1 * tl.load(at + 1) + c2 * tl.load(at + 2) + c3 * tl.load(at + 3)
